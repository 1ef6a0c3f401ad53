import json
from typing import Any

import pytest

from agent_lab.errors import ConfigurationError, InvalidRequestError
from agent_lab.providers.local.gguf_format import STRING
from agent_lab.providers.local.gguf_header import GgufHeader, parse_header
from agent_lab.providers.local.weights.gguf_choice import HubFile
from agent_lab.providers.local.weights.hub import HubSource
from agent_lab.providers.local.weights.hub_model import HubModel
from agent_lab.providers.local.weights.new_entry import (
    RepositoryFacts,
    derive_family,
    derive_key,
    new_entry,
)
from agent_lab.providers.registries.model_registry import CostProfile
from tests.providers.local.gguf_files import PAIRS, gguf_bytes, without

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def header(content: bytes) -> GgufHeader:
    return parse_header(content, len(content), "tiny")


HEADER = header(gguf_bytes())


def make_facts(
    path: str = "Tiny-Q4_K_M.gguf", *, head: GgufHeader = HEADER, **said: Any
) -> RepositoryFacts:
    file = HubFile(path, 1000, "a" * 64)
    model = HubModel(COMMIT, False, "mit", "org/Tiny-1.5-1B", "{{ messages }}", (file,))
    source = HubSource("owner", "Tiny-GGUF", COMMIT, path)
    return RepositoryFacts(source, file, model._replace(**said), head)


def test_entry_is_pinned_and_free() -> None:
    entry = new_entry(make_facts("sub/Tiny-Q4_K_M.gguf"), 1.23)
    assert entry.key == "tiny"
    assert (entry.provider, entry.engine) == ("local", "llamacpp")
    assert entry.file == "Tiny-Q4_K_M.gguf"
    assert (entry.bytes, entry.sha256) == (1000, "a" * 64)
    assert entry.sources == (f"hf:owner/Tiny-GGUF@{COMMIT}#sub/Tiny-Q4_K_M.gguf",)
    assert entry.context_window == 512
    assert entry.family == "tiny-1.5"
    assert entry.capabilities == ("chat", "stream", "json_schema")
    assert entry.cost_profile == CostProfile(input=0, output=0)
    assert entry.licence == "mit"


@pytest.mark.parametrize(
    ("need", "rounded"), [(1.21, 1.3), (1.2, 1.2), (0.1 + 0.2, 0.3), (1.2001, 1.3), (0.01, 0.1)]
)
def test_memory_is_rounded_up_to_a_tenth(need: float, rounded: float) -> None:
    assert new_entry(make_facts(), need).min_vram_gb == rounded


def test_what_recommendations_go_by_is_taken_from_hub_and_file() -> None:
    entry = new_entry(make_facts(parameters=1_543_714_304), 1)
    assert entry.parameters_b == 1.544
    spoken = header(gguf_bytes({**PAIRS, "general.languages": (STRING, ["en", "es", "every"])}))
    assert new_entry(make_facts(head=spoken), 1).languages == ("en", "es")


def test_model_whose_template_thinks_reasons() -> None:
    entry = new_entry(make_facts(chat_template="{{ '<think>' }}"), 1)
    assert entry.capabilities == ("chat", "stream", "json_schema", "reasoning")


@pytest.mark.parametrize(
    ("said", "licence"),
    [
        ({"licence": "gemma", "gated": True}, "gemma (gated)"),
        ({"licence": ""}, "apache-2.0"),
    ],
)
def test_licence_says_what_is_known(said: dict[str, Any], licence: str) -> None:
    assert new_entry(make_facts(**said), 1).licence == licence


def test_licence_that_nobody_states_is_said_to_be_unknown() -> None:
    silent = header(gguf_bytes(without("general.license")))
    assert new_entry(make_facts(head=silent, licence=""), 1).licence == "not stated"


def test_base_model_is_refused() -> None:
    base = header(gguf_bytes(without("tokenizer.chat_template")))
    with pytest.raises(ConfigurationError, match="is a base model") as caught:
        new_entry(make_facts(head=base), 1)
    assert "instruct" in caught.value.hint


@pytest.mark.parametrize(
    ("repo", "file", "key"),
    [
        ("Qwen3-0.6B-GGUF", "Qwen3-0.6B-Q4_K_M.gguf", "qwen3-0.6b"),
        ("any", "SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2-135m-instruct"),
        ("any", "sub/Tiny_v1.i1-IQ2_M.gguf", "tiny_v1"),
        ("Tiny-1B-GGUF", "model.gguf", "tiny-1b"),
        ("Tiny-1B-Q8_0-GGUF", "ggml-model-q8_0.gguf", "tiny-1b"),
        ("Tiny-GGUF", "Q4_K_M.gguf", "tiny"),
        ("any", f"{'x' * 63}-y.gguf", "x" * 63),
    ],
)
def test_key_is_made_of_the_name_that_says_most(repo: str, file: str, key: str) -> None:
    assert derive_key(HubSource("owner", repo, COMMIT, file)) == key


def test_file_whose_name_says_nothing_is_kept_under_the_key() -> None:
    assert new_entry(make_facts("ggml-model-q4_0.gguf"), 1).file == "tiny.gguf"
    assert new_entry(make_facts("model.gguf"), 1, "mine").file == "mine.gguf"


def test_given_key_is_taken() -> None:
    assert new_entry(make_facts(), 1, "my.model-2").key == "my.model-2"


@pytest.mark.parametrize("key", ["", "Mine", "a b", "-a", "a" * 65, "a/b"])
def test_key_of_another_form_is_refused(key: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        new_entry(make_facts(), 1, key)
    assert f"`{key}` cannot be the key" in caught.value.message
    assert json.dumps(caught.value.details) == json.dumps({"key": key})


@pytest.mark.parametrize(
    ("base_model", "family"),
    [
        ("Qwen/Qwen2.5-Coder-1.5B-Instruct", "qwen2.5"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "smollm2"),
        ("meta-llama/Llama-3.2-1B-Instruct", "llama-3.2"),
        ("meta-llama/Meta-Llama-3-8B", "llama-3"),
        ("google/gemma-3-1b-it", "gemma-3"),
        ("mistralai/Mistral-7B-Instruct-v0.3", "mistral"),
        ("Llama-13b", "llama"),
        ("", "qwen2"),
        ("owner/01-x", "qwen2"),
    ],
)
def test_family_is_the_base_models_name_up_to_its_version(base_model: str, family: str) -> None:
    assert derive_family(base_model, "qwen2") == family
