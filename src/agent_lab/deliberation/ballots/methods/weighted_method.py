"""One choice each, some weigh more; the heaviest option wins."""

from collections.abc import Sequence
from fractions import Fraction

from agent_lab.deliberation.ballots.ballot import Ballot, Policy
from agent_lab.deliberation.ballots.exact import exact, lead
from agent_lab.deliberation.ballots.method_kinds import Outcome, averaged, method


def _weightless(ballot: Ballot, options: int) -> bool:
    return ballot.weight == 0


def _weight(ballot: Ballot) -> Fraction:
    return exact(ballot.weight)


@method(
    "weighted",
    title={"en": "Weighted choice", "es": "Voto ponderado"},
    description={
        "en": "Each voter chooses one option; the weights of the voters are added up.",
        "es": "Cada votante elige una opción; se suman los pesos de los votantes.",
    },
    payloads=("choice",),
    monotone=True,
    condorcet=False,
    abstains=_weightless,
)
def weighted(ballots: Sequence[Ballot], options: Sequence[str], policy: Policy) -> Outcome:
    """Add up weights; the margin is a share of all weight."""
    points = dict.fromkeys(options, Fraction(0))
    for ballot in ballots:
        if ballot.choice is not None:
            points[ballot.choice] += _weight(ballot)
    scores = averaged(points, ballots, _weight)
    return Outcome(scores, lead(scores.values()) / sum(map(_weight, ballots)))
