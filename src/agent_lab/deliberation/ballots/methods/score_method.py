"""A score for each option; every voter's scores are put on one scale before they are added up."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import isqrt

from agent_lab.deliberation.ballots.ballot import Ballot, Policy
from agent_lab.deliberation.ballots.exact import exact, lead
from agent_lab.deliberation.ballots.method_kinds import Outcome, averaged, method

_DIGITS = 30
_COMPARED_DIGITS = 12


def _no_spread(ballot: Ballot, options: int) -> bool:
    """Whoever gives one score to all prefers none of them."""
    return len({exact(score) for score in (ballot.scores or {}).values()}) <= 1


@method(
    "score",
    title={"en": "Scores", "es": "Puntuación"},
    description={
        "en": "Each voter scores the options. How far a score is from the voter's mean counts, in "
        "standard deviations of that voter's scores. The same score for all: abstention.",
        "es": "Cada votante puntúa las opciones. Cuenta la distancia a la media del votante, en "
        "desviaciones típicas de sus notas. La misma nota para todas: abstención.",
    },
    payloads=("scores",),
    monotone=False,
    condorcet=False,
    abstains=_no_spread,
)
def score(ballots: Sequence[Ballot], options: Sequence[str], policy: Policy) -> Outcome:
    """Add up standard scores; the margin is in standard deviations per ballot.

    An option that a voter leaves out is as good as the voter's mean.
    """
    points = dict.fromkeys(options, Fraction(0))
    for ballot in ballots:
        for option, standard in _standard(ballot.scores or {}).items():
            points[option] += standard
    # Roots are cut off; the rounding makes level what differs only by that.
    scores = {o: round(s, _COMPARED_DIGITS) for o, s in averaged(points, ballots).items()}
    return Outcome(scores, lead(scores.values()) / len(ballots))


def _standard(scores: Mapping[str, float]) -> dict[str, Fraction]:
    """Distances from the mean, in standard deviations."""
    read = {option: exact(score) for option, score in scores.items()}
    mean = Fraction(sum(read.values())) / len(read)
    off = {option: score - mean for option, score in read.items()}
    variance = Fraction(sum(distance * distance for distance in off.values())) / len(off)
    return {o: _signed_root(distance * abs(distance) / variance) for o, distance in off.items()}


def _signed_root(value: Fraction) -> Fraction:
    """The square root of the absolute value, with the value's sign, to 30 decimals."""
    root = isqrt(abs(value.numerator) * 10 ** (2 * _DIGITS) // value.denominator)
    return Fraction(root if value > 0 else -root, 10**_DIGITS)
