"""What a loaded model takes at the most, computed and measured, for small and large ones."""

import pytest

from tests.providers.local.measured_load import measure

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(900)]

SMALL, MIDDLE, LARGE = "smollm2-135m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"
# Saved and dropped in turn, prompts of many lengths leave holes in a heap that keeps them.
MANY_LENGTHS = (700, 700, 1000, 300, 300, 300, 300)
ROWS = [
    pytest.param(key, context, slots, cache_mib, prompts, marks=pytest.mark.weights(key))
    for key, context, slots, cache_mib, *prompts in (
        (SMALL, 1024, 4, 32, *MANY_LENGTHS),
        (SMALL, 2048, 1, 32),
        (SMALL, 8192, 1, 64),
        (SMALL, 4096, 4, 32),
        (MIDDLE, 2048, 1, 16),
        (MIDDLE, 8192, 4, 16),
        (LARGE, 2048, 1, 16),
        (LARGE, 8192, 4, 16),
    )
]


@pytest.mark.parametrize(("key", "context", "slots", "cache_mib", "prompts"), ROWS)
def test_a_model_takes_no_more_than_computed_and_not_much_less(
    key: str, context: int, slots: int, cache_mib: int, prompts: list[int]
):
    found = measure(key, context, slots, cache_mib, prompts=prompts, timeout=800)
    row = (
        f"{key} {slots}x{context}, cache {cache_mib} MiB: computed {found.estimate / 1e6:.0f} MB, "
        f"loaded {found.loaded / 1e6:.0f}, peak {found.peak / 1e6:.0f}, ratio {found.ratio:.2f}"
    )
    print(row)  # noqa: T201 - the table, with -s
    assert 1 <= found.ratio <= 1.3, row
