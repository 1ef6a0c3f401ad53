"""One count as it is recorded: who answered what, which ballots were cast, what came of them."""

from collections.abc import Iterable, Mapping

from agent_lab.contracts import BESIDE, Contract, JsonObject, Step
from agent_lab.deliberation.agreement import Agreement
from agent_lab.deliberation.answers.answer import AnswerKind
from agent_lab.deliberation.ballots.ballot import Ballot, Tally
from agent_lab.deliberation.trajectory import Decision


class Candidate(Contract):
    """What can be voted for: an answer with its key, or one member's text."""

    id: str
    """The key, or the member."""
    display: str = ""
    """As people read it."""
    members: tuple[str, ...] = ()
    """Whose answer it is."""


class Vote(Contract):
    """One count."""

    node: str
    round: int = 0
    """0: the blind one."""
    kind: AnswerKind
    """What kind of answer was counted."""
    eligible: tuple[str, ...] = ()
    """Who could vote."""
    positions: Mapping[str, str | None] = {}
    """By member whose text there is: the key of its answer; None: unparsed, or free."""
    parsed_by: Mapping[str, str] = {}
    """By member: how its answer was read."""
    candidates: tuple[Candidate, ...] = ()
    ballots: tuple[Ballot, ...] = ()
    """Of this round; where there is a `decision`, the tally counts its positions instead."""
    shown: Mapping[str, tuple[str, ...]] = {}
    """By voter: the candidates in the order in which it saw them."""
    tally: Tally
    agreement: Agreement | None = None
    """None: free answers are equal to no other."""
    decision: Decision | None = None
    """What the trajectory since the blind round decides; None: this is the blind round."""
    stops: tuple[str, ...] = ()
    """The stop rules that have fired, the one that is told first."""
    flags: tuple[str, ...] = ()
    """What a reader should know: answers that were guessed, judges of the debaters' family."""


def votes_of(steps: Iterable[Step]) -> tuple[JsonObject, ...]:
    """What the nodes of a run have counted, in order, each with its node's path.

    What a run has counted beside its flow is its baseline's.
    """
    return tuple(
        {**step.vote, "node": step.path}
        for step in steps
        if step.vote is not None and not step.path.startswith(BESIDE)
    )


def ballots_of(votes: Iterable[JsonObject]) -> tuple[JsonObject, ...]:
    """All ballots of some recorded votes, each with the node that counted it."""
    return tuple(
        {"node": vote["node"], **ballot} for vote in votes for ballot in vote.get("ballots", ())
    )
