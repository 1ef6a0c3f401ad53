"""What is found out before anybody is asked, and which limits a run has."""

import asyncio
from typing import Any

import pytest

from agent_lab.contracts import Budget, FlowBudget, RunRequest
from agent_lab.errors import InvalidRequestError, UnknownRoleError
from agent_lab.orchestrator.budgets import bounded, budget_of
from agent_lab.orchestrator.flow_runner import check_request
from agent_lab.orchestrator.graph_builder import GraphBuilder
from agent_lab.providers.resilience.budget import BudgetKeeper
from tests.orchestrator.conftest import (
    flow_of,
    in_virtual_time,
    planned,
    ran,
    speaker,
    staged,
    timed,
)

CATALOGUE = GraphBuilder().catalogue()
PLAN = planned(
    speaker("a", role="author", aliases=("writer",)),
    {"id": "analyzer", "type": "task_analyzer"},
    {"id": "inner", "type": "flow", "config": {"flow": "single"}},
    edges="a-analyzer analyzer-inner",
)


def request(**fields: Any) -> RunRequest:
    return RunRequest.model_validate({"flow": "test", "input": "x", **fields})


@pytest.mark.parametrize("text", ["", " ", "\n\t \u2003"])
def test_an_empty_task_is_refused(text: str):
    with pytest.raises(InvalidRequestError, match="`prompt` is empty"):
        check_request(request(input=text), PLAN, CATALOGUE)


@pytest.mark.parametrize(
    "fields",
    [
        {"input": "half \ud800"},
        {"attachments": [{"name": "a", "text": "\udfff"}]},
        {"inputs": {"experts": [{"id": "a", "name": "\udc80"}]}},
        {"models": {"author": "\ud83d"}},
    ],
    ids=["task", "attachment", "input", "model"],
)
def test_halves_of_characters_are_refused_before_anybody_is_asked(fields: dict[str, Any]):
    with pytest.raises(InvalidRequestError, match="half of a character"):
        check_request(request(**fields), PLAN, CATALOGUE)


@pytest.mark.parametrize(
    "text", ["\x00", "😀", "\u202e", "{x.__class__}", "<draft>", "x" * 100_000]
)
def test_any_other_text_is_a_task(text: str):
    check_request(request(input=f"x{text}"), PLAN, CATALOGUE)


@pytest.mark.parametrize("role", ["author", "writer", "inner.solver"])
def test_a_model_can_be_named_for_a_role_by_its_name_its_older_ids_and_within_a_flow(role: str):
    check_request(request(models={role: "m"}), PLAN, CATALOGUE)


@pytest.mark.parametrize(
    "role", ["a", "analyzer", "nobody", "author.x", "innerx.y", "inner", "inner.nobody", ""]
)
def test_a_model_for_a_role_that_the_flow_does_not_have_is_refused(role: str):
    with pytest.raises(UnknownRoleError, match=f"`{role}`") as raised:
        check_request(request(models={role: "m"}), PLAN, CATALOGUE)
    assert raised.value.details["known"] == ["author", "inner.solver", "writer"]


@pytest.mark.parametrize("limit", ["calls", "tokens", "seconds", "cost_usd"])
@pytest.mark.parametrize(
    ("flows", "callers", "expected"),
    [(None, None, None), (5, None, 5), (None, 3, 3), (5, 3, 3), (3, 5, 3), (0, 3, 0), (3, 0, 0)],
)
def test_of_two_budgets_the_lower_limit_holds_each_by_itself(
    limit: str, flows: int | None, callers: int | None, expected: int | None
):
    if limit == "seconds" and 0 in (flows, callers):
        flows, callers, expected = 9, 8, 8  # no run takes no time
    kind = float if limit in ("seconds", "cost_usd") else int
    flow = None if flows is None else FlowBudget.model_validate({limit: kind(flows)})
    caller = None if callers is None else Budget.model_validate({limit: kind(callers)})
    limits = budget_of(flow, caller)
    assert getattr(limits, limit) == expected
    others = {"calls", "tokens", "seconds", "cost_usd"} - {limit}
    assert all(getattr(limits, other) is None for other in others)


def test_limits_of_flow_and_caller_are_joined():
    limits = budget_of(FlowBudget(calls=9, tokens=100), Budget(calls=4, seconds=2.0))
    assert limits == Budget(calls=4, tokens=100, seconds=2.0)


@pytest.mark.parametrize("allowed", [True, False])
def test_only_the_caller_can_allow_models_without_a_price(allowed: bool):
    limits = budget_of(FlowBudget(cost_usd=1.0), Budget(allow_unpriced=allowed))
    assert limits.allow_unpriced is allowed
    assert budget_of(FlowBudget(cost_usd=1.0), None).allow_unpriced is False


async def test_a_run_without_limits_has_no_keeper():
    run = staged({}).run
    assert bounded(PLAN, run) is run


async def test_a_run_that_has_a_keeper_keeps_it():
    keeper = BudgetKeeper(calls=1)
    run = staged({}, budget=keeper, request={"budget": {"calls": 9}}).run
    assert bounded(PLAN, run) is run


def test_the_seconds_begin_with_the_run():
    async def later() -> float | None:
        await asyncio.sleep(100)
        return bounded(PLAN, timed({}, request={"budget": {"seconds": 5.0}}).run).deadline

    deadline, _ = in_virtual_time(later)
    assert deadline == 105


async def test_the_caller_learns_the_final_state_and_the_ids_it_gave():
    stage = staged({"a": "{request_id}"})
    outcome = await ran(planned(speaker("a", "{request_id} {flow_type} {lang}")), stage, lang="es")
    assert stage.prompt("a").endswith("the run test es")
    assert outcome.state is not None
    assert outcome.state["user_input"] == stage.run.request.input


async def test_inputs_that_a_flow_cannot_take_are_refused_before_anybody_is_asked():
    stage = staged({"a": "x"}, request={"inputs": {"odd": 1}})
    with pytest.raises(InvalidRequestError, match="`odd` is no input"):
        await ran(flow_of(speaker("a")), stage)
    assert stage.roles == []
