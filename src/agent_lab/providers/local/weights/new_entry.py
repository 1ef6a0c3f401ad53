"""Makes the registry entry of a local model from what its hub and its file say."""

import math
import re
from pathlib import PurePosixPath
from typing import NamedTuple

import pydantic

from agent_lab.contracts import field_problems
from agent_lab.errors import ConfigurationError, InvalidRequestError
from agent_lab.providers.local.gguf_header import GgufHeader
from agent_lab.providers.local.weights.gguf_choice import HubFile, split_name
from agent_lab.providers.local.weights.hub import HubSource
from agent_lab.providers.local.weights.hub_model import HubModel
from agent_lab.providers.registries.model_registry import Capability, CostProfile, ModelEntry

_SAYS_NOTHING = frozenset({"", "model", "ggml-model", "gguf-model", "unsloth", "weights"})
"""Names that files of many repositories have."""
_MOST_KEY = 64
_LANGUAGE = re.compile(r"[a-z]{2}", re.ASCII)
_FAMILY = re.compile(r"(?:meta-)?([a-z][a-z0-9.]*(?:-\d+(?:\.\d+)?(?![\w.]))?)", re.ASCII)


class RepositoryFacts(NamedTuple):
    """A file of a hub repository that is to become a model."""

    source: HubSource
    """The file at its commit."""
    file: HubFile
    model: HubModel
    header: GgufHeader
    """The head of the file."""


def new_entry(facts: RepositoryFacts, need_gb: float, key: str | None = None) -> ModelEntry:
    """Make the entry of a model.

    Args:
        facts: What is known of it; size and sha256 of its file are.
        need_gb: The memory that it takes, in GB (10^9 bytes).
        key: The entry's key; None: made of the file's name, or the repository's if that says more.

    Raises:
        ConfigurationError: The model cannot chat.
        InvalidRequestError: The key cannot be one.
    """
    source, header = facts.source, facts.header
    if not header.has_chat_template:
        raise ConfigurationError(
            f"`{source}` is a base model: it has no chat template, so it can only continue a text.",
            hint="Name the repository of the model's instruct or chat version",
            details={"source": str(source)},
        )
    name = PurePosixPath(source.file).name
    key = derive_key(source) if key is None else key
    try:
        return ModelEntry(
            key=key,
            family=derive_family(facts.model.base_model, header.architecture),
            provider="local",
            engine="llamacpp",
            # Another model's file may have the same name, if the name says nothing.
            file=f"{key}.gguf" if _says_nothing(name) else name,
            bytes=facts.file.bytes,
            sha256=facts.file.sha256,
            sources=(str(source),),
            context_window=header.context_length,
            capabilities=_capabilities(facts.model.chat_template),
            cost_profile=CostProfile(input=0, output=0),
            # Up, and not by a last digit that is only an error of the division.
            min_vram_gb=math.ceil(round(need_gb * 10, 6)) / 10,
            parameters_b=round(facts.model.parameters / 1e9, 3),
            languages=tuple(filter(_LANGUAGE.fullmatch, header.languages)),
            licence=_licence(facts),
        )
    except pydantic.ValidationError as error:
        raise InvalidRequestError(
            f"`{key}` cannot be the key of a model: {field_problems(error)}.",
            hint="small letters, digits, `.`, `_` and `-`, at most 64, a letter or digit first",
            details={"key": key},
        ) from error


def derive_key(source: HubSource) -> str:
    """Make a key of the name of a file, or of its repository if that says more.

    Args:
        source: `…/Qwen3-0.6B-GGUF@…#Qwen3-0.6B-Q4_K_M.gguf` becomes `qwen3-0.6b`.
    """
    name = PurePosixPath(source.file).name
    model = split_name(source.repo if _says_nothing(name) else name).model.lower()
    return re.sub(r"[^a-z0-9._-]", "-", model).strip("._-")[:_MOST_KEY].rstrip("._-")


def derive_family(base_model: str, architecture: str) -> str:
    """Name the models that share training data: `qwen2.5`, `llama-3.2`.

    Args:
        base_model: The repository of the model that was quantised; may be empty.
        architecture: llama.cpp's name of its structure, which many families share.
    """
    match = _FAMILY.match(base_model.rpartition("/")[2].lower())
    return match[1] if match else architecture


def _says_nothing(file: str) -> bool:
    return split_name(file).model.lower() in _SAYS_NOTHING


def _capabilities(chat_template: str) -> tuple[Capability, ...]:
    thinks: tuple[Capability, ...] = ("reasoning",) if "<think>" in chat_template else ()
    return ("chat", "stream", "json_schema", *thinks)


def _licence(facts: RepositoryFacts) -> str:
    licence = facts.model.licence or facts.header.licence or "not stated"
    return f"{licence} (gated)" if facts.model.gated else licence
