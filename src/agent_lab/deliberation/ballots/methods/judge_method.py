"""The verdicts of judges: each approves one option, or none."""

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from agent_lab.deliberation.ballots.ballot import Ballot, Policy
from agent_lab.deliberation.ballots.exact import lead
from agent_lab.deliberation.ballots.method_kinds import Outcome, averaged, method


@method(
    "judge",
    title={"en": "Judge", "es": "Juez"},
    description={
        "en": "Each judge names the best option, or none; the one named most often wins. If all "
        "name none, the options are level.",
        "es": "Cada juez nombra la mejor opción, o ninguna; gana la más nombrada. Si nadie nombra "
        "ninguna, las opciones empatan.",
    },
    payloads=("verdict",),
    monotone=True,
    condorcet=False,
)
def judge(ballots: Sequence[Ballot], options: Sequence[str], policy: Policy) -> Outcome:
    """Count verdicts; the margin is a share of the ballots."""
    named = Counter(ballot.verdict for ballot in ballots)
    scores = averaged({option: Fraction(named[option]) for option in options}, ballots)
    # Options can be level without a verdict; a lone one has nobody's support.
    reached = len(options) > 1 or any(scores.values())
    return Outcome(scores, lead(scores.values()) / len(ballots), reached=reached)
