import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from agent_lab.flows.conditions import (
    AnyCondition,
    Combination,
    Comparison,
    Condition,
    Value,
    Variable,
    holds,
    variables,
)

ADAPTER: TypeAdapter[AnyCondition] = TypeAdapter(Condition)
ORDERS = ["gt", "gte", "lt", "lte"]
NAMES = ["score", "creator_output", "challenger_status", "round"]

# JSON has no infinity: a flow cannot hold one, a value of a run can.
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
literals = st.none() | numbers | st.text(max_size=5)
values = literals | st.floats()


def trees(literals: st.SearchStrategy[Value]) -> st.SearchStrategy[AnyCondition]:
    """Random conditions over `literals` and the values of `NAMES`."""
    operands = st.builds(Variable, var=st.sampled_from(NAMES)) | literals
    comparisons = st.builds(
        Comparison,
        op=st.sampled_from(["eq", "ne", *ORDERS, "contains"]),
        left=operands,
        right=operands,
    )
    return st.recursive(
        comparisons,
        lambda inner: st.builds(
            Combination,
            op=st.sampled_from(["and", "or", "not"]),
            of=st.lists(inner, min_size=1, max_size=3).map(tuple),
        ),
        max_leaves=8,
    )


conditions = trees(literals)
states = st.dictionaries(st.sampled_from(NAMES), values)


def parse(tree: Mapping[str, Any]) -> AnyCondition:
    return ADAPTER.validate_python(tree)


@pytest.mark.parametrize(
    ("op", "less", "equal", "greater"),
    [
        ("eq", False, True, False),
        ("ne", True, False, True),
        ("gt", False, False, True),
        ("gte", False, True, True),
        ("lt", True, False, False),
        ("lte", True, True, False),
    ],
)
@pytest.mark.parametrize(("low", "high"), [(1, 2), (0.5, 1), (-1, 0.0), ("a", "b"), (False, True)])
def test_a_comparison_orders_left_before_right(
    op: str, less: bool, equal: bool, greater: bool, low: Value, high: Value
):
    for left, right, expected in [
        (low, high, less),
        (low, low, equal),
        (high, high, equal),
        (high, low, greater),
    ]:
        assert holds(parse({"op": op, "left": left, "right": right}), {}) is expected


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("the verdict is APPROVED", "APPROVED", True),
        ("the verdict is APPROVED", "REJECTED", False),
        ("abc", "", True),
        ("", "a", False),
        ("Approved", "approved", False),
        ("12", 1, False),
        (12, 1, False),
        (None, "a", False),
        ("None", None, False),
    ],
)
def test_contains_looks_for_a_text_in_a_text(left: Value, right: Value, expected: bool):
    assert holds(parse({"op": "contains", "left": left, "right": right}), {}) is expected


@pytest.mark.parametrize(
    ("op", "parts", "expected"),
    [
        ("and", [True, True], True),
        ("and", [True, False], False),
        ("and", [False, False], False),
        ("or", [True, True], True),
        ("or", [True, False], True),
        ("or", [False, False], False),
        ("not", [True], False),
        ("not", [False], True),
        ("not", [True, False], False),
        ("not", [False, False], True),
    ],
)
def test_combinations_have_their_truth_table(op: str, parts: list[bool], expected: bool):
    of = [{"op": "eq", "left": part, "right": True} for part in parts]
    assert holds(parse({"op": op, "of": of}), {}) is expected


def test_a_variable_reads_a_value_by_its_name():
    condition = parse({"op": "gte", "left": {"var": "score"}, "right": 0.7})
    assert holds(condition, {"score": 0.7})
    assert not holds(condition, {"score": 0.6})


ROUTED = {"op": "route", "router": "route_after_validation", "to": "retry"}


@pytest.mark.parametrize(("says", "expected"), [("retry", True), ("accept", False)])
def test_a_route_holds_if_its_router_says_so(says: str, expected: bool):
    asked: list[str] = []

    def decide(router: str) -> str:
        asked.append(router)
        return says

    assert holds(parse(ROUTED), {}, decide) is expected
    assert holds(parse({"op": "not", "of": [ROUTED]}), {}, decide) is not expected
    assert asked == ["route_after_validation"] * 2
    assert variables(parse(ROUTED)) == set()


def test_without_anybody_who_decides_a_route_is_an_error():
    with pytest.raises(LookupError, match="route_after_validation"):
        holds(parse(ROUTED), {})


def test_both_sides_can_be_variables():
    condition = parse({"op": "lt", "left": {"var": "round"}, "right": {"var": "score"}})
    assert holds(condition, {"round": 1, "score": 2})
    assert not holds(condition, {"round": 2, "score": 1})


def test_a_text_that_spells_a_name_is_a_text():
    assert not holds(parse({"op": "eq", "left": "score", "right": 1}), {"score": 1})


def test_a_name_without_a_value_is_none():
    assert holds(parse({"op": "eq", "left": {"var": "score"}, "right": None}), {})
    assert not holds(parse({"op": "gte", "left": {"var": "score"}, "right": 0}), {})


@given(condition=conditions, state=states)
def test_not_inverts(condition: AnyCondition, state: dict[str, Value]):
    negated = Combination(op="not", of=(condition,))
    assert holds(negated, state) is not holds(condition, state)


@given(parts=st.lists(conditions, min_size=1, max_size=4).map(tuple), state=states)
def test_and_or_and_not_agree_with_all_any_and_none(parts: Any, state: dict[str, Value]):
    truths = [holds(part, state) for part in parts]
    assert holds(Combination(op="and", of=parts), state) is all(truths)
    assert holds(Combination(op="or", of=parts), state) is any(truths)
    assert holds(Combination(op="not", of=parts), state) is not any(truths)


@given(condition=conditions, state=states)
def test_a_condition_always_answers_yes_or_no(condition: AnyCondition, state: dict[str, Value]):
    assert type(holds(condition, state)) is bool


@given(op=st.sampled_from(ORDERS), text=st.text(max_size=5), other=st.none() | numbers)
def test_kinds_that_have_no_order_compare_as_false(op: str, text: str, other: Value):
    assert not holds(parse({"op": op, "left": text, "right": other}), {})
    assert not holds(parse({"op": op, "left": other, "right": text}), {})


@given(op=st.sampled_from(ORDERS), other=literals)
def test_none_has_no_order(op: str, other: Value):
    assert not holds(parse({"op": op, "left": None, "right": other}), {})


@given(left=st.text(max_size=5), right=numbers)
def test_different_kinds_are_not_equal(left: str, right: Value):
    assert not holds(parse({"op": "eq", "left": left, "right": right}), {})
    assert holds(parse({"op": "ne", "left": left, "right": right}), {})


@given(condition=conditions)
def test_variables_are_the_names_that_stand_anywhere_in_the_tree(
    condition: AnyCondition,
):
    text = condition.model_dump_json()
    assert variables(condition) == {name for name in NAMES if f'{{"var":"{name}"}}' in text}


@given(condition=trees(st.none() | numbers.filter(math.isfinite) | st.text(max_size=5)))
def test_a_condition_survives_json_unchanged(condition: AnyCondition):
    assert ADAPTER.validate_json(ADAPTER.dump_json(condition)) == condition


@given(condition=conditions, state=states)
def test_only_its_variables_decide_a_condition(condition: AnyCondition, state: dict[str, Value]):
    relevant = {name: state[name] for name in variables(condition) & set(state)}
    assert holds(condition, relevant) is holds(condition, state)


@pytest.mark.parametrize(
    "tree",
    [
        {"op": "eval", "left": 1, "right": 1},
        {"op": "matches", "left": "a", "right": "(a+)+"},
        {"op": "EQ", "left": 1, "right": 1},
        {"op": "", "left": 1, "right": 1},
        {"left": 1, "right": 1},
        {"op": "xor", "of": [{"op": "eq", "left": 1, "right": 1}]},
        {"op": "and", "of": [{"op": "exec", "left": 1, "right": 1}]},
    ],
)
def test_an_unknown_op_is_refused(tree: dict[str, Any]):
    with pytest.raises(ValidationError, match="op"):
        parse(tree)


@pytest.mark.parametrize(
    "tree",
    [
        "score >= 0.7",
        {"op": "eq", "left": 1},
        {"op": "eq", "left": 1, "right": 1, "else": 2},
        {"op": "eq", "left": {"var": "a", "call": "b"}, "right": 1},
        {"op": "eq", "left": {"op": "eq", "left": 1, "right": 1}, "right": 1},
        {"op": "eq", "left": [1], "right": 1},
        {"op": "and", "of": []},
        {"op": "not"},
        {"op": "and", "left": 1, "right": 1},
    ],
)
def test_a_tree_of_another_shape_is_refused(tree: Any):
    with pytest.raises(ValidationError):
        parse(tree)
