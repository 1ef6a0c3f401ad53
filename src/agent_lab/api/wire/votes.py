"""Ballots as answers show them."""

from agent_lab.deliberation.ballots.ballot import Ballot


class CountedBallot(Ballot):
    """A ballot, and who counted it."""

    node: str
    """The node that counted."""
