"""Members of a debate whose accuracy is known, as functions.

A member answers `RIGHT` or `WRONG`. In round 0 it is right with its first accuracy; in each later
round it sees the last position of every member, its own too, and stays or moves. What it does
depends only on the seed of the trial, its own number, the round and what it sees: so the same
members can be driven by a loop or through a real graph.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

RIGHT, WRONG = "right", "wrong"


class Move(NamedTuple):
    """What a member answers."""

    key: str
    supported: bool = False
    """Whether it gives a reason that counts; only a change needs one."""


Member = Callable[[int, int, int, Sequence[str]], Move]
"""Called with the trial's seed, the member's number, the round and the keys that it sees."""


def chances(seed: int, member: int, round_: int) -> tuple[float, ...]:
    """Four numbers in [0, 1), independent of those of any other trial, member or round."""
    digest = hashlib.sha256(f"{seed}:{member}:{round_}".encode()).digest()
    return tuple(int.from_bytes(digest[i : i + 8], "big") / 2**64 for i in range(0, 32, 8))


def copier(accuracy: float, seed: int, member: int, round_: int, seen: Sequence[str]) -> Move:
    """Takes over a random member's answer with chance .35, without a reason."""
    first, moves, whom, _spare = chances(seed, member, round_)
    if not round_:
        return Move(RIGHT if first < accuracy else WRONG)
    return Move(seen[int(whom * len(seen))] if moves < 0.35 else seen[member])


def conformist(accuracy: float, seed: int, member: int, round_: int, seen: Sequence[str]) -> Move:
    """Takes over the majority's answer, the more likely the larger it is, without a reason."""
    first, moves, _spare, _spare = chances(seed, member, round_)
    if not round_:
        return Move(RIGHT if first < accuracy else WRONG)
    share = seen.count(RIGHT) / len(seen)
    majority = RIGHT if share > 0.5 else WRONG
    return Move(majority if moves < 0.35 + 0.8 * abs(share - 0.5) else seen[member])


def verifier(accuracy: float, seed: int, member: int, round_: int, seen: Sequence[str]) -> Move:
    """Checks a random member's answer: accepts a right one with chance .5, a wrong one with .2.

    It says what it has found wrong in its own.
    """
    first, accepts, whom, _spare = chances(seed, member, round_)
    if not round_:
        return Move(RIGHT if first < accuracy else WRONG)
    other = seen[int(whom * len(seen))]
    is_accepted = accepts < (0.5 if other == RIGHT else 0.2)
    return Move(other, supported=True) if is_accepted else Move(seen[member])


def swayed(accuracy: float, seed: int, member: int, round_: int, seen: Sequence[str]) -> Move:
    """In each round either copies or verifies, with even chances."""
    kind = verifier if chances(seed, member, round_)[3] < 0.5 else copier
    return kind(accuracy, seed, member, round_, seen)


def liar(seed: int, member: int, round_: int, seen: Sequence[str]) -> Move:
    """Says the wrong answer, always."""
    return Move(WRONG)


def panel(
    kind: Callable[[float, int, int, int, Sequence[str]], Move],
    accuracy: float,
    *,
    size: int = 5,
    liars: int = 0,
) -> tuple[Member, ...]:
    """Members of one kind, the last of them liars."""
    return (partial(kind, accuracy),) * (size - liars) + (liar,) * liars


class Trial(NamedTuple):
    """One debate."""

    rounds: tuple[tuple[Move, ...], ...]
    """By round and member."""

    def keys(self, round_: int) -> tuple[str, ...]:
        """The positions after a round."""
        return tuple(move.key for move in self.rounds[round_])


def debate(members: Sequence[Member], seed: int, rounds: int = 2) -> Trial:
    """Let members answer blindly, then see each other's last answers for some rounds."""
    moves: list[tuple[Move, ...]] = []
    seen: tuple[str, ...] = ()
    for round_ in range(rounds + 1):
        moves.append(tuple(member(seed, i, round_, seen) for i, member in enumerate(members)))
        seen = tuple(move.key for move in moves[-1])
    return Trial(tuple(moves))


def majority_of(positions: Mapping[str, str | None]) -> str | None:
    """The key of more than half of the members; None: there is none."""
    given = list(positions.values())
    return next((key for key in (RIGHT, WRONG) if 2 * given.count(key) > len(given)), None)
