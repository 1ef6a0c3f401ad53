"""Reads a flow from JSON that nobody has checked: what keeps an object from being one."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from agent_lab.contracts import FlowBudget
from agent_lab.flows.conditions import Combination, Comparison, Routed, Variable
from agent_lab.flows.flow_tests import Expectation, FlowTest, ScriptedTurn, TextRule
from agent_lab.flows.graph_configs import (
    EdgeConfig,
    FlowConfig,
    GroupConfig,
    LoopConfig,
    Member,
    NodeConfig,
)
from agent_lab.flows.inputs import InputConfig, InputRef
from agent_lab.flows.validation.faults import Fault, field_of, near
from agent_lab.flows.validation.wrong_json import Place, at, is_unknown, misfits, sentences

MOST_LEVELS = 100
"""Objects and lists within each other; a condition takes two for each level of its own."""
MOST_BITS = 1024
"""Of a whole number; no field takes a greater one, and writing it takes its time."""

_PARTS: tuple[tuple[str, type[BaseModel]], ...] = (
    (r"", FlowConfig),
    (r"budget", FlowBudget),
    (r"inputs\.\w+", InputConfig),
    (r"nodes\[\d+\]", NodeConfig),
    (r"nodes\[\d+\]\.group", GroupConfig),
    (r"nodes\[\d+\]\.group\.members\.\w+", Member),
    (r"edges\[\d+\]", EdgeConfig),
    (r"loops\[\d+\]", LoopConfig),
    (r"nodes\[\d+\]\.group\.chosen|loops\[\d+\]\.max_rounds", InputRef),
    (r"tests\[\d+\]", FlowTest),
    (r"tests\[\d+\]\.expect", Expectation),
    (r"tests\[\d+\]\.expect\.(output|prompts\..+)", TextRule),
    (r"tests\[\d+\]\.script\..+", ScriptedTurn),
    (r".+\.(left|right)", Variable),
    (r"(edges|loops)\[\d+\]\.(condition|until)(\.of\[\d+\])*", Comparison),
)
"""What stands at a place; of a condition, its `op` says more."""
_BY_OP: dict[Any, type[BaseModel]] = {
    **dict.fromkeys(("and", "or", "not"), Combination),
    "route": Routed,
}


def unsafe(content: Mapping[str, Any]) -> Iterator[Fault]:
    """What no reader should take, whatever it means: too deep, too great, no text."""
    told: set[Place] = set()
    frontier: list[tuple[Any, Place, int]] = [(content, (), 1)]
    while frontier:
        value, place, level = frontier.pop()
        reason = _unsafe(value, level)
        if reason and place not in told:
            told.add(place)
            node, field = _named(content, place)
            yield Fault(code="wrong_value", node=node, field=field, reason=reason)
        if reason:
            continue
        parts: list[tuple[Any, Any]] = []
        if isinstance(value, Mapping):
            parts = list(value.items())
        elif isinstance(value, (list, tuple)):
            parts = list(enumerate(value))
        # A few steps name the place; all of them would be as long as it is deep.
        frontier += [
            (part, (*place, key) if len(place) < 3 else place, level + 1)
            for key, part in reversed(parts)
        ]


def _unsafe(value: Any, level: int) -> str:
    if isinstance(value, (Mapping, list, tuple)) and level > MOST_LEVELS:
        return f"This is nested more than {MOST_LEVELS} levels deep."
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        return "No number here can be that great."
    texts = [value] if isinstance(value, str) else value if isinstance(value, Mapping) else ()
    if any(isinstance(text, str) and _SURROGATE.search(text) for text in texts):
        return "This text holds half a character, which is no Unicode."
    return ""


_SURROGATE = re.compile("[\ud800-\udfff]")


def unreadable(content: Mapping[str, Any], error: ValidationError) -> Iterator[Fault]:
    """What keeps a JSON object from being a flow, one fault for each place."""
    for place, wrongs in misfits(content, error):
        node, field = _named(content, place)
        reason, unknown = sentences(wrongs), is_unknown(wrongs)
        owner = _owner(content, place[:-1]) if unknown else None
        yield Fault(
            code="unknown_field" if unknown else "wrong_value",
            node=node,
            field=field,
            reason=reason,
            fix=near(str(place[-1]), _fields(owner)) if owner else "",
        )


def _named(content: Mapping[str, Any], place: Place) -> tuple[str, str]:
    """The node that a place is in, if it is in one, and the field there."""
    if place[:1] != ("nodes",) or len(place) == 1:
        return "", field_of(place)
    node = at(content, place[:2])
    node_id = node.get("id") if isinstance(node, Mapping) else None
    number = place[1] + 1 if isinstance(place[1], int) else place[1]
    return node_id if isinstance(node_id, str) else f"#{number}", field_of(place[2:])


def _owner(content: Mapping[str, Any], place: Place) -> type[BaseModel] | None:
    field = field_of(place)
    model = next((model for pattern, model in _PARTS if re.fullmatch(pattern, field)), None)
    if model is not Comparison:
        return model
    condition = at(content, place)
    return _BY_OP.get(condition.get("op") if isinstance(condition, Mapping) else None, model)


def _fields(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]
