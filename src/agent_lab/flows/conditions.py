"""Conditions of edges and loops: a small typed JSON tree, never an expression language.

{"op": "gte", "left": {"var": "score"}, "right": 0.7}
{"op": "and", "of": [CONDITION, …]}      {"op": "not", "of": [CONDITION]}
{"op": "route", "router": "route_after_validation", "to": "accept"}
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from agent_lab.contracts import Contract

Value = str | int | float | bool | None


class Variable(Contract):
    """A value of the run, by name."""

    var: str


class Comparison(Contract):
    """Compares two values; values of kinds that cannot be ordered compare as false."""

    op: Literal["eq", "ne", "gt", "gte", "lt", "lte", "contains"]
    left: Variable | Value
    right: Variable | Value


class Routed(Contract):
    """What a router decides: a function of the run's state that code registered by name."""

    op: Literal["route"]
    router: str
    to: str
    """The condition holds if the router says this."""


class Combination(Contract):
    """All, any, or none of some conditions."""

    op: Literal["and", "or", "not"]
    of: tuple["Condition", ...] = Field(min_length=1)


Condition = Annotated[Comparison | Routed | Combination, Field(discriminator="op")]
AnyCondition = Comparison | Routed | Combination
Combination.model_rebuild()

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "contains": lambda left, right: right in left,
}
_COMBINE: dict[str, Callable[[list[bool]], bool]] = {
    "and": all,
    "or": any,
    "not": lambda parts: not any(parts),
}


def _nowhere(router: str) -> str:
    raise LookupError(f"nobody decides for `{router}`")


def holds(
    condition: AnyCondition,
    values: Mapping[str, Value],
    decide: Callable[[str], str] = _nowhere,
) -> bool:
    """Whether a condition is true.

    Args:
        condition: The condition.
        values: What it can read; a name without a value is None.
        decide: What the router of a name says now.
    """
    if isinstance(condition, Combination):
        return _COMBINE[condition.op]([holds(part, values, decide) for part in condition.of])
    if isinstance(condition, Routed):
        return decide(condition.router) == condition.to
    try:
        return _COMPARE[condition.op](
            _value(condition.left, values), _value(condition.right, values)
        )
    except TypeError:
        return False


def variables(condition: AnyCondition) -> set[str]:
    """The names that a condition reads."""
    return {
        side.var
        for leaf in leaves(condition)
        if isinstance(leaf, Comparison)
        for side in (leaf.left, leaf.right)
        if isinstance(side, Variable)
    }


def leaves(condition: AnyCondition) -> Iterator[Comparison | Routed]:
    """The comparisons and routes that a condition is made of."""
    if isinstance(condition, Combination):
        for part in condition.of:
            yield from leaves(part)
    else:
        yield condition


def _value(operand: Variable | Value, values: Mapping[str, Value]) -> Value:
    return values.get(operand.var) if isinstance(operand, Variable) else operand
