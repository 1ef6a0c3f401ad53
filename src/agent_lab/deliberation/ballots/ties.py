"""What decides between options that are level: declared rules, one after the other."""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Literal, NamedTuple

from agent_lab.deliberation.ballots.ballot import Ballot, Policy, TieRule
from agent_lab.deliberation.ballots.exact import exact
from agent_lab.deliberation.ballots.pairwise import pair_votes


class TieBreak(NamedTuple):
    """What the rules left."""

    left: tuple[str, ...]
    """One option, if they decided."""
    by: TieRule | Literal[""] = ""
    """The rule that decided; empty: none did."""
    asks: Literal["", "runoff", "judge"] = ""
    """The turn that is needed to decide."""


_Narrow = Callable[[tuple[str, ...], Sequence[Ballot], Policy, bool], tuple[str, ...]]


def break_tie(
    level: Sequence[str], ballots: Sequence[Ballot], policy: Policy, *, worst: bool = False
) -> TieBreak:
    """Decide between level options.

    Args:
        level: The options.
        ballots: As they are counted.
        policy: Its `ties` are the rules. Each leaves fewer options, or all to the next rule.
        worst: Look for the last instead of the first.
    """
    left = tuple(level)
    for rule in policy.ties:
        if rule == "none":
            break
        if rule == "runoff" or rule == "judge":
            return TieBreak(left, asks=rule)
        left = _RULES[rule](left, ballots, policy, worst)
        if len(left) == 1:
            return TieBreak(left, by=rule)
    return TieBreak(left)


def draw(options: Sequence[str], seed: int) -> str:
    """Draw one option, each with the same chance, whatever their order.

    The lot is a digest of the seed and the options: draws from different options are independent
    of each other, and the same on every machine.
    """
    lots = sorted(options)
    digest = hashlib.sha256(json.dumps([seed, lots]).encode()).digest()
    return lots[int.from_bytes(digest) % len(lots)]


def _round0(
    level: tuple[str, ...], ballots: Sequence[Ballot], policy: Policy, worst: bool
) -> tuple[str, ...]:
    """Those that were best in the first count."""
    first: dict[str, Fraction | float] = {
        o: exact(policy.round0[o]) if o in policy.round0 else -math.inf for o in level
    }
    wanted = min(first.values()) if worst else max(first.values())
    return tuple(o for o in level if first[o] == wanted)


def _head_to_head(
    level: tuple[str, ...], ballots: Sequence[Ballot], policy: Policy, worst: bool
) -> tuple[str, ...]:
    """Those that lose against none of the others; all, if each loses against one."""
    votes = pair_votes(ballots, level)
    sign = -1 if worst else 1
    beaten = {one for one, other in votes if sign * votes[one, other] < sign * votes[other, one]}
    return tuple(o for o in level if o not in beaten) or level


def _seeded(
    level: tuple[str, ...], ballots: Sequence[Ballot], policy: Policy, worst: bool
) -> tuple[str, ...]:
    """One that is drawn."""
    return (draw(level, policy.seed),)


_RULES: dict[TieRule, _Narrow] = {
    "round0": _round0,
    "head_to_head": _head_to_head,
    "seeded": _seeded,
}
