"""What a flow can be told: values of each type, and everything that is none."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent_lab.errors import InvalidRequestError
from agent_lab.flows.inputs import InputConfig, InputType, resolve_inputs, unfit

DEFAULTS: dict[InputType, Any] = {
    "integer": 2,
    "number": 0.5,
    "boolean": True,
    "string": "medium",
    "list": ("a",),
    "members": ("security",),
}


def config(kind: InputType, **fields: Any) -> InputConfig:
    return InputConfig.model_validate({"type": kind, "default": DEFAULTS[kind], **fields})


def refused(inputs: dict[str, InputConfig], given: dict[str, Any]) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        resolve_inputs(inputs, given, "mine")
    assert caught.value.hint == "agent-lab flows show mine"
    assert caught.value.http_status == 422
    return caught.value.message


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", 0),
        ("integer", -(10**30)),
        ("number", 1),
        ("number", -0.5),
        ("number", 1e300),
        ("boolean", False),
        ("boolean", True),
        ("string", ""),
        ("string", "{user_input} {{x}}"),
        ("list", []),
        ("list", ["a", {"check": "json"}]),
        ("list", ("a",)),
        ("members", []),
        ("members", ["security", {"id": "legal"}]),
    ],
)
def test_a_value_of_the_right_type_is_taken_as_it_is(kind: InputType, value: Any):
    assert unfit(config(kind), value) == ""
    resolved = resolve_inputs({"x": config(kind)}, {"x": value}, "mine")
    assert resolved == {"x": value}
    assert type(resolved["x"]) is type(value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", True),
        ("integer", False),
        ("integer", "1"),
        ("integer", 1.5),
        ("integer", 2.0),
        ("integer", None),
        ("integer", [1]),
        ("integer", math.nan),
        ("number", True),
        ("number", "0.5"),
        ("number", None),
        ("number", {}),
        ("boolean", 1),
        ("boolean", 0),
        ("boolean", "true"),
        ("boolean", None),
        ("string", 1),
        ("string", True),
        ("string", None),
        ("string", ["medium"]),
        ("list", "a"),
        ("list", {"a": 1}),
        ("list", 1),
        ("list", None),
        ("members", "security"),
        ("members", {"id": "security"}),
        ("members", True),
        ("members", None),
    ],
)
def test_a_value_of_another_type_is_refused_and_never_converted(kind: InputType, value: Any):
    assert unfit(config(kind), value) == f"is no {kind}"
    said = refused({"x": config(kind)}, {"x": value})
    assert said.endswith(f"`x` is `{value}`, which is no {kind}.")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_is_finite(value: float):
    assert unfit(config("number"), value) == "is no finite number"
    assert unfit(config("number", minimum=0, maximum=1), value) == "is no finite number"


@pytest.mark.parametrize(
    ("kind", "value", "wrong"),
    [
        ("integer", 0, "is less than 1"),
        ("integer", 1, ""),
        ("integer", 3, ""),
        ("integer", 4, "is more than 3"),
        ("number", 0.999, "is less than 1"),
        ("number", 3.0, ""),
        ("number", 3.001, "is more than 3"),
        ("list", [], "is less than 1"),
        ("list", ["a"] * 3, ""),
        ("list", ["a"] * 4, "is more than 3"),
        ("members", [], "is less than 1"),
        ("members", ["a", "b", "c", "d"], "is more than 3"),
        ("string", "", ""),
        ("string", "longer than three", ""),
    ],
)
def test_a_range_bounds_numbers_and_how_many_a_list_has(kind: InputType, value: Any, wrong: str):
    assert unfit(config(kind, minimum=1, maximum=3), value) == wrong


@pytest.mark.parametrize(("value", "wrong"), [("low", ""), ("Low", "no"), ("", "no"), (1, "no")])
def test_an_enum_lists_the_texts_that_are_allowed(value: Any, wrong: str):
    choices = config("string", default="low", enum=("high", "low"))
    assert bool(unfit(choices, value)) is bool(wrong)
    assert unfit(choices, "x") == "is none of `high`, `low`"


def test_what_is_not_given_has_its_default():
    inputs: dict[str, InputConfig] = {kind: config(kind) for kind in DEFAULTS}
    assert resolve_inputs(inputs, {}, "mine") == DEFAULTS
    assert resolve_inputs(inputs, {"integer": 7}, "mine") == {**DEFAULTS, "integer": 7}


def test_every_value_that_is_wrong_is_told_at_once():
    inputs = {"rounds": config("integer", maximum=5), "floor": config("string")}
    assert refused(inputs, {"rounds": 6, "flor": "low", "floor": 1}) == (
        "Flow `mine` cannot take these inputs: `rounds` is `6`, which is more than 5. "
        "`flor` is no input; did you mean `floor`. `floor` is `1`, which is no string."
    )


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "`x` is no input; there are none."),
        ({"rounds": config("integer")}, "`x` is no input; there are `rounds`."),
    ],
)
def test_an_unknown_input_is_refused_with_those_that_there_are(inputs: Any, said: str):
    assert refused(inputs, {"x": 1}).endswith(said)


def test_a_long_value_is_cut_in_the_message():
    assert refused({"x": config("integer")}, {"x": "y" * 1_000}).endswith(
        f"`x` is `{'y' * 40}…`, which is no integer."
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "float"},
        {"type": "integer"},
        {"type": "integer", "default": None},
        {"type": "list", "default": [1]},
        {"type": "list", "default": [None]},
        {"type": "integer", "default": 1, "minimum": "1"},
        {"type": "number", "default": math.nan},
        {"type": "integer", "default": 1, "maximun": 2},
    ],
)
def test_an_input_that_makes_no_sense_is_refused(fields: dict[str, Any]):
    with pytest.raises(ValidationError):
        InputConfig.model_validate(fields)


@pytest.mark.parametrize("default", [True, 1, 1.0, "1"])
def test_a_default_keeps_its_type(default: Any):
    made = InputConfig.model_validate({"type": "string", "default": default})
    assert type(made.default) is type(default)


@given(
    st.sampled_from(sorted(DEFAULTS)),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.lists(st.text() | st.integers(), max_size=3)
    | st.dictionaries(st.text(), st.integers(), max_size=2),
)
def test_whatever_is_given_is_taken_unchanged_or_refused(kind: InputType, value: Any):
    inputs = {"x": config(kind, minimum=-10, maximum=10)}
    if unfit(inputs["x"], value):
        assert "`x` is `" in refused(inputs, {"x": value})
        return
    assert resolve_inputs(inputs, {"x": value}, "mine")["x"] is value
    assert isinstance(value, bool) is (kind == "boolean")
