"""How much memory a GGUF model takes once llama.cpp has loaded it, computed before it does.

The weights are read into memory, not mapped: they count once, also those of types that llama.cpp
lays out anew for the processor. tests/heavy/test_memory_ladder.py compares with what is measured.
"""

from agent_lab.providers.local.gguf_header import GgufHeader
from agent_lab.providers.local.loading import LoadOptions, MemoryNeed

MIB = 1 << 20
KV_BYTES = 2
"""Of a number in keys and values: f16, llama.cpp's default."""
FLOAT_BYTES = 4
"""Of an intermediate result."""
CELLS = 256
"""llama.cpp rounds the tokens that a slot can hold up to a multiple of this."""
PROCESS_BYTES = 32 * MIB
"""Measured: 31 MB for a process of Python with the binding, before it loads anything."""
ENGINE_BYTES = 11 * MIB
"""Measured: the library's own pages and buffers, whatever the model."""
THREAD_BYTES = MIB
"""Measured: 0.8 MB for what a thread works in."""
TOKEN_BYTES = 512
"""Measured: 440 to 480 bytes for each token of the vocabulary, its text and its merges."""
CANDIDATE_BYTES = 16
"""Of each token of the vocabulary in each slot: its score, and its place among the sorted ones."""
WIDE_RESULTS, NARROW_RESULTS = 3, 4
"""Intermediate results that lie beside each other in a layer: gate, up and their product, and some
as wide as the embedding. Measured growth for 1.5 B parameters: 16 MB for a batch of 128 tokens, 32
for 256, 66 for 512."""
MASK_BYTES = 6
"""Of each pair of a token in the batch and one in the slot: which may see which, as f32 and f16."""

# Of so many layers one, the last, looks back over everything, the others over the window:
# llama.cpp's `set_swa_pattern`. In other architectures that name a window, all layers keep all.
FULL_LAYER_EVERY = {"cohere2": 4, "gemma2": 2, "gemma3": 6, "gpt-oss": 2}


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
        prompt_cache_mib: The limit of earlier prompts that are kept; 0: none are.
        checkpoints: Copies that are kept of the windowed layers' part of each slot.
    """
    full, windowed = _slot_bytes(header, options.context, prefill_batch)
    return MemoryNeed(
        weights=header.weights_bytes,
        kv_cache=options.slots * (full + windowed * (1 + checkpoints)),
        # Never more, measured: older prompts go before one is put in, and one that is over the
        # limit by itself is not kept.
        prompt_cache=prompt_cache_mib * MIB,
        work=_work(header, options, prefill_batch),
    )


def _slot_bytes(header: GgufHeader, context: int, batch: int) -> tuple[int, int]:
    """Keys and values of one full slot: of layers that see everything, and of windowed ones."""
    every = FULL_LAYER_EVERY.get(header.architecture, 1) if header.sliding_window else 1
    held = _padded(context)
    window = min(held, _padded(header.sliding_window + batch))
    full = sum(header.kv_elements[every - 1 :: every])
    windowed = sum(header.kv_elements) - full
    return full * held * KV_BYTES, windowed * window * KV_BYTES


def _work(header: GgufHeader, options: LoadOptions, batch: int) -> int:
    width = (
        WIDE_RESULTS * header.feed_forward_length + NARROW_RESULTS * header.embedding_length
    ) * FLOAT_BYTES
    return (
        PROCESS_BYTES
        + ENGINE_BYTES
        + THREAD_BYTES * options.threads
        + header.vocabulary * (TOKEN_BYTES + CANDIDATE_BYTES * options.slots)
        + batch * (width + MASK_BYTES * _padded(options.context))
    )


def _padded(tokens: int) -> int:
    return -(-tokens // CELLS) * CELLS
