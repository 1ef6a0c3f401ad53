"""The local models of the shipped file: one for every machine, each pinned and described."""

import math
import re

import pytest

from agent_lab.providers.local.gguf_header import read_header
from agent_lab.providers.local.weights.hub import HubSource
from agent_lab.providers.local.weights.hub_repository import need_gb
from agent_lab.providers.local.weights.store import WeightsStore
from agent_lab.providers.registries.model_registry import CostProfile, ModelEntry, ModelRegistry
from tests.conftest import WEIGHTS_FOLDER

LOCAL = [entry for entry in ModelRegistry.load().all() if entry.provider == "local"]
LADDER = LOCAL[3:]
FIRST_LAB = ("mistral7b", "llama3", "deepseek7b", "deepseek-coder")
# Billions of parameters, from and to.
STEPS = (
    (0.1, 0.5),
    (0.5, 0.9),
    (0.9, 1.5),
    (1.5, 2.5),
    (2.5, 3.5),
    (3.5, 5),
    (6, 9),
    (11, 15),
    (20, 25),
    (30, 33),
    (69, 72),
)

every_local_model = pytest.mark.parametrize("entry", LOCAL, ids=lambda entry: entry.key)


@every_local_model
def test_a_local_model_is_pinned_to_one_file_of_one_commit(entry: ModelEntry) -> None:
    scheme, _, body = entry.sources[0].partition(":")
    source = HubSource.parse(body)
    assert scheme == "hf"
    assert source is not None
    assert re.fullmatch(r"[0-9a-f]{40}", source.revision)
    assert source.file == entry.file
    assert entry.bytes > 0
    assert len(entry.sha256) == 64


@every_local_model
def test_a_local_model_says_what_it_is_and_what_it_may_be_used_for(entry: ModelEntry) -> None:
    assert entry.licence
    assert entry.family
    assert "en" in entry.languages
    assert all(re.fullmatch(r"[a-z]{2}", language) for language in entry.languages)
    assert len(set(entry.languages)) == len(entry.languages)
    assert entry.note.endswith(".")
    assert len(entry.note) <= 90
    assert {"chat", "stream", "json_schema"} <= set(entry.capabilities)
    assert entry.cost_profile == CostProfile(input=0, output=0)


@every_local_model
def test_a_local_model_that_thinks_is_allowed_tokens_for_it(entry: ModelEntry) -> None:
    assert bool(entry.reasoning_allowance) == ("reasoning" in entry.capabilities)
    assert entry.reasoning_allowance < entry.context_window


@every_local_model
def test_the_numbers_of_a_local_model_go_together(entry: ModelEntry) -> None:
    gb = entry.bytes / 1e9
    assert 0.4 < gb / entry.parameters_b < 1.4
    # The keys and values of 8192 tokens can be as large as the weights; beside the smallest models,
    # the prompts that are kept and the work still take half a GB.
    assert gb < entry.min_vram_gb < 3 * gb + 0.5
    assert entry.min_vram_gb == round(entry.min_vram_gb, 1)
    assert 0 <= entry.active_parameters_b < entry.parameters_b


@pytest.mark.parametrize(("least", "most"), STEPS)
def test_every_step_of_the_ladder_has_a_model(least: float, most: float) -> None:
    assert [entry.key for entry in LOCAL if least <= entry.parameters_b < most]


def test_the_ladder_goes_up_by_the_size_of_the_files() -> None:
    assert [entry.bytes for entry in LADDER] == sorted(entry.bytes for entry in LADDER)


def test_the_models_of_the_first_lab_are_there() -> None:
    assert set(FIRST_LAB) < {entry.key for entry in LADDER}


def test_models_that_share_training_data_are_of_one_family() -> None:
    families = {entry.key: entry.family for entry in LOCAL}
    assert families["deepseek7b"] == families["qwen2.5-coder-1.5b"]
    assert families["smollm2-360m"] == families["smollm2-135m"]
    assert families["llama3"] == families["llama3.2-1b"] == families["llama3.3-70b"]


def test_there_are_spanish_models_of_different_families_for_small_machines() -> None:
    small = [e for e in LOCAL if "es" in e.languages and e.parameters_b < 3.5]
    assert len({entry.family for entry in small}) >= 3


@pytest.mark.parametrize(
    "key",
    [pytest.param(e.key, marks=pytest.mark.weights(e.key), id=e.key) for e in LOCAL[:3]],
)
def test_the_memory_of_an_entry_is_what_is_computed_from_its_file(key: str) -> None:
    entry = ModelRegistry.load().get(key)
    need = need_gb(read_header(WeightsStore(WEIGHTS_FOLDER).path(entry)))
    assert entry.min_vram_gb == math.ceil(need * 10) / 10
