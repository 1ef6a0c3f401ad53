"""A role's turn: asked once with its own prompt, handed on as it is, never raised."""

from typing import Any

import pytest

from agent_lab.errors import ProviderUnavailableError
from agent_lab.orchestrator.agent_state import AgentState
from agent_lab.orchestrator.run_context import Place
from agent_lab.providers.local.scripted_provider import ScriptedReply
from tests.orchestrator.conftest import (
    TASK,
    begun,
    fenced_in,
    lost,
    planned,
    speaker,
    spoke,
    staged,
    worked,
)

PLAN = planned(
    speaker("first", "Say something."),
    speaker("second", "{first_output}\n\nSay more."),
    edges="first-second",
)


async def test_the_role_is_asked_once_and_its_text_is_handed_on(fresh: AgentState):
    stage = staged({"first": "an answer"})
    update = await worked(PLAN, "first", fresh, stage)
    assert update == {
        "outputs": {"first": "an answer"},
        "failures": {"first": None},
        "models": {"first": "scripted"},
        "degraded": {"first": ""},
    }
    assert stage.roles == ["first"]


async def test_marks_that_a_model_copied_from_its_prompt_are_no_part_of_its_text(
    fresh: AgentState,
):
    text = '<draft id="0123abcd">\nan answer\n</draft>'
    stage = staged({"first": text})
    update = await worked(PLAN, "first", fresh, stage)
    assert update["outputs"] == {"first": "an answer"}
    assert stage.turns[0].text == text


async def test_the_prompt_is_the_shared_head_then_the_roles_own_part(fresh: AgentState):
    stage = staged({"first": "an answer"})
    await worked(PLAN, "first", fresh, stage)
    assert stage.prompt("first") == f"# Task\n\n{TASK}\n\nSay something."


async def test_another_roles_text_comes_fenced(fresh: AgentState):
    stage = staged({"second": "more"})
    await worked(PLAN, "second", spoke(fresh, first="the text"), stage)
    assert fenced_in(stage.prompt("second"), "first_output") == "the text"


@pytest.mark.parametrize(
    "reply",
    [
        ProviderUnavailableError("gone"),
        OSError("cut"),
        "",
        " \n\t ",
        ScriptedReply(reasoning="only thoughts"),
        '<draft id="0123abcd">\n\n</draft>',
    ],
    ids=["error", "fault of the network", "nothing", "white space", "thoughts", "copied marks"],
)
async def test_a_turn_without_a_text_is_a_failure_and_leaves_the_last_text(
    fresh: AgentState, reply: Any
):
    stage = staged({"first": reply})
    update = await worked(PLAN, "first", spoke(fresh, first="the text before"), stage)
    assert set(update) == {"failures"}
    assert update["failures"]["first"] is not None
    assert [turn.status for turn in stage.turns] == ["failed"]


async def test_a_role_whose_ground_is_lost_is_not_asked(fresh: AgentState):
    stage = staged({"second": "never asked"})
    update = await worked(PLAN, "second", lost(fresh, "first"), stage)
    failure = update["failures"]["second"]
    assert failure is not None
    assert failure.code == "not_asked"
    assert "`first`" in failure.message
    assert stage.turns == []


async def test_reasoning_is_kept_in_the_turn_and_not_handed_on(fresh: AgentState):
    stage = staged({"first": ScriptedReply("the text", reasoning="a thought")})
    update = await worked(PLAN, "first", fresh, stage)
    assert stage.turns[0].reasoning == "a thought"
    assert update["outputs"] == {"first": "the text"}


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_the_prompt_is_in_the_language_of_the_run(lang: Any):
    plan = planned(speaker("a", {"en": "Speak.", "es": "Habla."}))  # type: ignore[arg-type]
    stage = staged({"a": "x"})
    await worked(plan, "a", begun(TASK, lang), stage)
    assert stage.prompt("a").endswith({"en": "Speak.", "es": "Habla."}[lang])


async def test_the_turn_has_the_place_of_its_node(fresh: AgentState):
    stage = staged({"first": "x"})
    await worked(PLAN, "first", fresh, stage, Place(round=3, visit=2, retry=1))
    [turn] = stage.turns
    assert (turn.round, turn.visit, turn.retry) == (3, 2, 1)
    assert (turn.node_id, turn.path, turn.role) == ("first", "first", "first")


async def test_a_node_that_is_asked_again_is_told_its_own_last_text_where_it_asks(
    retried: AgentState,
):
    plan = planned(
        speaker("answer", "{own_last}\n\n{validator_feedback}"),
        {
            "id": "validator",
            "type": "output_validator",
            "config": {"answer": "answer", "checks": [{"check": "length", "min_words": 2}]},
        },
        edges="answer-validator",
    )
    stage = staged({"answer": "done"})
    await worked(plan, "answer", retried, stage)
    assert fenced_in(stage.prompt("answer"), "own_output") == "TODO"
    assert stage.prompt("answer").endswith("Write the rest.")
