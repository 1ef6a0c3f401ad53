"""Votes as answers show them: with why a text that was read was no ballot."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from pydantic import Field

from agent_lab.deliberation.ballots.ballot import Ballot, Fault, Tally
from agent_lab.deliberation.ballots.reading import Problem
from agent_lab.deliberation.votes import Vote

NoBallot: TypeAlias = Fault | Problem | Literal["unreadable"]


class CountedBallot(Ballot):
    """A ballot, and who counted it."""

    node: str
    """The node that counted."""


class CountedTally(Tally):
    """What came of a count."""

    invalid: Mapping[str, NoBallot] = Field({})  # type: ignore[assignment]  # what was read, too
    """By voter without a valid ballot: why."""


class CountedVote(Vote):
    """One count."""

    tally: CountedTally
