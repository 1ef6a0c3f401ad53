"""A refinement: the next draft, and what became of the open issues."""

from typing import Any

import pytest

from agent_lab.errors import ProviderUnavailableError
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate, updated
from agent_lab.orchestrator.condition_values import condition_values
from tests.orchestrator.conftest import (
    DRAFT,
    OPEN,
    TASK,
    begun,
    debate,
    fenced_in,
    lost,
    planned,
    spoke,
    staged,
    worked,
)

PLAN = debate()


async def refined(state: AgentState, text: Any) -> tuple[StateUpdate, Any]:
    stage = staged({"refiner": text})
    return await worked(PLAN, "refiner", state, stage), stage


@pytest.mark.parametrize(
    ("text", "draft", "status"),
    [
        ("mean = sum(x) / len(x) if x else 0\nC1 fixed: empty", "… if x else 0", "fixed"),
        (f"{DRAFT}\nC1 declined: the caller checks it", DRAFT, "declined"),
        (f"{DRAFT}\nC1 fixed: nothing", DRAFT, "open"),
        ("something else", "something else", "open"),
        (f"{DRAFT}\nC9 fixed: another one", DRAFT, "open"),
    ],
    ids=["fixed", "declined", "fixed without a change", "not mentioned", "another id"],
)
async def test_an_open_issue_is_closed_as_the_refiner_says_if_the_draft_bears_it_out(
    disputed: AgentState, text: str, draft: str, status: str
):
    update, _ = await refined(disputed, text)
    assert [issue.status for issue in updated(disputed, update)["issues"]] == [status]
    assert update["outputs"]["refiner"].endswith(draft.removeprefix("… "))


async def test_the_lines_that_close_issues_are_no_part_of_the_draft(disputed: AgentState):
    update, stage = await refined(disputed, "a new text\n\nC1 fixed: all of it")
    assert update["outputs"] == {"refiner": "a new text"}
    assert stage.turns[0].text == "a new text\n\nC1 fixed: all of it"


async def test_a_refiner_that_only_closes_issues_keeps_the_draft(disputed: AgentState):
    update, _ = await refined(disputed, "C1 declined: the caller checks it")
    assert update["outputs"] == {"refiner": DRAFT}
    assert [issue.status for issue in updated(disputed, update)["issues"]] == ["declined"]


async def test_the_refiner_is_shown_task_draft_and_open_issues(disputed: AgentState):
    _, stage = await refined(disputed, "better")
    prompt = stage.prompt("refiner")
    assert prompt.startswith(f"# Task\n\n{TASK}")
    assert fenced_in(prompt, "draft") == DRAFT
    assert OPEN.claim in fenced_in(prompt, "open_issues")


async def test_a_second_refinement_works_on_the_first_one(disputed: AgentState):
    _, stage = await refined(spoke(disputed, refiner="the second draft"), "the third")
    assert fenced_in(stage.prompt("refiner"), "draft") == "the second draft"


@pytest.mark.parametrize(
    ("lang", "nothing", "missing"),
    [("en", "(none)", "gave no answer"), ("es", "(ninguno)", "no dio respuesta")],
)
async def test_without_issues_the_refiner_is_told_why(lang: Any, nothing: str, missing: str):
    quiet = spoke(begun(TASK, lang), creator=DRAFT, challenger="…")
    _, stage = await refined(quiet, "x")
    assert fenced_in(stage.prompt("refiner"), "open_issues") == nothing
    _, stage = await refined(lost(quiet, "challenger"), "x")
    assert missing in fenced_in(stage.prompt("refiner"), "open_issues")


async def test_a_failed_refinement_leaves_ledger_and_draft_as_they_were(disputed: AgentState):
    update, _ = await refined(disputed, ProviderUnavailableError("gone"))
    assert set(update) == {"failures"}


async def test_without_any_draft_nobody_refines(fresh: AgentState):
    update, stage = await refined(lost(fresh, "creator"), "never asked")
    failure = update["failures"]["refiner"]
    assert failure is not None
    assert failure.code == "not_asked"
    assert stage.turns == []


async def test_conditions_count_what_is_open_after_the_refinement(disputed: AgentState):
    before = condition_values(disputed)["open_issue_count"]
    update, _ = await refined(disputed, "another\nC1 fixed: done")
    after = condition_values(updated(disputed, update))["open_issue_count"]
    assert (before, after) == (1, 0)


async def test_an_issue_below_the_refiners_floor_is_not_counted(disputed: AgentState):
    nodes = [node.model_dump() for node in PLAN.nodes]
    nodes[2]["config"]["floor"] = "high"
    plan = planned(*nodes, edges="creator-challenger challenger-refiner")
    low = updated(disputed, {"issues": (OPEN.model_copy(update={"severity": "low"}),)})
    update = await worked(plan, "refiner", low, staged({"refiner": "x"}))
    after = updated(low, update)
    assert [issue.status for issue in after["issues"]] == ["open"]
    assert condition_values(after)["open_issue_count"] == 0
