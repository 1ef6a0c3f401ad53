"""Asks a hub what a repository's model is: its commit, its file, its licence, the file's head."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from agent_lab.errors import (
    ConfigurationError,
    InvalidRequestError,
    ProviderUnavailableError,
    WeightsCorruptError,
)
from agent_lab.providers.local.engines.llamacpp_engine import (
    PREFILL_BATCH,
    PROMPT_CACHE_MIB,
    WINDOW_CHECKPOINTS,
)
from agent_lab.providers.local.gguf_header import GgufHeader, HeaderCutError, parse_header
from agent_lab.providers.local.gguf_memory import gguf_memory_need
from agent_lab.providers.local.loading import LoadOptions
from agent_lab.providers.local.weights.gguf_choice import HubFile, choose_file
from agent_lab.providers.local.weights.hub import HubAccess, HubSource, checked_start, hub_answer
from agent_lab.providers.local.weights.hub_model import HubModel, read_hub_model
from agent_lab.providers.local.weights.hub_refusals import check_status
from agent_lab.providers.local.weights.new_entry import RepositoryFacts, new_entry
from agent_lab.providers.local.weights.partial_file import CutError, SourceFailedError
from agent_lab.providers.registries.model_registry import ModelEntry

if TYPE_CHECKING:
    from aiohttp import ClientResponse

FORM = "hf:OWNER/REPO[@REVISION][#FILE]"
NEED_CONTEXT = 8192
"""Tokens of the chat for which an entry's memory is computed."""
MOST_ANSWER_BYTES = 20_000_000
FIRST_READ = 4 << 20
MOST_READ = 64 << 20
"""Bytes of a file's head that are fetched; that of a model with 150,000 tokens has 6 MB."""
_SPEC = re.compile(r"hf:([^@#]+)(?:@([^@#]+))?(?:#(.+))?")


async def new_model(hub: HubAccess, spec: str, *, key: str | None, offline: bool) -> ModelEntry:
    """Make the registry entry of a model from what the hub knows of it.

    Args:
        hub: Which hub to ask, and as whom.
        spec: The repository, in the form `FORM`; without a file, one is chosen.
        key: The entry's key; None: made of the file's name.
        offline: Whether the network must not be used: then nothing can be asked.

    Raises:
        InvalidRequestError: The spec has another form, or the key cannot be one.
        ConfigurationError: There is no such repository, revision or file, it holds no GGUF model
            that can chat, or the network must not be used.
        ProviderAuthError: The hub wants a token, or the conditions accepted.
        ProviderUnavailableError: The hub cannot be reached, or its answer is none.
        ProviderRateLimitError: The hub takes no more requests for now.
    """
    source = parse_spec(spec)
    if offline:
        raise ConfigurationError(
            f"`{spec}` is described by its hub, and AGENT_LAB_OFFLINE forbids to ask it.",
            hint="Unset AGENT_LAB_OFFLINE, or write the entry by hand (docs/providers.md)",
        )
    facts = await describe_repository(hub, source)
    return new_entry(facts, need_gb(facts.header), key)


def parse_spec(spec: str) -> HubSource:
    """Read which repository is meant; its file is empty if the spec names none.

    Raises:
        InvalidRequestError: It has another form than `FORM`.
    """
    match = _SPEC.fullmatch(spec)
    # The source of an entry has the same parts: what it refuses could never be fetched.
    source = match and HubSource.parse(f"{match[1]}@{match[2] or 'main'}#{match[3] or 'any'}")
    if not match or not source:
        raise InvalidRequestError(
            f"`{spec}` names no repository; the form is `{FORM}`.",
            hint="agent-lab models add hf:OWNER/REPO",
            details={"spec": spec, "form": FORM},
        )
    return replace(source, file=match[3] or "")


def need_gb(header: GgufHeader) -> float:
    """The GB (10^9 bytes) that llama.cpp takes for a model and one chat of `NEED_CONTEXT`."""
    options = LoadOptions(min(NEED_CONTEXT, header.context_length), slots=1, threads=1)
    need = gguf_memory_need(
        header,
        options,
        prefill_batch=PREFILL_BATCH,
        prompt_cache_mib=PROMPT_CACHE_MIB,
        checkpoints=WINDOW_CHECKPOINTS,
    )
    return need.total / 1e9


async def describe_repository(hub: HubAccess, source: HubSource) -> RepositoryFacts:
    """Ask the hub for a repository, choose its file and read that file's head.

    Args:
        hub: Which hub to ask, and as whom.
        source: As `parse_spec` gives it; its file may be empty.

    Raises:
        AgentLabError: As in `new_model`.
    """
    name = f"{source.owner}/{source.repo}"
    with _asking(name):
        model = await _ask(hub, source)
        fetchable = [file for file in model.files if _at(source, model.commit, file.path)]
        file = _pinned(name, choose_file(name, fetchable, source.file))
        source = replace(source, revision=model.commit, file=file.path)
        header = await _read_head(hub, source, file)
    return RepositoryFacts(source, file, model, header)


def _at(source: HubSource, commit: str, file: str) -> HubSource | None:
    """The file as a source, if there is a form for its name."""
    return HubSource.parse(f"{source.owner}/{source.repo}@{commit}#{file}")


def _pinned(name: str, file: HubFile) -> HubFile:
    if file.bytes and file.sha256:
        return file
    raise ConfigurationError(
        f"The hub gives no size and sha256 of `{file.path}` in `{name}`, so nobody could tell "
        "whether the right file was fetched.",
        hint="Name another file after `#`, or another repository",
        details={"repository": name, "file": file.path},
    )


async def _ask(hub: HubAccess, source: HubSource) -> HubModel:
    path = ("api", "models", source.owner, source.repo, "revision", source.revision)
    async with hub_answer(hub, path, query={"blobs": "true"}) as answer:
        check_status(answer, source)
        body = await _read(answer, MOST_ANSWER_BYTES + 1)
    if len(body) > MOST_ANSWER_BYTES:
        raise SourceFailedError(f"its answer has more than {MOST_ANSWER_BYTES} bytes")
    try:
        return read_hub_model(body)
    except ValueError as error:
        raise SourceFailedError(f"its answer describes no repository ({error})") from error


async def _read_head(hub: HubAccess, source: HubSource, file: HubFile) -> GgufHeader:
    head, wanted = b"", FIRST_READ
    while True:
        head = await _extended(hub, source, head, min(wanted, file.bytes), file.bytes)
        try:
            return parse_header(head, file.bytes, str(source))
        except HeaderCutError as cut:
            if cut.needed > MOST_READ:
                raise ConfigurationError(
                    f"The head of `{source}` has more than {MOST_READ >> 20} MiB.",
                    hint="Name another file after `#`, or another repository",
                ) from cut
            wanted = min(max(2 * wanted, cut.needed), MOST_READ)
        except WeightsCorruptError as error:
            raise ConfigurationError(
                error.message,
                hint="Name another file after `#`, or another repository",
                details=error.details,
            ) from error


async def _extended(
    hub: HubAccess, source: HubSource, head: bytes, wanted: int, total: int
) -> bytes:
    """The first `wanted` bytes of a file, of which `head` is here."""
    path = (source.owner, source.repo, "resolve", source.revision, *source.file.split("/"))
    asked = f"bytes={len(head)}-{wanted - 1}"
    async with hub_answer(hub, path, asked_range=asked) as answer:
        check_status(answer, source)
        # A server may ignore Range and send everything: the rest is not waited for.
        head = head[: checked_start(answer, len(head), total)]
        head += await _read(answer, wanted - len(head))
    if len(head) < wanted:
        raise CutError(f"the file ended at {len(head)} of {total} bytes")
    return head


async def _read(answer: "ClientResponse", most: int) -> bytes:
    body = bytearray()
    while len(body) < most and (chunk := await answer.content.read(most - len(body))):
        body += chunk
    return bytes(body)


@contextmanager
def _asking(name: str) -> Iterator[None]:
    try:
        yield
    except SourceFailedError as error:
        raise ProviderUnavailableError(
            f"The hub could not be asked for `{name}`: {error}.",
            provider="weights",
            hint="Set HTTPS_PROXY or HF_ENDPOINT and try again",
            details={"repository": name},
        ) from error
