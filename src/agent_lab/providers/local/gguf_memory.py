"""How much memory a GGUF model takes once llama.cpp has loaded it, computed before it does."""

from typing import NamedTuple

from agent_lab.providers.local.gguf_header import GgufHeader
from agent_lab.providers.local.loading import LoadOptions, MemoryNeed

MIB = 1 << 20
KV_BYTES = 2
"""Keys and values are kept as f16, llama.cpp's default."""
CELLS = 256
"""llama.cpp rounds the tokens that a cache holds up to this."""


class WindowPattern(NamedTuple):
    """Which layers of an architecture look back only as far as its window."""

    period: int
    """Of so many layers, the last one looks back over everything."""


# llama.cpp's `set_swa_pattern`. Others that name a window keep everything there.
WINDOWED = {
    "cohere2": WindowPattern(4),
    "gemma2": WindowPattern(2),
    "gemma3": WindowPattern(6),
    "gpt-oss": WindowPattern(2),
}


def gguf_memory_need(
    header: GgufHeader,
    options: LoadOptions,
    *,
    prefill_batch: int,
    prompt_cache_mib: int,
    checkpoints: int,
) -> MemoryNeed:
    """Compute what a model takes at the most.

    Args:
        header: Of its file.
        options: How it is loaded.
        prefill_batch: Tokens of a prompt that are worked on at a time.
        prompt_cache_mib: The limit of earlier prompts that are kept.
        checkpoints: Copies of the windowed layers' part that are kept of each slot.
    """
    kv_cache = _kv_cache(header, options, prefill_batch, checkpoints)
    work = 10 * MIB + 512 * header.vocabulary + 16 * MIB
    return MemoryNeed(header.weights_bytes, kv_cache, prompt_cache_mib * MIB, work)


def _kv_cache(header: GgufHeader, options: LoadOptions, batch: int, checkpoints: int) -> int:
    pattern = WINDOWED.get(header.architecture)
    window = _padded(header.sliding_window + batch)
    tokens = 0
    for layer, elements in enumerate(header.kv_elements):
        held = _padded(options.context)
        if pattern and header.sliding_window and (layer + 1) % pattern.period:
            held = min(held, window) * (1 + checkpoints)
        tokens += elements * held
    return tokens * KV_BYTES * options.slots


def _padded(tokens: int) -> int:
    return -(-tokens // CELLS) * CELLS
