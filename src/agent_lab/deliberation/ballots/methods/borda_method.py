"""Points for places.

J.-C. de Borda, Mémoire sur les élections au scrutin, 1781.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from agent_lab.deliberation.ballots.ballot import Ballot, Policy
from agent_lab.deliberation.ballots.exact import lead
from agent_lab.deliberation.ballots.method_kinds import Outcome, averaged, method


def _nothing_to_rank(ballot: Ballot, options: int) -> bool:
    return options <= 1


@method(
    "borda",
    title={"en": "Borda count", "es": "Recuento de Borda"},
    description={
        "en": "Each voter ranks the options; of m options the first gets m-1 points, the last 0. "
        "What is not ranked shares the points that are left.",
        "es": "Cada votante ordena las opciones; de m, la primera recibe m-1 puntos y la última 0. "
        "Las que faltan se reparten los puntos restantes.",
    },
    payloads=("ranking",),
    monotone=True,
    condorcet=False,
    abstains=_nothing_to_rank,
)
def borda(ballots: Sequence[Ballot], options: Sequence[str], policy: Policy) -> Outcome:
    """Add up points; the margin is a share of the points that one option can get."""
    points = dict.fromkeys(options, Fraction(0))
    for ballot in ballots:
        for option, of_place in _points(ballot, options).items():
            points[option] += of_place
    scores = averaged(points, ballots)
    return Outcome(scores, lead(scores.values()) / (len(ballots) * (len(options) - 1)))


def _points(ballot: Ballot, options: Sequence[str]) -> Mapping[str, Fraction]:
    """The points of each option on which the ballot has a say.

    They go from m-1 to 0 in equal steps even if these are fewer than m options: no option gains or
    loses by being ranked by voters who have a say on fewer.
    """
    having_say = [o for o in options if o not in ballot.recused]
    step = Fraction(len(options) - 1, len(having_say) - 1)
    ranked = ballot.ranking or ()
    rest = step * (len(having_say) - len(ranked) - 1) / 2
    places = {o: step * (len(having_say) - 1 - place) for place, o in enumerate(ranked)}
    return {o: places.get(o, rest) for o in having_say}
