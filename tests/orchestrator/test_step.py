"""One pass of a node: its place in its loops, what is recorded, and what its failure is."""

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest

from agent_lab.errors import (
    AgentLabError,
    BudgetExceededError,
    ConfigurationError,
    InvalidRequestError,
    ProviderUnavailableError,
    StorageError,
)
from agent_lab.flows.course import Course
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import NodeConfig
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate
from agent_lab.orchestrator.graph_builder import GraphBuilder
from agent_lab.orchestrator.node_types import NodeFunction
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.orchestrator.step import LONGEST_VALUE, Step
from tests.orchestrator.conftest import (
    Stage,
    begun,
    in_virtual_time,
    lost,
    planned,
    ran,
    speaker,
    staged,
    timed,
)

LOOP: dict[str, Any] = {"id": "l", "first": "a", "last": "b", "max_rounds": 3}


async def stepped(
    work: StateUpdate | BaseException,
    *,
    state: AgentState | None = None,
    node_id: str = "a",
    stage: Stage | None = None,
    **flow: Any,
) -> tuple[dict[str, Any], tuple[str, ...], Stage]:
    plan = planned(speaker("a"), speaker("b"), edges="a-b", **flow)
    stage = stage or staged({})

    async def do(_: AgentState, __: RunContext) -> StateUpdate:
        if isinstance(work, BaseException):
            raise work
        return work

    step = Step(plan.node(node_id), plan, Course(plan), do, GraphBuilder())
    update, targets = await step.take(state or begun(), stage.run)
    return update, targets, stage


@pytest.mark.parametrize(
    ("loops", "rounds", "visits", "expected"),
    [
        ((), {}, 0, (1, 0, 0)),
        ((LOOP,), {}, 0, (1, 0, 0)),
        ((LOOP,), {"l": 2}, 2, (3, 2, 0)),
        (({**LOOP, "counts": "retry"},), {"l": 2}, 1, (1, 0, 2)),
        (({**LOOP, "counts": "retry"},), {}, 1, (1, 1, 0)),
        (
            ({**LOOP, "counts": "retry"}, {**LOOP, "id": "outer"}),
            {"outer": 1, "l": 1},
            2,
            (2, 1, 1),
        ),
        (
            ({**LOOP, "id": "inner", "last": "a"}, {**LOOP, "counts": "retry"}),
            {"inner": 1, "l": 1},
            3,
            (2, 3, 1),
        ),
    ],
    ids=[
        "no loop",
        "first round",
        "third round",
        "second retry",
        "a new visit of a retry loop",
        "a retry within rounds",
        "rounds within a retry",
    ],
)
async def test_round_visit_and_retry_are_counted_by_the_loops_around_a_node(
    loops: Any, rounds: dict[str, int], visits: int, expected: tuple[int, int, int]
):
    seen: list[Any] = []
    plan = planned(speaker("a"), speaker("b"), edges="a-b", loops=loops)

    async def do(_: AgentState, run: RunContext) -> StateUpdate:
        seen.append(run.place)
        return {}

    step = Step(plan.node("a"), plan, Course(plan), do, GraphBuilder())
    update, _ = await step.take(begun(rounds=rounds, visits={"a": visits}), staged({}).run)
    assert seen == [expected]
    assert update["visits"] == {"a": expected[1] + 1}


async def test_a_pass_is_announced_before_and_recorded_after_its_work():
    work: StateUpdate = {
        "outputs": {"a": "found"},
        "values": {"a_long": "x" * 501, "a_short": "x" * 500, "a_number": 3},
    }
    _, targets, stage = await stepped(work)
    assert stage.log.events == [("STEP_STARTED", {"stepName": "a"})]
    [step] = stage.log.steps
    assert (step.path, step.status, step.output, step.next) == ("a", "ok", "found", ("b",))
    assert targets == ("b",)
    assert step.values["a_short"] == "x" * 500
    assert step.values["a_long"] == "x" * LONGEST_VALUE + "…"
    assert step.values["a_number"] == 3


async def test_the_text_of_a_turn_is_not_recorded_twice():
    _, _, stage = await stepped({"outputs": {"a": "the text"}, "models": {"a": "m"}})
    assert stage.log.steps[0].output == ""


@pytest.mark.parametrize(
    ("code", "status"), [("not_asked", "skipped"), ("provider_unavailable", "failed")]
)
async def test_a_pass_without_a_text_failed_or_was_skipped(code: str, status: str):
    failures = lost(begun(), "a", code=code)["failures"]
    _, _, stage = await stepped({"failures": failures})
    assert stage.log.steps[0].status == status


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequestError("The prompt is too long."),
        ProviderUnavailableError("gone"),
        BudgetExceededError("too dear", details={"limit": "calls"}),
    ],
    ids=lambda error: error.code,
)
async def test_what_a_node_raises_for_its_work_is_its_failure(error: AgentLabError):
    update, targets, stage = await stepped(error)
    assert update["failures"]["a"].code == error.code
    assert update["failures"]["a"].message == error.message
    assert targets == ("b",)
    assert stage.log.steps[0].status == "failed"


@pytest.mark.parametrize(
    "error",
    [
        StorageError("disk full"),
        ConfigurationError("wrong"),
        KeyError("bug"),
        asyncio.CancelledError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_full_disk_a_wrong_installation_a_bug_and_a_cancellation_end_the_run(error: Any):
    with pytest.raises(type(error)):
        await stepped(error)


async def test_a_raising_node_cancels_none_of_its_siblings():
    def make(config: NodeConfig, plan: FlowPlan) -> NodeFunction:
        async def run(state: AgentState, context: RunContext) -> StateUpdate:
            raise ProviderUnavailableError("a plugin that does not know better")

        return run

    builder = GraphBuilder()
    builder.register_node("raising", make)
    plan = planned(
        speaker("start"),
        {"id": "bad", "type": "raising"},
        speaker("good"),
        speaker("end", "{good_output}"),
        edges="start-bad start-good bad-end good-end",
    )
    stage = staged(lambda call: call.role)
    outcome = await ran(plan, stage, builder=builder)
    assert outcome.output == "end"
    assert stage.roles == ["start", "good", "end"]
    assert outcome.degraded == ("`bad` failed: a plugin that does not know better",)


@pytest.mark.parametrize("key", ["creator_output", "user_input", "open_issue_count"])
async def test_a_key_that_no_node_may_change_is_named(key: str):
    with pytest.raises(ConfigurationError, match=f"returned `{key}`.*`outputs`"):
        await stepped(cast(StateUpdate, {key: "x"}))


async def test_a_loops_pause_doubles_with_each_round():
    pauses: list[float] = []
    for done in range(3):
        _, targets, stage = await stepped(
            {},
            node_id="b",
            state=begun(rounds={"l": done}),
            loops=({**LOOP, "max_rounds": 9, "backoff_s": 0.5},),
        )
        assert targets == ("a",)
        pauses += stage.pauses
    assert pauses == [0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    ("deadline", "paused"), [(None, 60.0), (100.0, 60.0), (7.0, 7.0), (0.0, 0.0)]
)
def test_a_pause_does_not_outlast_the_time_of_the_run(deadline: float | None, paused: float):
    stage = timed({})
    stage = stage._replace(run=replace(stage.run, deadline=deadline))
    loops = ({**LOOP, "backoff_s": 60.0},)
    _, seconds = in_virtual_time(lambda: stepped({}, node_id="b", stage=stage, loops=loops))
    assert seconds == paused


async def test_conditions_see_what_the_node_has_just_found_out():
    until = {"op": "gte", "left": {"var": "b_score"}, "right": 0.5}
    for score, goes_on in ((0.4, True), (0.6, False)):
        update, targets, _ = await stepped(
            {"values": {"b_score": score}}, node_id="b", loops=({**LOOP, "until": until},)
        )
        assert bool(targets) is goes_on
        assert bool(update["stops"]) is not goes_on


async def test_a_flow_without_joins_and_loops_keeps_no_routes():
    update, _, _ = await stepped({})
    assert set(update) == {"visits"}
