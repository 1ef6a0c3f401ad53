"""An option wins only with a large enough share of the ballots."""

from collections.abc import Sequence
from fractions import Fraction

from agent_lab.deliberation.ballots.ballot import Ballot, Policy
from agent_lab.deliberation.ballots.exact import exact_share
from agent_lab.deliberation.ballots.method_kinds import Outcome, method
from agent_lab.deliberation.ballots.shares import by_shares

_HALF = Fraction(1, 2)


@method(
    "threshold",
    title={"en": "Threshold", "es": "Umbral"},
    description={
        "en": "Each voter chooses one option or approves some; the first wins if its share of the "
        "cast ballots is large enough.",
        "es": "Cada votante elige una opción o aprueba varias; gana la primera si su parte de los "
        "votos emitidos es suficiente.",
    },
    payloads=("choice", "approved"),
    monotone=True,
    condorcet=False,
)
def threshold(ballots: Sequence[Ballot], options: Sequence[str], policy: Policy) -> Outcome:
    """Compare the largest share with the policy's; the margin is a difference of shares."""
    least = exact_share(policy.threshold)
    return by_shares(
        ballots, options, lambda share: share > least if least == _HALF else share >= least
    )
