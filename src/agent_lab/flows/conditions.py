"""Conditions of edges: a small typed JSON tree over named values, never an expression language.

{"op": "gte", "left": {"var": "score"}, "right": 0.7}
{"op": "and", "of": [CONDITION, …]}      {"op": "not", "of": [CONDITION]}
"""

import operator
from collections.abc import Callable, Mapping
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


class Combination(Contract):
    """All, any, or none of some conditions."""

    op: Literal["and", "or", "not"]
    of: tuple["Condition", ...] = Field(min_length=1)


Condition = Annotated[Comparison | Combination, Field(discriminator="op")]
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


def holds(condition: Comparison | Combination, values: Mapping[str, Value]) -> bool:
    """Whether a condition is true of some values; a name without a value is None."""
    if isinstance(condition, Combination):
        return _COMBINE[condition.op]([holds(part, values) for part in condition.of])
    try:
        return _COMPARE[condition.op](
            _value(condition.left, values), _value(condition.right, values)
        )
    except TypeError:
        return False


def variables(condition: Comparison | Combination) -> set[str]:
    """The names that a condition reads."""
    if isinstance(condition, Combination):
        return {name for part in condition.of for name in variables(part)}
    sides = (condition.left, condition.right)
    return {side.var for side in sides if isinstance(side, Variable)}


def _value(operand: Variable | Value, values: Mapping[str, Value]) -> Value:
    return values.get(operand.var) if isinstance(operand, Variable) else operand
