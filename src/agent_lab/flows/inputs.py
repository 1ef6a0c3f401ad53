"""What a flow can be told beside the task: named inputs, and their values for one run."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from math import isfinite
from typing import Any, Literal

from pydantic import Field

from agent_lab.contracts import Contract, JsonObject
from agent_lab.errors import InvalidRequestError
from agent_lab.flows.prompt_templates import LocalizedText

Scalar = str | int | float | bool
InputType = Literal["integer", "number", "boolean", "string", "list", "members"]


class InputRef(Contract):
    """Stands where a value is wanted that the caller may choose: `{"input": "rounds"}`."""

    input: str


class InputConfig(Contract):
    """One named input."""

    type: InputType
    """`members`: who takes part in a group, as ids that the flow knows or as whole members;
    `list`: what a node's `config` takes as a list, such as checks.
    """
    default: Scalar | tuple[str | JsonObject, ...]
    minimum: float | None = Field(None, strict=True)
    """Least number; of a list: how few."""
    maximum: float | None = Field(None, strict=True)
    """Greatest number; of a list: how many."""
    enum: tuple[str, ...] = Field(())
    """The texts that are allowed; empty: any."""
    description: LocalizedText = ""


Inputs = Mapping[str, InputConfig]

_PYTHON: dict[InputType, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "string": (str,),
    "list": (list, tuple),
    "members": (list, tuple),
}


def resolve_inputs(inputs: Inputs, given: Mapping[str, Any], flow: str) -> dict[str, Any]:
    """The value of every input: the caller's, else the default.

    Args:
        inputs: The flow's inputs.
        given: What the caller chose, as JSON has it.
        flow: The flow's name, for messages.

    Raises:
        InvalidRequestError: With everything that is wrong with what was given.
    """
    problems = [p for name, value in given.items() for p in _unfit(inputs, name, value)]
    if problems:
        raise InvalidRequestError(
            f"Flow `{flow}` cannot take these inputs: {' '.join(problems)}",
            hint=f"agent-lab flows show {flow}",
        )
    return {name: given.get(name, config.default) for name, config in inputs.items()}


def unfit(config: InputConfig, value: Any) -> str:
    """What is wrong with a value of an input, as the end of a sentence; empty: nothing."""
    allowed = _PYTHON[config.type]
    if not isinstance(value, allowed) or (isinstance(value, bool) and config.type != "boolean"):
        return f"is no {config.type}"
    if isinstance(value, float) and not isfinite(value):
        return "is no finite number"
    if config.enum and value not in config.enum:
        return "is none of " + ", ".join(f"`{choice}`" for choice in config.enum)
    if isinstance(value, str):
        return ""
    size: Any = len(value) if isinstance(value, (list, tuple)) else value
    if config.minimum is not None and size < config.minimum:
        return f"is less than {config.minimum:g}"
    if config.maximum is not None and size > config.maximum:
        return f"is more than {config.maximum:g}"
    return ""


def _unfit(inputs: Inputs, name: str, value: Any) -> Iterator[str]:
    if name not in inputs:
        near = get_close_matches(name, inputs, n=1, cutoff=0.5)
        listed = ", ".join(f"`{known}`" for known in near or inputs) or "none"
        lead = "did you mean" if near else "there are"
        yield f"`{name}` is no input; {lead} {listed}."
        return
    reason = unfit(inputs[name], value)
    if reason:
        yield f"`{name}` is `{_short(value)}`, which {reason}."


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:40] + "…"
