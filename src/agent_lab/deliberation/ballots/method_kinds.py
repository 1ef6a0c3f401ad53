"""The methods by which ballots are counted, found by name."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from agent_lab.contracts import JsonObject, Language
from agent_lab.deliberation.ballots.ballot import Ballot, Payload, Policy
from agent_lab.plugins import Registry


class Outcome(NamedTuple):
    """What a method makes of ballots."""

    scores: Mapping[str, Fraction]
    """By option; those with the highest are level at the top."""
    margin: Fraction
    """Of the first before the second, as a share of what decides."""
    counts: tuple[JsonObject, ...] = ()
    """The steps that led to the scores."""
    reached: bool = True
    """Whether the first has what it takes to win."""


MethodFunction = Callable[[Sequence[Ballot], Sequence[str], Policy], Outcome]
"""Takes ballots that say something (what they say on an option on which they have no say is taken
out, `recused` names every such option), and the options on which somebody has a say: at least one
of each.
"""
Abstains = Callable[[Ballot, int], bool]
"""Whether a ballot says nothing, by the number of options on which it has a say."""


def _never(ballot: Ballot, options: int) -> bool:
    return False


class Method(NamedTuple):
    """A method: what it is, and what counts."""

    name: str
    title: Mapping[Language, str]
    description: Mapping[Language, str]
    payloads: tuple[Payload, ...]
    """What its ballots can say."""
    monotone: bool
    """Whether a winner that gains support always stays a winner."""
    condorcet: bool
    """Whether an option that beats each of the others in pairs always wins."""
    function: MethodFunction
    abstains: Abstains = _never
    numeric: bool = False
    """Whether options are numbers."""

    def __call__(
        self, ballots: Sequence[Ballot], options: Sequence[str], policy: Policy
    ) -> Outcome:
        """Count."""
        return self.function(ballots, options, policy)


METHODS: Registry[Method] = Registry(
    "ballot method", ("agent_lab.deliberation.ballots.methods",), "_method", "agent_lab.ballots"
)


def method(name: str, **described: Any) -> Callable[[MethodFunction], Method]:
    """Decorator: makes a function a method.

    Args:
        name: Its name; the module is `<name>_method.py`.
        described: Further fields of `Method`.
    """

    def decorate(function: MethodFunction) -> Method:
        return METHODS.register(name)(Method(name, function=function, **described))

    return decorate


def averaged(
    points: Mapping[str, Fraction],
    ballots: Sequence[Ballot],
    weigh: Callable[[Ballot], Fraction] = lambda _: Fraction(1),
) -> dict[str, Fraction]:
    """Points as they would be if every ballot had had a say on every option.

    Args:
        points: By option: the sum over the ballots that have a say on it.
        ballots: All.
        weigh: What a ballot weighs.
    """
    weights = [(ballot, weigh(ballot)) for ballot in ballots]
    whole = sum(weight for _, weight in weights)
    return {
        option: total * whole / sum(w for ballot, w in weights if option not in ballot.recused)
        for option, total in points.items()
    }
