"""The middle of the chosen numbers.

J. W. Tukey, Mathematics and the picturing of data, Proceedings of the International Congress of
Mathematicians, 1975: the middle is the deepest point.
"""

from collections.abc import Sequence
from fractions import Fraction

from agent_lab.deliberation.ballots.ballot import Ballot, Policy
from agent_lab.deliberation.ballots.exact import lead, number
from agent_lab.deliberation.ballots.method_kinds import Outcome, method


@method(
    "median",
    title={"en": "Median", "es": "Mediana"},
    description={
        "en": "Each voter chooses a number; the middle one wins. Of an even count, the two in the "
        "middle are level.",
        "es": "Cada votante elige un número; gana el del medio. Si son pares, los dos del medio "
        "empatan.",
    },
    payloads=("choice",),
    monotone=True,
    condorcet=False,
    numeric=True,
)
def median(ballots: Sequence[Ballot], options: Sequence[str], policy: Policy) -> Outcome:
    """Score numbers by depth, so that the middle has the highest.

    The depth of a chosen number is the count of ballots not below it, or not above it, whichever is
    less; what nobody chose has none. The two in the middle of an even count have the same depth;
    the mean between them need not be an option. The margin is a share of the ballots.
    """
    chosen = {option: number(option) for option in options}
    numbers = [value for b in ballots if (value := chosen.get(b.choice or "")) is not None]
    taken = {ballot.choice for ballot in ballots}
    scores = {
        option: _depth(value, numbers) if value is not None and option in taken else Fraction(0)
        for option, value in chosen.items()
    }
    return Outcome(scores, lead(scores.values()) / len(ballots))


def _depth(value: Fraction, numbers: Sequence[Fraction]) -> Fraction:
    not_above, not_below = sum(n <= value for n in numbers), sum(n >= value for n in numbers)
    return Fraction(min(not_above, not_below))
