"""What a schema leaves open gets an end, and what has one stays as it is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.providers.local.engines.bounded_schema import LONGEST, SHORTEST, bounded

OPEN = {"type": "string"}


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def test_one_open_string_gets_two_characters_a_token():
    closed = bounded(an_object(reason=OPEN), 120)
    assert closed["properties"]["reason"] == {"type": "string", "maxLength": 240}


def test_open_strings_share_the_limit():
    closed = bounded(an_object(a=OPEN, b={"type": "array", "items": OPEN}), 100)
    assert closed["properties"]["a"]["maxLength"] == 100
    assert closed["properties"]["b"] == {
        "type": "array",
        "items": {"type": "string", "maxLength": 100},
        "maxItems": 32,
    }


@pytest.mark.parametrize("max_tokens", [1, 10**6])
def test_bounds_are_neither_too_short_to_say_anything_nor_too_long_for_a_grammar(max_tokens: int):
    assert SHORTEST <= bounded(OPEN, max_tokens)["maxLength"] <= LONGEST


def test_what_must_be_longer_is():
    assert bounded({"type": "string", "minLength": 40}, 4)["maxLength"] == 40


@pytest.mark.parametrize(
    "part",
    [
        {"type": "string", "maxLength": 7},
        {"type": "string", "enum": ["a", "b"]},
        {"const": "x", "type": "string"},
        {"type": "array", "maxItems": 2, "items": {"type": "integer"}},
        {"type": "integer", "minimum": 3},
    ],
)
def test_what_bounds_itself_stays_as_it_is(part: dict[str, Any]):
    assert bounded(an_object(x=part), 50) == an_object(x=part)


@given(st.recursive(st.none() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)))
def test_what_is_no_schema_is_the_engines_to_refuse(value: Any):
    assert bounded({"anyOf": value}, 10) == {"anyOf": value} or "type" in str(value)
