"""As many options as each likes; the most approved wins.

S. J. Brams and P. C. Fishburn, Approval Voting, American Political Science Review 72, 1978.
"""

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from agent_lab.deliberation.ballots.ballot import Ballot, Policy
from agent_lab.deliberation.ballots.exact import lead
from agent_lab.deliberation.ballots.method_kinds import Outcome, averaged, method


def _all_or_none(ballot: Ballot, options: int) -> bool:
    """Whoever approves all options, or none, prefers none of them."""
    return len(ballot.approved or ()) in {0, options}


@method(
    "approval",
    title={"en": "Approval", "es": "Aprobación"},
    description={
        "en": "Each voter approves some options; the most approved wins. All or none: abstention.",
        "es": "Cada votante aprueba opciones; gana la más aprobada. Todas o ninguna: abstención.",
    },
    payloads=("approved",),
    monotone=True,
    condorcet=False,
    abstains=_all_or_none,
)
def approval(ballots: Sequence[Ballot], options: Sequence[str], policy: Policy) -> Outcome:
    """Count approvals; the margin is a share of the ballots."""
    approved = Counter(option for ballot in ballots for option in ballot.approved or ())
    scores = averaged({option: Fraction(approved[option]) for option in options}, ballots)
    return Outcome(scores, lead(scores.values()) / len(ballots))
