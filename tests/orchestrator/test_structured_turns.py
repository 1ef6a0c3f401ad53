"""Answers with a form: asked once, once more if they cannot be read, and never guessed."""

from typing import Any

import pytest

from agent_lab.contracts import Message
from agent_lab.errors import ProviderUnavailableError
from agent_lab.orchestrator.structured_turns import UNREADABLE, Form, Heard, ask
from tests.orchestrator.conftest import Stage, begun, fenced_in, planned, speaker, staged

PLAN = planned(speaker("voter", "Say a colour."), system_prompt="Be brief.")
WHOLE = {"type": "object", "properties": {"reason": {"type": "string"}, "colour": {}}}
PART = {"type": "object", "properties": {"colour": {}}}
COLOURS = ("red", "green", "blue")


def form(**changes: Any) -> Form[str]:
    fields: dict[str, Any] = {
        "schema": WHOLE,
        "repair_schema": PART,
        "repair": "Say the colour alone.",
        "read": lambda text, native: text if len(text.split()) == 1 else None,
        "problem": lambda part: "" if part in COLOURS else "no_colour",
    }
    return Form(**{**fields, **changes})


async def asked(*replies: Any, path: str = "", **changes: Any) -> tuple[Heard[str], Stage]:
    stage = staged({"voter": list(replies)})
    config = PLAN.node("voter")
    sent = (Message(role="user", content="Say a colour."),)
    heard = await ask(config, PLAN, begun(), stage.run, sent, form(**changes), path=path)
    return heard, stage


async def test_what_can_be_read_is_asked_for_once():
    heard, stage = await asked("red", "never said")
    assert (heard.part, heard.repaired, heard.problem, heard.error) == ("red", False, "", None)
    assert [call.params["response_schema"] for call in stage.provider.calls] == [WHOLE]


async def test_what_cannot_be_read_is_asked_for_once_more_as_that_part_alone():
    heard, stage = await asked("I like red best.", "red", "never said")
    assert (heard.part, heard.repaired, heard.problem) == ("red", True, "")
    assert [turn.path for turn in stage.turns] == ["voter", "voter.repair"]
    assert heard.turn.path == "voter"
    assert stage.provider.calls[1].params["response_schema"] == PART
    prompt = stage.prompt("voter.repair")
    assert fenced_in(prompt, "own_output") == "I like red best."
    assert prompt.endswith("Say the colour alone.")
    assert stage.turns[1].messages[0].content == "Be brief."


async def test_what_breaks_a_rule_is_asked_for_once_more_too():
    heard, _ = await asked("purple", "green")
    assert (heard.part, heard.repaired) == ("green", True)


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        ("I like red.", "I like red.", UNREADABLE),
        ("purple", "yellow", "no_colour"),
        ("I like red.", "purple", "no_colour"),
        ("purple", "I like red.", UNREADABLE),
    ],
)
async def test_what_comes_then_is_final(first: str, second: str, problem: str):
    heard, stage = await asked(first, second, "red")
    assert (heard.part, heard.repaired, heard.problem) == (None, False, problem)
    assert len(stage.turns) == 2
    assert heard.error is None


async def test_a_turn_that_fails_is_not_repaired():
    heard, stage = await asked(ProviderUnavailableError("gone"), "red")
    assert heard.part is None
    assert heard.error is not None
    assert len(stage.turns) == 1


async def test_a_repair_call_that_fails_leaves_what_was_wrong_at_first():
    heard, _ = await asked("purple", ProviderUnavailableError("gone"))
    assert (heard.part, heard.problem, heard.error) == (None, "no_colour", None)


async def test_the_paths_of_both_turns_are_under_the_one_that_was_given():
    _, stage = await asked("I like red.", "red", path="voter[3]")
    assert [turn.path for turn in stage.turns] == ["voter[3]", "voter[3].repair"]


async def test_a_reader_is_told_whether_the_model_was_held_to_the_schema():
    told = list[bool]()

    def read(text: str, native: bool) -> str:
        told.append(native)
        return text

    await asked("red", read=read)
    assert told == [True]
