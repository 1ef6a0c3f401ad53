"""How far members agree, and, where the right answer is known, whether that helps them.

An answer that could not be read has no key. It agrees with nothing, is never right, and is counted
in a share of its own: it stands in the denominator of no share that compares answers. A measure
that has nothing to be measured on is None, not 0.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from pydantic import Field

from agent_lab.contracts import Contract


class Agreement(Contract):
    """How far the answers of one round agree."""

    members: int = Field(ge=0)
    """All, also those whose answer could not be read."""
    distinct_keys: int = Field(ge=0)
    modal_share: float | None = Field(ge=0, le=1)
    """Share of the commonest answer among those that could be read."""
    entropy: float | None = Field(ge=0, le=1)
    """Of the answers that could be read: 0 if all are equal, 1 if all differ."""
    pairwise: float | None = Field(ge=0, le=1)
    """Share of equal pairs among the pairs that could be read."""
    unparsed_share: float | None = Field(ge=0, le=1)
    """Share of all members whose answer could not be read."""


class Judged(NamedTuple):
    """A task whose right answer is known."""

    positions: Mapping[str, str | None]
    """By member: the key of its answer."""
    winner: str | None
    """What the vote decides; None: nothing."""
    truth: str


class Exposure(NamedTuple):
    """A member that was shown answers of others and then answered again."""

    before: str | None
    seen: tuple[str | None, ...]
    """The answers that it was shown, each as often as it stood there."""
    after: str | None
    truth: str | None = None
    """The right answer; None: nobody knows it."""


def agreement(keys: Iterable[str | None]) -> Agreement:
    """Measure the agreement of answers.

    The entropy is Shannon's (A Mathematical Theory of Communication, 1948), divided by its highest
    value for so many answers, the logarithm of their number.

    Args:
        keys: A key per member; None: its answer could not be read.
    """
    everyone = list(keys)
    counts = Counter(key for key in everyone if key is not None)
    parsed = counts.total()
    pairs = math.comb(parsed, 2)
    return Agreement(
        members=len(everyone),
        distinct_keys=len(counts),
        modal_share=max(counts.values()) / parsed if parsed else None,
        entropy=_entropy(counts) if parsed else None,
        pairwise=sum(math.comb(n, 2) for n in counts.values()) / pairs if pairs else None,
        unparsed_share=(len(everyone) - parsed) / len(everyone) if everyone else None,
    )


def phi(first: Sequence[bool], second: Sequence[bool]) -> float | None:
    """The correlation of two members' being right, task by task: -1 to 1.

    Pearson's correlation of two columns of 0 and 1, known as the phi coefficient (G. U. Yule, On
    the Methods of Measuring Association Between Two Attributes, 1912). None: one of them is always
    right, or never.

    Raises:
        ValueError: The columns are not of one length.
    """
    table = Counter(zip(first, second, strict=True))
    both, neither = table[True, True], table[False, False]
    only_first, only_second = table[True, False], table[False, True]
    spread = (
        (both + only_first)
        * (neither + only_second)
        * (both + only_second)
        * (neither + only_first)
    )
    return (both * neither - only_first * only_second) / math.sqrt(spread) if spread else None


def mean_phi(correct: Mapping[str, Sequence[bool]]) -> float | None:
    """The mean of `phi` over all pairs of members that have one.

    Args:
        correct: By member: whether it was right, task by task.
    """
    values = [phi(*pair) for pair in combinations(correct.values(), 2)]
    defined = [value for value in values if value is not None]
    return math.fsum(defined) / len(defined) if defined else None


def effective_voters(n: int, rho: float) -> float:
    """How many independent voters are worth as much as n correlated ones: n / (1 + (n - 1) rho).

    The design effect of clustered samples (L. Kish, Survey Sampling, 1965).

    Args:
        n: Voters.
        rho: The mean correlation of two of them.

    Raises:
        ValueError: n is below 1, or n voters cannot have such a mean correlation.
    """
    spread = 1 + (n - 1) * rho
    if n < 1 or rho > 1 or spread <= 0:
        raise ValueError(f"{n} voters cannot have a mean correlation of {rho}")
    return n / spread


def oracle_gap(tasks: Collection[Judged]) -> float | None:
    """What the vote loses of what its members knew.

    The share of tasks on which some member was right, less the share on which the vote was.
    """
    if not tasks:
        return None
    known = sum(task.truth in task.positions.values() for task in tasks)
    decided = sum(task.winner == task.truth for task in tasks)
    return (known - decided) / len(tasks)


def exposures(
    before: Mapping[str, str | None],
    after: Mapping[str, str | None],
    *,
    seen_by: Mapping[str, Collection[str]] | None = None,
    truth: str | None = None,
) -> list[Exposure]:
    """What each member was shown between two rounds, and what it did.

    Args:
        before: By member: the key of its answer in the round that was shown.
        after: The same for the round that followed; who is missing there answered nothing.
        seen_by: By member: whose answers it was shown; None: everyone's but its own.
        truth: The right answer, if it is known.
    """
    shown = {member: before.keys() - {member} for member in before} if seen_by is None else seen_by
    return [
        Exposure(
            before=key,
            seen=tuple(before[peer] for peer in sorted(shown.get(member, ()))),
            after=after.get(member),
            truth=truth,
        )
        for member, key in before.items()
        if shown.get(member)
    ]


def conformity(seen: Iterable[Exposure]) -> float | None:
    """How often a member adopts the commonest answer that it was shown.

    Of the chances to do so: it had another answer of its own, and one answer was commonest.
    """
    adopted = [
        exposure.after == modal
        for exposure in seen
        if (modal := _modal(exposure.seen)) is not None and exposure.before not in (None, modal)
    ]
    return sum(adopted) / len(adopted) if adopted else None


def vulnerability(seen: Iterable[Exposure]) -> float | None:
    """How often a member that was right is wrong after it was shown a wrong answer.

    An answer that can no longer be read is wrong.
    """
    lost = [
        exposure.after != exposure.truth
        for exposure in seen
        if exposure.truth is not None
        and exposure.before == exposure.truth
        and any(key not in (None, exposure.truth) for key in exposure.seen)
    ]
    return sum(lost) / len(lost) if lost else None


def _entropy(counts: Counter[str]) -> float:
    n = counts.total()
    if len(counts) == 1:
        return 0.0
    entropy = math.fsum(-count / n * math.log(count / n) for count in counts.values())
    return min(entropy / math.log(n), 1.0)


def _modal(keys: Iterable[str | None]) -> str | None:
    """The commonest key; None: there is none, or several are."""
    ranked = Counter(key for key in keys if key is not None).most_common(2)
    if not ranked or (len(ranked) == 2 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]
