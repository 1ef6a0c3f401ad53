"""How positions move from round to round, and what they decide.

Members who see each other's answers tend to give up right ones (Wynn, Satija, Hadfield, "Talk Isn't
Always Cheap", 2025). So a change counts only with a reason, and the blind round holds until a
change that counts overturns it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from agent_lab.contracts import Contract, JsonObject

Positions: TypeAlias = Mapping[str, str | None]
"""By member: the key of its answer; None: it gave none that could be read."""


class Round(Contract):
    """Where the members stand after one round; round 0 is the blind one."""

    round: int
    positions: Positions


class Flip(Contract):
    """A member's change of its answer."""

    member: str
    round: int
    from_key: str | None
    to_key: str | None
    quote: str = ""
    """The words of its own earlier text that it holds to be wrong."""
    reason: str = ""
    """What is wrong with them, as it says."""
    issue: str = ""
    """Id of the issue of the ledger that it names."""
    evidence: JsonObject | None = None
    """What a tool has confirmed."""
    supported: bool = False
    """Whether it counts: that others agree is no reason."""
    why_not: str = ""
    """Why it does not count."""


class Decision(Contract):
    """What a trajectory decides."""

    round0: str | None
    """Winner of the blind round."""
    last_round: str | None
    """Winner if the last positions are counted as they are."""
    decision: str | None
    """Winner of the positions that supported flips alone have moved."""
    positions: Mapping[str, str | None] = {}
    """Where the members stand once supported flips alone have moved them."""
    flips: tuple[Flip, ...] = ()
    """All changes, also those that do not count."""


def decide(
    rounds: Sequence[Round],
    flips: Iterable[Flip],
    winner_of: Callable[[Positions], str | None],
) -> Decision:
    """Decide by the positions of the blind round, moved by supported flips alone.

    A flip moves a position only if it starts from it: what refutes one key says nothing of another.
    A member without a readable key in round 0 has nothing to flip from: its first readable key is
    its position. A winner other than that of round 0 to which no supported flip has moved yields to
    that of round 0, if there was one.

    Args:
        rounds: In order, the blind one first.
        flips: The changes of all rounds, in any order.
        winner_of: Counts positions; None: nobody wins.
    """
    if not rounds:
        return Decision(round0=None, last_round=None, decision=None, flips=tuple(flips))
    ordered = tuple(sorted(flips, key=lambda flip: (flip.round, flip.member)))
    positions = _first_readable(rounds)
    moved = set()
    for flip in ordered:
        if flip.supported and flip.from_key == positions.get(flip.member):
            positions[flip.member] = flip.to_key
            moved.add(flip.member)
    round0, winner = winner_of(rounds[0].positions), winner_of(positions)
    # Where a flip that counts has made a tie, the tie stands.
    backing = {positions[member] for member in moved if winner in (None, positions[member])}
    return Decision(
        round0=round0,
        last_round=winner_of(rounds[-1].positions),
        decision=winner if backing or round0 is None else round0,
        positions=positions,
        flips=ordered,
    )


def _first_readable(rounds: Iterable[Round]) -> dict[str, str | None]:
    """By member: the first key that could be read."""
    first: dict[str, str | None] = {}
    for each in rounds:
        for member, key in each.positions.items():
            if first.get(member) is None:
                first[member] = key
    return first
