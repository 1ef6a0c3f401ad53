"""The splitter: parts of about equal length, cut where the text has its seams."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.orchestrator.agent_state import AgentState, StateUpdate, updated
from agent_lab.orchestrator.condition_values import condition_values
from agent_lab.orchestrator.nodes.splitter_node import MOST_PARTS, split
from tests.orchestrator.conftest import (
    begun,
    fenced_in,
    outside_fences,
    planned,
    ran,
    speaker,
    spoke,
    staged,
    worked,
)

PIECES = st.lists(st.text("abc d\t", min_size=1, max_size=20).filter(str.strip), max_size=12)
BY = st.sampled_from(["paragraph", "line"])


async def cut(state: AgentState, **config: Any) -> StateUpdate:
    plan = planned(
        speaker("writer"),
        {"id": "splitter", "type": "splitter", "config": config},
        edges="writer-splitter",
    )
    return await worked(plan, "splitter", state, staged({}))


@pytest.mark.parametrize(
    ("text", "by", "parts", "expected"),
    [
        ("a\n\nb", "paragraph", 2, ["a", "b"]),
        ("a\nb\n \nc", "paragraph", 2, ["a\nb", "c"]),
        ("a\nb\nc\nd", "line", 2, ["a\nb", "c\nd"]),
        ("a\n\n\nb", "line", 2, ["a", "b"]),
        ("one", "line", 3, ["", "one", ""]),
        ("", "line", 2, ["", ""]),
        ("long long long\na\nb", "line", 2, ["long long long", "a\nb"]),
        ("a\nb\nlong long long", "line", 2, ["a\nb", "long long long"]),
        ("a\nb\nc", "line", 1, ["a\nb\nc"]),
    ],
)
def test_a_text_is_cut_at_its_seams_into_parts_of_about_equal_length(
    text: str, by: Any, parts: int, expected: list[str]
):
    assert split(text, by, parts) == expected


@given(pieces=PIECES, by=BY, parts=st.integers(1, MOST_PARTS))
def test_no_piece_is_lost_doubled_or_moved(pieces: list[str], by: Any, parts: int):
    joint = "\n\n" if by == "paragraph" else "\n"
    made = split(joint.join(pieces), by, parts)
    assert len(made) == parts
    assert joint.join(part for part in made if part) == joint.join(pieces).strip()


@given(length=st.integers(1, 40), parts=st.integers(1, MOST_PARTS))
def test_equal_pieces_are_shared_out_evenly(length: int, parts: int):
    made = split("\n".join(["x"] * length), "line", parts)
    counts = [part.count("x") for part in made]
    assert sum(counts) == length
    assert max(counts) - min(counts) <= 1


async def test_the_task_is_cut_unless_a_node_is_named():
    state = spoke(begun("task one\n\ntask two"), writer="text one\n\ntext two")
    update = await cut(state)
    assert fenced_in(str(update["values"]["splitter_part_1"]), "part") == "task one"
    update = await cut(state, text="writer")
    assert fenced_in(str(update["values"]["splitter_part_2"]), "part") == "text two"


async def test_each_part_is_a_value_in_a_fence_and_their_number_is_one_too():
    update = await cut(begun("ab </part> b\n\n{user_input}\n\nthe last one"), parts=3)
    values = update["values"]
    assert set(values) == {f"splitter_part_{i}" for i in (1, 2, 3)} | {"splitter_parts"}
    assert values["splitter_parts"] == 3
    for i in (1, 2, 3):
        assert outside_fences(str(values[f"splitter_part_{i}"])) == ""
    assert fenced_in(str(values["splitter_part_2"]), "part") == "{user_input}"


async def test_where_there_are_fewer_pieces_than_parts_some_parts_are_empty():
    update = await cut(begun("only one"), parts=3)
    assert update["values"]["splitter_parts"] == 1
    texts = [fenced_in(str(update["values"][f"splitter_part_{i}"]), "part") for i in (1, 2, 3)]
    assert sorted(texts) == ["", "", "only one"]


async def test_conditions_can_ask_how_many_parts_there_are(fresh: AgentState):
    update = await cut(begun("a\n\nb"), parts=4)
    assert condition_values(updated(fresh, update))["splitter_parts"] == 2


async def test_the_text_of_a_node_that_gave_none_has_no_parts():
    update = await cut(begun("the task"), text="writer")
    assert update["values"]["splitter_parts"] == 0
    assert update["outputs"] == {"splitter": ""}


async def test_the_parts_are_worked_on_at_the_same_time_each_by_its_own_role():
    plan = planned(
        {"id": "splitter", "type": "splitter"},
        speaker("left", "{splitter_part_1}"),
        speaker("right", "{splitter_part_2}"),
        speaker("joiner", "{left_output}{right_output}"),
        edges="splitter-left splitter-right left-joiner right-joiner",
    )
    stage = staged(lambda call: call.role, request={"input": "first\n\nsecond"})
    outcome = await ran(plan, stage)
    assert fenced_in(stage.prompt("left"), "part") == "first"
    assert fenced_in(stage.prompt("right"), "part") == "second"
    assert outcome.output == "joiner"
