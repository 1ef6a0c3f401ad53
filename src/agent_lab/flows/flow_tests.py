"""Tests that a flow carries with it: scripted turns, and what must come of them."""

from pydantic import Field, JsonValue

from agent_lab.contracts import Contract, Language


class ScriptedTurn(Contract):
    """One turn of a test."""

    text: str = ""
    error: str | None = None
    """The `code` of the error with which the turn fails, such as `provider_unavailable`."""


class TextRule(Contract):
    """What a text must and must not hold; everything that is given must be true."""

    equals: str | None = None
    contains: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


class Expectation(Contract):
    """What a test looks at; what is not given is not looked at."""

    status: str = "completed"
    path: tuple[str | tuple[str, ...], ...] | None = None
    """Nodes in the order in which they ran; a list within it: at the same time, in any order."""
    prompts: dict[str, TextRule] = Field(default_factory=dict)
    """By node: the last prompt that it was sent; `node#2` is the one of its second turn."""
    output: TextRule | str | None = None
    calls: int | None = None
    """Turns that asked a model."""
    stop_reason: str | None = None
    degraded: bool | None = None
    """Whether something went wrong on the way to the answer."""
    outputs: dict[str, JsonValue] = Field(default_factory=dict)
    """Named outputs and their values."""


class FlowTest(Contract):
    """One test: a run on scripted turns."""

    name: str = Field(min_length=1)
    input: str = Field("A task.", min_length=1)
    inputs: dict[str, JsonValue] = Field(default_factory=dict)
    lang: Language = "en"
    script: dict[str, ScriptedTurn | str | tuple[ScriptedTurn | str, ...]]
    """By role: the answer to every turn, or a list with one for each turn."""
    expect: Expectation
