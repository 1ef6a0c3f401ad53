"""Every method once more, written another way and without the code that it checks.

A ballot becomes a `View`: what the voter says on options on which it has a say. Each function
returns the level winners; none, if nobody says anything.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import partial
from itertools import pairwise, permutations
from typing import NamedTuple

from agent_lab.deliberation.ballots.ballot import Ballot


class View(NamedTuple):
    ballot: Ballot
    may: frozenset[str]
    """The options on which the voter has a say."""

    @property
    def choice(self) -> str | None:
        return self.ballot.choice if self.ballot.choice in self.may else None

    @property
    def ranking(self) -> list[str]:
        return [o for o in self.ballot.ranking or () if o in self.may]

    @property
    def approved(self) -> set[str]:
        if self.ballot.approved is None:
            return {self.choice} if self.choice else set()
        return set(self.ballot.approved) & self.may


def winners(method: str, ballots: Sequence[Ballot], options: Sequence[str]) -> set[str]:
    """The level winners by the second count."""
    views = [View(b, frozenset(options) - set(b.recused)) for b in ballots if not b.abstain]
    return _COUNTS[method]([view for view in views if view.may], options)


def _highest(averages: dict[str, Fraction | Decimal | None]) -> set[str]:
    known = {option: value for option, value in averages.items() if value is not None}
    return {option for option, value in known.items() if value == max(known.values())}


def _mean(values: list[Fraction]) -> Fraction | None:
    return sum(values, Fraction(0)) / len(values) if values else None


def _plurality(views: Sequence[View], options: Sequence[str]) -> set[str]:
    voting = [view for view in views if view.choice]
    return _highest(
        {o: _mean([Fraction(v.choice == o) for v in voting if o in v.may]) for o in options}
    )


def _weighted(views: Sequence[View], options: Sequence[str]) -> set[str]:
    averages: dict[str, Fraction | Decimal | None] = {}
    for option in options:
        able = [v for v in views if v.choice and option in v.may]
        tenths = sum(round(10 * v.ballot.weight) for v in able)
        won = sum(round(10 * v.ballot.weight) for v in able if v.choice == option)
        averages[option] = Fraction(won, tenths) if tenths else None
    return _highest(averages)


def _approval(views: Sequence[View], options: Sequence[str]) -> set[str]:
    voting = [v for v in views if v.approved and v.approved != v.may]
    return _highest(
        {o: _mean([Fraction(o in v.approved) for v in voting if o in v.may]) for o in options}
    )


def _score(views: Sequence[View], options: Sequence[str]) -> set[str]:
    with localcontext(prec=60):
        given: dict[str, list[Decimal]] = {option: [] for option in options}
        for view in views:
            scores = {o: Decimal(s) for o, s in (view.ballot.scores or {}).items() if o in view.may}
            if len(set(scores.values())) < 2:
                continue
            n = len(scores)
            # n * variance = sum of squares - square of the sum / n
            whole = sum(scores.values(), Decimal(0))
            spread = (sum((s * s for s in scores.values()), Decimal(0)) - whole**2 / n) / n
            mean = whole / n
            for option in view.may:
                given[option].append((scores.get(option, mean) - mean) / spread.sqrt())
        means: dict[str, Fraction | Decimal | None] = {
            o: (sum(z, Decimal(0)) / len(z)).quantize(Decimal("1e-20")) if z else None
            for o, z in given.items()
        }
        return _highest(means)


def _preference(ranking: list[str], one: str, other: str) -> Fraction:
    """1 for the first, 0 for the second, a half for neither."""
    places = [ranking.index(o) if o in ranking else len(ranking) for o in (one, other)]
    return Fraction(1 + (places[0] < places[1]) - (places[0] > places[1]), 2)


def _borda(views: Sequence[View], options: Sequence[str]) -> set[str]:
    """By pairs: the share of the others that an option is preferred to."""
    voting = [v for v in views if v.ranking and len(v.may) > 1]
    averages: dict[str, Fraction | Decimal | None] = {}
    for option in options:
        shares = [
            sum(_preference(v.ranking, option, other) for other in v.may - {option})
            / Fraction(len(v.may) - 1)
            for v in voting
            if option in v.may
        ]
        averages[option] = _mean(shares)
    return _highest(averages)


def _schulze(views: Sequence[View], options: Sequence[str]) -> set[str]:
    """All simple paths, one by one."""
    voting = [v for v in views if v.ranking]
    judged = {o for v in voting for o in v.may}

    def support(one: str, other: str) -> Fraction:
        able = [v for v in voting if {one, other} <= v.may]
        return _mean([Fraction(_preference(v.ranking, one, other) == 1) for v in able]) or Fraction(
            0
        )

    def strength(one: str, other: str) -> Fraction:
        won = support(one, other)
        return won if won > support(other, one) else Fraction(0)

    edges = {pair: strength(*pair) for pair in permutations(judged, 2)}

    def best_path(one: str, other: str) -> Fraction:
        between = judged - {one, other}
        return max(
            min(edges[step] for step in pairwise((one, *stops, other)))
            for size in range(len(between) + 1)
            for stops in permutations(between, size)
        )

    return {o for o in judged if all(best_path(o, x) >= best_path(x, o) for x in judged if x != o)}


def runoff_winners(
    views: Sequence[View], left: frozenset[str], *, every_order: bool
) -> set[frozenset[str]]:
    """The sets of level winners of an instant runoff.

    Args:
        views: The ballots; all rank something.
        left: What is left.
        every_order: Follow each of those that are level at the bottom; else drop them together.
    """

    def votes(option: str) -> Fraction:
        firsts = [next((o for o in v.ranking if o in left), None) == option for v in views]
        able = sum(option in v.may for v in views)
        return Fraction(sum(firsts), able)

    by_votes: dict[Fraction, set[str]] = {}
    for option in left:
        by_votes.setdefault(votes(option), set()).add(option)
    if len(by_votes) == 1:
        return {left}
    last = by_votes[min(by_votes)]
    drops = [{option} for option in last] if every_order and min(by_votes) > 0 else [last]
    found = (runoff_winners(views, left - drop, every_order=every_order) for drop in drops)
    return {winners for several in found for winners in several}


def runoff_views(ballots: Sequence[Ballot], options: Sequence[str]) -> list[View]:
    """The ballots that rank something."""
    views = [View(b, frozenset(options) - set(b.recused)) for b in ballots if not b.abstain]
    return [view for view in views if view.ranking]


def _instant_runoff(views: Sequence[View], options: Sequence[str]) -> set[str]:
    voting = [v for v in views if v.ranking]
    judged = frozenset(o for v in voting for o in v.may)
    if not judged:
        return set()
    (only,) = runoff_winners(voting, judged, every_order=False)
    return set(only)


def _supported(
    views: Sequence[View], options: Sequence[str], enough: Callable[[int, int], bool]
) -> set[str]:
    """The options with most support, if that is enough."""
    voting = [v for v in views if v.choice or v.ballot.approved is not None]
    shares: dict[str, Fraction | Decimal | None] = {}
    good = set()
    for option in options:
        able = [v for v in voting if option in v.may]
        won = sum(option in v.approved for v in able)
        shares[option] = Fraction(won, len(able)) if able else None
        if won and enough(won, len(able)):
            good.add(option)
    return _highest(shares) & good


def _median(views: Sequence[View], options: Sequence[str]) -> set[str]:
    numbers = sorted((Fraction(v.choice), v.choice) for v in views if v.choice)
    middles = (
        {numbers[(len(numbers) - 1) // 2][0], numbers[len(numbers) // 2][0]} if numbers else ()
    )
    return {choice for value, choice in numbers if value in middles}


def _judge(views: Sequence[View], options: Sequence[str]) -> set[str]:
    voting = [v for v in views if v.ballot.verdict == "" or v.ballot.verdict in v.may]
    level = _highest(
        {o: _mean([Fraction(v.ballot.verdict == o) for v in voting if o in v.may]) for o in options}
    )
    unnamed = not any(v.ballot.verdict for v in voting)
    return set() if len(level) == 1 and unnamed else level


_COUNTS: dict[str, Callable[[Sequence[View], Sequence[str]], set[str]]] = {
    "plurality": _plurality,
    "weighted": _weighted,
    "approval": _approval,
    "score": _score,
    "borda": _borda,
    "schulze": _schulze,
    "instant_runoff": _instant_runoff,
    "threshold": partial(_supported, enough=lambda won, able: 2 * won > able),
    "unanimity": partial(_supported, enough=lambda won, able: won == able),
    "median": _median,
    "judge": _judge,
}
