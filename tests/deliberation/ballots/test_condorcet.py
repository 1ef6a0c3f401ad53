"""How often a vote is right, by enumeration of everything that can be cast."""

from collections.abc import Iterator
from math import comb, factorial, prod

import pytest

from tests.deliberation.ballots.profiles import chosen, tally_of

JURIES = {
    0.4: {3: 0.352, 5: 0.3174, 9: 0.2666, 15: 0.2131},
    0.7: {3: 0.784, 5: 0.8369, 9: 0.9012, 15: 0.95},
}
CASES = [(p, k, share) for p, by_size in JURIES.items() for k, share in by_size.items()]


@pytest.mark.parametrize(("p", "size", "share"), CASES)
def test_a_majority_is_right_as_often_as_condorcet_says(p: float, size: int, share: float):
    right = sum(
        comb(size, k) * p**k * (1 - p) ** (size - k)
        for k in range(size + 1)
        if tally_of(chosen("R" * k + "W" * (size - k)), "RW", "plurality").winner == "R"
    )
    assert right == pytest.approx(share, abs=5e-5)


@pytest.mark.parametrize(
    ("a", "b", "share"), [(7, 3, 0.7972), (1.4, 0.6, 0.7388), (0.7, 0.3, 0.7186)]
)
def test_a_majority_gains_less_where_items_differ(a: float, b: float, share: float):
    """The share of right votes is drawn for each item from a beta distribution."""
    right = sum(
        comb(5, k) * _rising(a, k) * _rising(b, 5 - k) / _rising(a + b, 5)
        for k in range(6)
        if tally_of(chosen("R" * k + "W" * (5 - k)), "RW", "plurality").winner == "R"
    )
    assert right == pytest.approx(share, abs=5e-5)


def _rising(start: float, factors: int) -> float:
    return prod(start + i for i in range(factors))


@pytest.mark.parametrize(
    ("p", "wrong", "share"), [(0.4, 3, 0.5094), (0.4, 9, 0.6315), (0.25, 3, 0.25)]
)
def test_plurality_is_right_more_often_where_wrong_answers_differ(
    p: float, wrong: int, share: float
):
    options = "R" + "abcdefghi"[:wrong]
    right = 0.0
    for votes in _splits(5, len(options)):
        ways = factorial(5) / prod(map(factorial, votes))
        chance = ways * p ** votes[0] * ((1 - p) / wrong) ** (5 - votes[0])
        ballots = chosen("".join(o * n for o, n in zip(options, votes, strict=True)))
        tied = tally_of(ballots, options, "plurality", ties=["none"]).tied
        right += chance * ("R" in tied) / len(tied)
    assert right == pytest.approx(share, abs=5e-5)


def _splits(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in _splits(total - first, parts - 1):
            yield (first, *rest)
