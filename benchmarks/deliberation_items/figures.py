"""What the answers say: accuracies, the gain of the vote with its interval, what stopping saves."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from agent_lab.deliberation.ballots.ties import draw
from agent_lab.deliberation.stop_rules.standard import default_rule
from agent_lab.deliberation.stop_rules.stop import Standing
from deliberation_items.asking import Asked

RESAMPLES = 10_000
BINS = ((0.0, 0.5), (0.5, 0.8), (0.8, 1.1))
"""Modal shares, from one to below the other."""


class Gain(NamedTuple):
    """The mean difference of two arms, with its interval of 95 %."""

    mean: float
    low: float
    high: float


class Cut(NamedTuple):
    """What the flow's stop rule would have left of some draws."""

    calls: int
    winner: str | None


def gain(answers: Sequence[Asked], difference: Callable[[Asked], float], seed: int) -> Gain:
    """The mean of a difference over all answers.

    The interval is by bootstrap over the products: the same product asked again is no new one.
    B. Efron, "Bootstrap Methods: Another Look at the Jackknife" (1979).

    Args:
        answers: All that was asked.
        difference: Of one question: the one arm minus the other.
        seed: Of the resamples.
    """
    by_product: dict[tuple[int, int], list[float]] = {}
    for asked in answers:
        by_product.setdefault(asked.item[:2], []).append(difference(asked))
    groups = list(by_product.values())
    chance = random.Random(seed)  # noqa: S311 - no secret
    means = sorted(
        fmean(value for group in chance.choices(groups, k=len(groups)) for value in group)
        for _ in range(RESAMPLES)
    )
    middle = fmean(value for group in groups for value in group)
    return Gain(middle, means[RESAMPLES // 40], means[-RESAMPLES // 40 - 1])


def by_modal_share(answers: Sequence[Asked]) -> Mapping[str, tuple[int, float]]:
    """By bin of the modal share: how many questions, and in how many of them the vote is right."""
    found = {}
    for low, high in BINS:
        right = [a.vote_right for a in answers if low <= a.modal_share < high]
        name = f"below {high}" if not low else f"{low} or more" if high > 1 else f"{low} to {high}"
        found[name] = (len(right), fmean(right) if right else 0.0)
    return found


def cut(asked: Asked) -> Cut:
    """The same draws with the flow's stop rule, taken one by one."""
    samples, rule, votes = len(asked.draws), default_rule(len(asked.draws)), Counter[str]()
    for drawn, key in enumerate(asked.draws, start=1):
        votes.update(() if key is None else (key,))
        lacking = max(0, drawn - 2 * votes.total() + 1)
        standing = Standing(votes, samples - drawn, samples, to_quorum=lacking)
        if rule(standing) is not None:
            return Cut(drawn, _leader(votes, asked.item.seed))
    return Cut(samples, asked.winner)


def _leader(votes: Mapping[str, int], seed: int) -> str:
    return draw([key for key in votes if votes[key] == max(votes.values())], seed)
