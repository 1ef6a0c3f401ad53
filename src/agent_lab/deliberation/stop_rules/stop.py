"""When a deliberation has gone on long enough: what a rule sees, what it says, how rules combine.

A rule is a pure function of where the votes stand. Limits of money, time and rounds, the quorum and
the ledger of issues are watched elsewhere; their reasons stand here for the order alone.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, ClassVar, Literal, NamedTuple, TypeAlias

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from agent_lab.contracts import Contract
from agent_lab.deliberation.trajectory import Round
from agent_lab.plugins import Registry

PRECEDENCE = (
    "cancelled",
    "budget",
    "wall_clock",
    "no_quorum",
    "issues_closed",
    "unassailable_lead",
    "posterior",
    "agreement",
    "max_rounds",
)
"""Stop reasons, the one that is told first; any other comes before `max_rounds`."""


class Standing(NamedTuple):
    """Where a deliberation stands when a rule is asked."""

    votes: Mapping[str, int]
    """Votes of the current round so far, by key."""
    remaining: int
    """Voters who have neither voted nor failed in this round yet."""
    eligible: int
    """Voters there were when the run started."""
    rounds: Sequence[Round] = ()
    """The complete rounds, in order."""
    to_quorum: int = 0
    """How many more ballots the count needs to be valid."""

    def two_highest(self) -> tuple[int, int]:
        """The votes of the leader and of the one behind; 0 where there is none."""
        first, second, *_rest = sorted((*self.votes.values(), 0, 0), reverse=True)
        return first, second


class Stop(Contract):
    """Why to go no further."""

    reason: str
    """The name of the rule that fired."""
    detail: str = ""
    """What it saw."""
    also: tuple["Stop", ...] = ()
    """The others that fired, in the order of precedence."""

    def reasons(self) -> tuple[str, ...]:
        """All that fired, the one that is told first."""
        return (self.reason, *(stop.reason for stop in self.also))


Rule: TypeAlias = Callable[[Standing], Stop | None]
"""Says whether to stop: always the same about the same standing."""


class StopRule(Contract):
    """A rule with its parameters as fields."""

    sees: ClassVar[Literal["votes", "rounds"]] = "votes"
    """What it looks at: the votes of a round as they come, or complete rounds."""

    @abstractmethod
    def __call__(self, standing: Standing) -> Stop | None:
        """Say why to stop; None: go on."""


STOP_RULES: Registry[type[StopRule]] = Registry(
    "stop rule", ("agent_lab.deliberation.stop_rules",), "_rule", "agent_lab.stop_rules"
)


def known_rule(name: str) -> str:
    """The name of a rule.

    Raises:
        PydanticCustomError: There is no such rule.
    """
    if name not in STOP_RULES.names():
        listed = ", ".join(f"`{known}`" for known in sorted(STOP_RULES.names()))
        raise PydanticCustomError(
            "stop_rule",
            "there is no stop rule `{name}`; there are {listed}",
            {"name": name, "listed": listed},
        )
    return name


RuleName: TypeAlias = Annotated[str, AfterValidator(known_rule)]


def rule_of(name: str, parameters: Mapping[str, object] | None = None) -> StopRule:
    """The rule of a name.

    Raises:
        UnknownPluginError: There is none.
        pydantic.ValidationError: A parameter is wrong.
    """
    return STOP_RULES.get(name).model_validate(parameters or {})


def in_order(reasons: Iterable[str]) -> tuple[str, ...]:
    """Stop reasons without repetition, the one that is told first; unknown ones by name."""
    fired = set(reasons)
    *known, last = PRECEDENCE
    ordered = (*known, *sorted(fired - set(PRECEDENCE)), last)
    return tuple(reason for reason in ordered if reason in fired)


def first_of(stops: Iterable[Stop]) -> Stop | None:
    """The stop that is told first, with all others in it; None: there are none."""
    alone = [stop.model_copy(update={"also": ()}) for top in stops for stop in (top, *top.also)]
    by_reason = {stop.reason: stop for stop in reversed(alone)}
    ordered = [by_reason[reason] for reason in in_order(by_reason)]
    return ordered[0].model_copy(update={"also": tuple(ordered[1:])}) if ordered else None


def any_of(rules: Sequence[Rule]) -> Rule:
    """A rule that fires when one of these does, and tells all that do."""
    return lambda standing: first_of(_fired(rules, standing))


def all_of(rules: Sequence[Rule]) -> Rule:
    """A rule that fires when all of these do; of no rules: never."""

    def fires(standing: Standing) -> Stop | None:
        fired = _fired(rules, standing)
        return first_of(fired) if len(fired) == len(rules) else None

    return fires


def _fired(rules: Sequence[Rule], standing: Standing) -> list[Stop]:
    return [stop for rule in rules if (stop := rule(standing))]
