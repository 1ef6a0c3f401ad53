"""One choice each; most choices win."""

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from agent_lab.deliberation.ballots.ballot import Ballot, Policy
from agent_lab.deliberation.ballots.exact import lead
from agent_lab.deliberation.ballots.method_kinds import Outcome, averaged, method


@method(
    "plurality",
    title={"en": "Plurality", "es": "Mayoría simple"},
    description={
        "en": "Each voter chooses one option; the one with the most choices wins.",
        "es": "Cada votante elige una opción; gana la más elegida.",
    },
    payloads=("choice",),
    monotone=True,
    condorcet=False,
)
def plurality(ballots: Sequence[Ballot], options: Sequence[str], policy: Policy) -> Outcome:
    """Count choices; the margin is a share of the ballots."""
    chosen = Counter(ballot.choice for ballot in ballots)
    scores = averaged({option: Fraction(chosen[option]) for option in options}, ballots)
    return Outcome(scores, lead(scores.values()) / len(ballots))
