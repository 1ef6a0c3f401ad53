"""Budgets: the lower limit holds, no call is made after it, and the best answer so far is given."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from agent_lab.config import load_settings
from agent_lab.flows.graph_configs import FlowConfig, get_flow_config
from agent_lab.orchestrator.any_gateway import as_gateway
from agent_lab.orchestrator.outcome import FlowOutcome
from agent_lab.providers.base import TokenCounts
from agent_lab.providers.local.scripted_provider import ScriptedProvider, ScriptedReply
from agent_lab.providers.local.weights.store import WeightsStore
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.providers.registries.model_registry import ModelEntry, ModelRegistry
from agent_lab.providers.registries.strategy_registry import StrategyRegistry
from tests.orchestrator.conftest import (
    DEBATE,
    Stage,
    builder_of,
    flow_of,
    in_virtual_time,
    ran,
    slow,
    speaker,
    timed,
)

LOOP = {"id": "rounds", "first": "challenger", "last": "refiner", "max_rounds": 9}
FLAW = '[high] "draft": wrong; repair it.'
SAYS: Mapping[str, Any] = {
    "creator": slow("draft", 1.0),
    "challenger": slow("[high] it is wrong", 1.0 / 4),
    "refiner": slow("draft again", 1.0 / 2),
}
HARD = {"seconds": "wall_clock", "calls": "budget", "tokens": "budget", "cost_usd": "budget"}


def debate(**budget: Any) -> FlowConfig:
    """Nine rounds, unless something stops them; every answer may have ten tokens."""
    nodes = [{**node, "max_tokens": 10} for node in DEBATE]
    edges = "creator-challenger challenger-refiner"
    fields: dict[str, Any] = {"budget": budget} if budget else {}
    return flow_of(*nodes, edges=edges, loops=(LOOP,), output=("refiner", "creator"), **fields)


def priced(provider: ScriptedProvider) -> ProviderGateway:
    """A gateway whose model costs a dollar a token read or written."""
    settings = load_settings(default_model="dear", max_attempts=1)
    entry = ModelEntry.model_validate(
        {
            "key": "dear",
            "provider": "scripted",
            "context_window": 4096,
            "cost_profile": {"input": 1e6, "output": 1e6},
        }
    )
    return ProviderGateway(
        ModelRegistry([entry]),
        StrategyRegistry.load(),
        provider=lambda _: provider,
        settings=settings,
        weights=WeightsStore.from_settings(settings),
    )


def spent(flow: FlowConfig, script: Any = SAYS, **fields: Any) -> tuple[FlowOutcome, Stage, float]:
    stage = timed(script, **fields)
    outcome, seconds = in_virtual_time(lambda: ran(flow, stage))
    return outcome, stage, seconds


@pytest.mark.parametrize("calls", range(1, 8))
@pytest.mark.parametrize("whose", ["flow", "caller"])
def test_no_more_calls_are_made_than_are_allowed(calls: int, whose: str):
    limit = {"calls": calls}
    outcome, stage, _ = (
        spent(debate(**limit)) if whose == "flow" else spent(debate(), request={"budget": limit})
    )
    order = ["creator", *["challenger", "refiner"] * 9]
    assert stage.roles == order[:calls]
    assert outcome.stop_reason == "budget"
    assert outcome.output == ("draft" if calls < 3 else "draft again")
    assert outcome.degraded


@pytest.mark.parametrize(
    ("flows", "callers", "made"), [(3, 5, 3), (5, 3, 3), (3, None, 3), (None, 3, 3), (3, 3, 3)]
)
def test_the_lower_of_two_limits_holds(flows: int | None, callers: int | None, made: int):
    flow = debate() if flows is None else debate(calls=flows)
    budget = None if callers is None else {"calls": callers}
    _, stage, _ = spent(flow, request={"budget": budget})
    assert len(stage.roles) == made


@pytest.mark.parametrize("limit", ["calls", "tokens", "seconds", "cost_usd"])
def test_each_limit_ends_the_loop_with_the_best_answer_so_far_and_nothing_is_asked_after_it(
    limit: str,
):
    # A call reads about 30 tokens and may write 10; a second round fits, a third one does not.
    enough = {"calls": 5, "tokens": 200, "seconds": 2.6, "cost_usd": 200.0}
    gateway = priced if limit == "cost_usd" else ProviderGateway.scripted
    counts = ScriptedReply("draft again", tokens=TokenCounts(prompt=30, completion=8))
    script = {
        "creator": slow("draft", 0.5)._replace(tokens=TokenCounts(prompt=30, completion=8)),
        "challenger": slow(FLAW, 0.1)._replace(tokens=TokenCounts(prompt=30, completion=8)),
        "refiner": counts._replace(delay_s=0.1),
    }
    flow = debate(**{limit: enough[limit]})
    outcome, stage, _ = spent(flow, script, gateway=gateway)
    assert (outcome.output, outcome.error) == ("draft again", None)
    assert outcome.stop_reason == HARD[limit]
    assert any("failed" in reason for reason in outcome.degraded)
    refused = [i for i, turn in enumerate(stage.turns) if turn.error is not None]
    assert refused == [len(stage.turns) - 1]
    failed = stage.turns[-1].error
    assert failed is not None
    assert failed.details["limit"] == limit
    assert 3 <= len(stage.roles) < 19


def test_a_budget_that_is_not_used_up_changes_nothing():
    budget = {"calls": 99, "tokens": 10**6, "seconds": 10.0**6}
    outcome, stage, _ = spent(debate(**budget))
    assert outcome.stop_reason == "completed"
    assert len(stage.roles) == 19
    assert outcome.degraded == ()


def test_the_seconds_are_those_of_the_whole_run():
    outcome, stage, seconds = spent(debate(seconds=3.5))
    # 1 for the draft, then 2 for a round of four words and two: the second one is cut off.
    assert stage.roles == ["creator", "challenger", "refiner", "challenger"]
    assert seconds == 3.5
    assert outcome.stop_reason == "wall_clock"


@pytest.mark.parametrize("cut", ["creator", "challenger", "refiner"])
def test_a_call_that_is_being_answered_when_the_time_is_over_is_cut_off(cut: str):
    script = {**dict.fromkeys(SAYS, slow("draft", 0.5)), cut: slow("never", 100.0)}
    outcome, stage, seconds = spent(debate(seconds=10.0), script)
    assert seconds == 10.0
    assert [turn.role for turn in stage.turns if turn.error is not None][0] == cut
    if cut == "creator":
        assert outcome.error is not None
        assert outcome.error.code == "provider_timeout"
    else:
        assert (outcome.output, outcome.stop_reason) == ("draft", "wall_clock")
    assert stage.roles[-1] == cut


def test_a_call_that_is_slow_for_itself_is_no_end_of_the_runs_time():
    flow = debate(seconds=10_000.0)
    script = {**SAYS, "challenger": slow("never", 5000.0)}
    outcome, _, _ = spent(flow, script)
    assert outcome.stop_reason in ("completed", "wall_clock")
    assert outcome.error is None
    first = next(reason for reason in outcome.degraded if "challenger" in reason)
    assert "did not finish" in first


def test_pauses_between_retries_do_not_outlast_the_time():
    flow = flow_of(
        speaker("a"),
        loops=({"id": "l", "first": "a", "last": "a", "max_rounds": 50, "backoff_s": 8.0},),
        budget={"seconds": 20.0},
    )
    outcome, stage, seconds = spent(flow, {"a": "x"})
    assert seconds == 20.0
    assert outcome.stop_reason == "wall_clock"
    assert stage.roles == ["a"] * 2


def test_a_run_that_may_do_nothing_fails_and_says_why():
    outcome, stage, _ = spent(debate(calls=0))
    assert outcome.error is not None
    assert outcome.error.code == "budget_exceeded"
    assert stage.roles == []


def test_a_model_without_a_price_is_not_asked_where_money_is_counted():
    outcome, stage, _ = spent(debate(cost_usd=5.0))
    assert outcome.error is not None
    assert "no known price" in outcome.error.message
    assert stage.roles == []
    allowed = {"budget": {"allow_unpriced": True}}
    outcome, stage, _ = spent(debate(cost_usd=5.0), request=allowed)
    assert outcome.error is None
    assert len(stage.roles) == 19


def test_money_that_was_spent_is_counted_not_what_could_have_been():
    # Each call could cost about 50 dollars and costs 11: several fit, not one.
    reply = ScriptedReply("draft", tokens=TokenCounts(prompt=10, completion=1))
    script = dict.fromkeys(SAYS, reply)
    _, stage, _ = spent(debate(cost_usd=99.0), script, gateway=priced)
    assert len(stage.roles) >= 3


def test_experts_at_the_same_time_share_one_budget():
    flow = flow_of(
        speaker("expert", group={"members": {f"m{i}": {} for i in range(5)}}),
        speaker("joiner", "{expert_outputs}"),
        edges="expert-joiner",
        output=("joiner", "expert"),
        budget={"calls": 3},
    )
    outcome, stage, _ = spent(flow, lambda call: call.role)
    assert len(stage.roles) == 3
    assert len([turn for turn in stage.turns if turn.error is not None]) == 3
    assert (outcome.error, outcome.stop_reason) == (None, "budget")
    assert outcome.output == "m0_expert"


def test_a_flow_within_shares_budget_and_deadline():
    inner = flow_of(
        speaker("one"),
        speaker("two", "{one_output}"),
        edges="one-two",
        name="inner",
        output=("two", "one"),
    )
    outer = flow_of(
        {"id": "first", "type": "flow", "config": {"flow": "inner"}},
        {"id": "second", "type": "flow", "config": {"flow": "inner"}},
        edges="first-second",
        output=("second", "first"),
        budget={"calls": 3},
    )
    stage = timed(lambda call: call.role)
    outcome, _ = in_virtual_time(lambda: ran(outer, stage, builder=builder_of(inner)))
    assert stage.roles == ["one", "two", "one"]
    assert (outcome.output, outcome.stop_reason) == ("one", "budget")
    assert any("all its calls" in reason for reason in outcome.degraded)
    late = FlowConfig.model_validate({**outer.model_dump(), "budget": {"seconds": 2.5}})
    stage = timed(lambda call: slow(call.role, 1.0))
    outcome, seconds = in_virtual_time(lambda: ran(late, stage, builder=builder_of(inner)))
    assert seconds == 2.5
    assert [turn.error is None for turn in stage.turns] == [True, True, False]
    assert (outcome.output, outcome.stop_reason) == ("two", "wall_clock")


def test_a_loop_around_a_flow_ends_with_the_budget():
    inner = flow_of(
        speaker("one"),
        speaker("two", "{one_output}"),
        edges="one-two",
        name="inner",
        output=("two", "one"),
    )
    outer = flow_of(
        {"id": "a", "type": "flow", "config": {"flow": "inner"}},
        loops=({"id": "l", "first": "a", "last": "a", "max_rounds": 50},),
        budget={"calls": 5},
    )
    stage = timed(lambda call: call.role)
    outcome, _ = in_virtual_time(lambda: ran(outer, stage, builder=builder_of(inner)))
    assert len(stage.roles) == 5
    assert len(stage.turns) == 6
    assert (outcome.output, outcome.stop_reason) == ("one", "budget")


@pytest.mark.parametrize(
    ("own", "spoken", "stopped"),
    [
        ({"calls": 1}, "one", "all its calls"),
        ({"calls": 0}, None, "all its calls"),
        ({"seconds": 1.5}, "one", "did not finish"),
        ({"seconds": 0.5}, None, "did not finish"),
    ],
)
def test_a_flow_within_that_uses_up_its_own_budget_ends_no_loop_around_it(
    own: dict[str, Any], spoken: str | None, stopped: str
):
    inner = flow_of(
        speaker("one"),
        speaker("two", "{one_output}"),
        edges="one-two",
        name="inner",
        output=("two", "one"),
        budget=own,
    )
    outer = flow_of(
        speaker("begin"),
        {"id": "within", "type": "flow", "config": {"flow": "inner"}},
        edges="begin-within",
        loops=({"id": "l", "first": "begin", "last": "within", "max_rounds": 3},),
        output=("within", "begin"),
        budget={"calls": 99, "seconds": 99.0},
    )
    stage = timed(lambda call: slow(call.role, 1.0))
    outcome, _ = in_virtual_time(lambda: ran(outer, stage, builder=builder_of(inner)))
    assert stage.roles.count("begin") == 3
    assert outcome.stop_reason == "completed"
    assert outcome.output == (spoken or "begin")
    assert any(stopped in reason for reason in outcome.degraded)


def test_a_budget_two_flows_up_ends_the_loops_of_all():
    deep = flow_of(speaker("one"), name="deep")
    middle = flow_of(
        {"id": "d", "type": "flow", "config": {"flow": "deep"}},
        name="middle",
        loops=({"id": "l", "first": "d", "last": "d", "max_rounds": 9},),
        budget={"calls": 5},
    )
    outer = flow_of(
        {"id": "m", "type": "flow", "config": {"flow": "middle"}},
        loops=({"id": "l", "first": "m", "last": "m", "max_rounds": 3},),
        budget={"calls": 7},
    )
    stage = timed(lambda call: call.role)
    outcome, _ = in_virtual_time(lambda: ran(outer, stage, builder=builder_of(deep, middle)))
    # Five in the first pass of the middle one, by its own budget; two more, by the run's.
    assert stage.roles == ["one"] * 7
    refused = [turn.path for turn in stage.turns if turn.error is not None]
    assert refused == ["m.d[5].one", "m[1].d[2].one"]
    assert outcome.stop_reason == "budget"


def test_a_judge_that_may_not_be_asked_ends_the_retries():
    flow = get_flow_config("linear")
    checks = [{"check": "judge", "question": "Is it kind?"}, {"check": "length", "min_words": 9}]
    script = {"execution": "short", "output_validator": '{"score": 2}', "summary": "x"}
    request = {"inputs": {"checks": checks, "retries": 5}, "budget": {"calls": 3}}
    outcome, stage, _ = spent(flow, script, request=request)
    assert stage.roles == ["execution", "output_validator", "execution"]
    assert outcome.output == "short"
    assert outcome.stop_reason == "budget"


class Own:
    """A gateway of somebody's own, that counts its tokens."""

    def __init__(self) -> None:
        self.calls = 0

    async def generate(self, request: Any) -> Mapping[str, Any]:
        self.calls += 1
        return {"output": "draft", "metrics": {"tokens_generated": 40}}


@pytest.mark.parametrize(("limit", "made"), [({"calls": 4}, 4), ({"tokens": 100}, 3)])
def test_a_gateway_of_ones_own_is_held_to_calls_and_tokens(limit: dict[str, int], made: int):
    own = Own()
    outcome, _, _ = spent(debate(**limit), {}, gateway=lambda _: as_gateway(own))
    assert own.calls == made
    assert outcome.stop_reason == "budget"


def test_a_gateway_of_ones_own_is_not_waited_for_when_the_time_is_over():
    class Slow:
        async def generate(self, request: Any) -> str:
            await asyncio.sleep(100)
            return "too late"

    outcome, stage, seconds = spent(debate(seconds=5.0), {}, gateway=lambda _: as_gateway(Slow()))
    assert seconds == 5.0
    assert outcome.error is not None
    assert outcome.error.code == "provider_timeout"
    assert len(stage.turns) == 1
