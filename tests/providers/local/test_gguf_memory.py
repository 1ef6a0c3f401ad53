"""What a model will take, computed from its head: each part by its own rule."""

import pytest

from agent_lab.providers.local.gguf_header import GgufHeader, parse_header
from agent_lab.providers.local.gguf_memory import FULL_LAYER_EVERY, gguf_memory_need
from agent_lab.providers.local.loading import LoadOptions, MemoryNeed
from tests.providers.local.gguf_files import gguf_bytes
from tests.providers.local.measured_load import measure

WHOLE = gguf_bytes()
PLAIN = parse_header(WHOLE, len(WHOLE), "x.gguf").model_copy(
    update={"layers": 6, "kv_elements": (100, 100, 100, 100, 100, 0)}
)


def need(
    header: GgufHeader = PLAIN,
    context: int = 1024,
    slots: int = 1,
    threads: int = 1,
    batch: int = 128,
    cache_mib: int = 0,
    checkpoints: int = 0,
) -> MemoryNeed:
    return gguf_memory_need(
        header,
        LoadOptions(context=context, slots=slots, threads=threads),
        prefill_batch=batch,
        prompt_cache_mib=cache_mib,
        checkpoints=checkpoints,
    )


def windowed(architecture: str, window: int = 200) -> GgufHeader:
    return PLAIN.model_copy(update={"architecture": architecture, "sliding_window": window})


def test_the_weights_count_once():
    assert need().weights == PLAIN.weights_bytes


def test_each_slot_keeps_two_bytes_of_each_number_of_each_token():
    assert need().kv_cache == 500 * 2 * 1024
    assert need(slots=3).kv_cache == 3 * need().kv_cache
    assert need(context=1025).kv_cache == 500 * 2 * 1280


def test_earlier_prompts_take_their_limit():
    assert need(cache_mib=16).prompt_cache == 16 << 20
    assert need().prompt_cache == 0


@pytest.mark.parametrize(
    ("architecture", "full_layers"), [("gemma2", 2), ("gemma3", 0), ("gpt-oss", 2), ("cohere2", 1)]
)
def test_windowed_layers_keep_their_window_and_a_batch(architecture: str, full_layers: int):
    # 200 tokens and a batch of 128, up to the next multiple of 256; the sixth layer keeps nothing.
    tokens = full_layers * 1024 + (5 - full_layers) * 512
    assert need(windowed(architecture)).kv_cache == tokens * 100 * 2


def test_windowed_layers_keep_no_more_than_the_others():
    assert need(windowed("gemma3", window=5000)).kv_cache == need().kv_cache


def test_checkpoints_are_copies_of_what_windowed_layers_keep():
    header = windowed("gemma3")
    assert need(header, checkpoints=2).kv_cache == 3 * need(header).kv_cache
    assert need(checkpoints=2).kv_cache == need().kv_cache


def test_a_window_that_the_engine_ignores_saves_nothing():
    assert "qwen2" not in FULL_LAYER_EVERY
    assert need(windowed("qwen2")).kv_cache == need().kv_cache


@pytest.mark.parametrize(
    "larger", [{"context": 2048}, {"slots": 2}, {"threads": 2}, {"batch": 256}]
)
def test_more_of_anything_takes_more_work_memory(larger: dict[str, int]):
    assert need(**larger).work > need().work  # type: ignore[arg-type]


def test_the_total_is_all_of_it():
    found = need(cache_mib=1)
    assert found.total == found.weights + found.kv_cache + found.prompt_cache + found.work


@pytest.mark.weights("smollm2-135m")
def test_a_real_model_takes_no_more_than_computed_and_not_much_less():
    found = measure("smollm2-135m", 1024, 1, 8, timeout=200)
    assert 1 <= found.ratio <= 1.3, found
