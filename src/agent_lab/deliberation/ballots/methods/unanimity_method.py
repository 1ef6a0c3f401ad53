"""An option wins only with every cast ballot."""

from collections.abc import Sequence

from agent_lab.deliberation.ballots.ballot import Ballot, Policy
from agent_lab.deliberation.ballots.method_kinds import Outcome, method
from agent_lab.deliberation.ballots.shares import by_shares


@method(
    "unanimity",
    title={"en": "Unanimity", "es": "Unanimidad"},
    description={
        "en": "Each voter chooses one option or approves some; one that all support wins.",
        "es": "Cada votante elige una opción o aprueba varias; gana la que todos apoyan.",
    },
    payloads=("choice", "approved"),
    monotone=True,
    condorcet=False,
)
def unanimity(ballots: Sequence[Ballot], options: Sequence[str], policy: Policy) -> Outcome:
    """Look for an option that is on every ballot; the margin is a difference of shares."""
    return by_shares(ballots, options, lambda share: share == 1)
