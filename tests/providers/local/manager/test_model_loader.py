"""The ways to load a model are known from its file, without loading it."""

from pathlib import Path

import pytest

from agent_lab.errors import UnknownPluginError, WeightsCorruptError, WeightsMissingError
from agent_lab.providers.local.loading import LoadOptions
from agent_lab.providers.local.manager.model_loader import ModelLoader
from agent_lab.providers.local.manager.placement import Option
from agent_lab.providers.local.weights.store import WeightsStore
from agent_lab.providers.registries.model_registry import ModelEntry, ModelRegistry
from tests.conftest import WEIGHTS_FOLDER

SMALLEST = ModelRegistry.load().get("smollm2-135m")
KV_OF_A_SLOT = 2 * 30 * 3 * 64 * 2 * 2048
"""Keys and values, layers, heads, width, bytes, tokens."""


def loader(folder: Path = WEIGHTS_FOLDER, slots: int = 3, threads: int = 2) -> ModelLoader:
    return ModelLoader(WeightsStore(folder), LoadOptions(2048, slots, threads), limit_gb=2.0)


@pytest.mark.weights(SMALLEST.key)
def test_each_slot_more_takes_a_window_more():
    ways = loader().ways(SMALLEST)
    assert [way.slots for way in ways] == [3, 2, 1]
    third, second = ways[0].need - ways[1].need, ways[1].need - ways[2].need
    assert third == second
    assert KV_OF_A_SLOT <= second < 1.1 * KV_OF_A_SLOT


@pytest.mark.weights(SMALLEST.key)
@pytest.mark.parametrize(("threads", "slots"), [(1, 1), (4, 1), (8, 2), (64, 4)])
def test_as_many_slots_are_tried_as_the_cores_have_use_for(threads: int, slots: int):
    assert loader(slots=0, threads=threads).ways(SMALLEST)[0].slots == slots


@pytest.mark.weights(SMALLEST.key)
def test_a_shorter_window_takes_less():
    whole = loader().ways(SMALLEST)[-1].need
    assert loader().shorter_window(SMALLEST, whole - KV_OF_A_SLOT // 2) == 1024
    assert loader().shorter_window(SMALLEST, whole - KV_OF_A_SLOT) is None


def test_of_a_model_that_is_not_here_the_entrys_word_is_taken(tmp_path: Path):
    here = loader(tmp_path)
    assert here.ways(SMALLEST) == (Option(1, round(SMALLEST.min_vram_gb * 1e9)),)
    assert here.shorter_window(SMALLEST, 1) is None
    with pytest.raises(WeightsMissingError):
        here.load(SMALLEST, 1)


def test_a_file_that_is_no_model_is_said_to_be_none_each_time(tmp_path: Path):
    broken = ModelEntry(
        key="x", provider="local", engine="llamacpp", file="x.gguf", context_window=512
    )
    (tmp_path / "x.gguf").write_bytes(b"no model")
    here = loader(tmp_path)
    for _ in range(2):
        with pytest.raises(WeightsCorruptError):
            here.ways(broken)


def test_an_engine_that_nobody_knows_is_named(tmp_path: Path):
    (tmp_path / "x.gguf").write_bytes(b"x")
    entry = ModelEntry(key="x", provider="local", engine="nope", file="x.gguf", context_window=512)
    with pytest.raises(UnknownPluginError):
        loader(tmp_path).ways(entry)


def test_what_all_models_may_take_is_the_limit():
    assert loader().room(SMALLEST).limit == 2_000_000_000
    assert loader().room(SMALLEST).free > 0
