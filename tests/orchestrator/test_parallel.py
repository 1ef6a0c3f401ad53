"""Experts at the same time: none waits for another, none is lost with another, none pays twice."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from agent_lab.contracts import GenerationRequest
from agent_lab.errors import ProviderUnavailableError
from agent_lab.flows.graph_configs import FlowConfig, get_flow_config
from agent_lab.orchestrator.outcome import FlowOutcome
from agent_lab.providers.local.scripted_provider import ScriptedReply
from agent_lab.providers.provider_gateway import GenerationChunk, ProviderGateway
from tests.orchestrator.conftest import (
    START,
    Stage,
    builder_of,
    fenced_in,
    fences,
    flow_of,
    in_virtual_time,
    ran,
    slow,
    speaker,
    timed,
)

FLOW = get_flow_config("multi_perspective")
NAMES = ("security", "performance", "ux")
SECONDS = {"security": 3.0, "performance": 1.0, "ux": 2.0}


class Watched:
    """A gateway that counts who is in flight."""

    def __init__(self, gateway: ProviderGateway) -> None:
        self._gateway = gateway
        self.in_flight: set[str] = set()
        self.most: set[str] = set()
        self.asked: Counter[str] = Counter()
        self.cancelled: set[str] = set()

    async def stream(
        self, request: GenerationRequest, *, budget: Any = None
    ) -> AsyncGenerator[GenerationChunk, None]:
        self.asked[request.role] += 1
        self.in_flight.add(request.role)
        self.most = max(self.most, set(self.in_flight), key=len)
        try:
            async for chunk in self._gateway.stream(request, budget=budget):
                yield chunk
        except asyncio.CancelledError:
            self.cancelled.add(request.role)
            raise
        finally:
            self.in_flight.discard(request.role)


def watched(script: Any, **fields: Any) -> tuple[Stage, Watched]:
    gateways: list[Watched] = []

    def gateway(provider: Any) -> Watched:
        gateways.append(Watched(ProviderGateway.scripted(provider)))
        return gateways[0]

    stage = timed(script, gateway=gateway, **fields)
    return stage, gateways[0]


def experts(**replies: Any) -> dict[str, Any]:
    says = {f"{name}_expert": slow(f"{name}-view", SECONDS[name]) for name in NAMES}
    return {**says, "synthesizer": slow("joined", 0.5), **replies}


def test_experts_are_in_flight_at_once_and_the_synthesizer_starts_when_the_last_one_ends():
    stage, gateway = watched(experts())
    outcome, seconds = in_virtual_time(lambda: ran(FLOW, stage))
    assert outcome.output == "joined"
    assert gateway.most == {f"{name}_expert" for name in NAMES}
    times = {
        turn.role: ((turn.started_at - START).total_seconds(), turn.seconds) for turn in stage.turns
    }
    assert times == {
        "performance_expert": (0.0, 1.0),
        "ux_expert": (0.0, 2.0),
        "security_expert": (0.0, 3.0),
        "synthesizer": (3.0, 0.5),
    }
    assert [turn.role for turn in stage.turns] == list(times)
    assert seconds == 3.5


def test_the_order_in_the_prompt_is_the_flows_whoever_was_first():
    stage, _ = watched(experts())
    in_virtual_time(lambda: ran(FLOW, stage))
    kinds = [fence.kind for fence in fences(stage.prompt("synthesizer"))]
    assert kinds == [f"{name}_expert_output" for name in NAMES]


@pytest.mark.parametrize("lost", NAMES)
@pytest.mark.parametrize("when", [0.0, 10.0], ids=["at once", "last of all"])
def test_an_expert_that_fails_costs_no_other_one_anything(lost: str, when: float):
    error = ScriptedReply(error=ProviderUnavailableError("`it` is gone."), delay_s=when)
    stage, gateway = watched(experts(**{f"{lost}_expert": error}))
    outcome, seconds = in_virtual_time(lambda: ran(FLOW, stage))
    assert set(gateway.asked.values()) == {1}
    assert sum(gateway.asked.values()) == 4
    assert gateway.cancelled == set()
    assert (outcome.output, outcome.error) == ("joined", None)
    assert outcome.degraded == (f"`{lost}_expert` failed: `it` is gone.",)
    shown = {fence.kind: fence.text for fence in fences(stage.prompt("synthesizer"))}
    for name in NAMES:
        text = shown[f"{name}_expert_output"]
        assert (text == f"{name}-view") is (name != lost)
    assert "gave no answer" in shown[f"{lost}_expert_output"]
    slowest = max(SECONDS[name] for name in NAMES if name != lost)
    assert seconds == max(slowest, when) + 0.5


def test_all_experts_failing_end_the_run_without_asking_the_synthesizer():
    gone = ProviderUnavailableError("gone")
    stage, gateway = watched(dict.fromkeys((f"{name}_expert" for name in NAMES), gone))
    outcome, _ = in_virtual_time(lambda: ran(FLOW, stage))
    assert outcome.error is not None
    assert outcome.error.code == "provider_unavailable"
    assert set(gateway.asked) == {f"{name}_expert" for name in NAMES}


def test_a_hundred_experts_of_ones_own_are_in_flight_at_once_and_each_is_heard_once():
    members = [
        {"id": f"m{i}", "name": f"Member {i:03d}", "values": {"lens": f"lens-{i:03d}"}}
        for i in range(100)
    ]

    def answer(call: Any) -> ScriptedReply:
        if call.role == "synthesizer":
            return slow("joined", 1.0)
        number = int(call.role.removeprefix("m").removesuffix("_expert"))
        return slow(f"text-{number:03d}", 1.0 + number / 100)

    stage, gateway = watched(answer, request={"inputs": {"experts": members}})
    outcome, seconds = in_virtual_time(lambda: ran(FLOW, stage))
    assert outcome.output == "joined"
    assert len(gateway.most) == 100
    assert set(gateway.asked.values()) == {1}
    assert len(gateway.asked) == 101
    assert seconds == pytest.approx(1.99 + 1.0)
    prompt = stage.prompt("synthesizer")
    for i in range(100):
        assert prompt.count(f"text-{i:03d}") == 1
        assert prompt.count(f"## Member {i:03d}\n") == 1
        assert fenced_in(prompt, f"m{i}_expert_output") == f"text-{i:03d}"
        assert stage.prompt(f"m{i}_expert").count(f"lens-{i:03d}") == 1
    assert outcome.degraded == ()


@pytest.mark.parametrize("lost", [1, 50, 99])
def test_of_a_hundred_experts_some_may_fail(lost: int):
    members = [{"id": f"m{i}", "name": f"Member {i}"} for i in range(100)]

    def answer(call: Any) -> Any:
        number = call.role.removeprefix("m").removesuffix("_expert")
        if number.isdigit() and int(number) < lost:
            return ProviderUnavailableError("gone")
        return call.role

    stage, gateway = watched(answer, request={"inputs": {"experts": members}})
    outcome, _ = in_virtual_time(lambda: ran(FLOW, stage))
    assert outcome.output == "synthesizer"
    assert len(outcome.degraded) == lost
    assert stage.prompt("synthesizer").count("gave no answer.)") == lost
    assert set(gateway.asked.values()) == {1}


def nested() -> FlowConfig:
    """Two branches of different length, one of which forks again."""
    return flow_of(
        speaker("start"),
        speaker("left"),
        speaker("right"),
        speaker("right_a"),
        speaker("right_b"),
        speaker("inner_join", "{right_a_output}{right_b_output}"),
        speaker("end", "{left_output}{inner_join_output}"),
        edges="start-left start-right right-right_a right-right_b right_a-inner_join "
        "right_b-inner_join inner_join-end left-end",
    )


def test_joins_within_branches_run_once_and_wait_for_theirs_only():
    stage, gateway = watched(lambda call: slow(call.role, 1.0))
    outcome, seconds = in_virtual_time(lambda: ran(nested(), stage))
    assert outcome.output == "end"
    assert set(gateway.asked.values()) == {1}
    assert seconds == 5.0


def cancelled_during(stage: Stage, flow: FlowConfig, after: float) -> None:
    async def work() -> None:
        running: asyncio.Task[FlowOutcome] = asyncio.create_task(ran(flow, stage))
        await asyncio.sleep(after)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    in_virtual_time(work)


def test_cancelling_a_run_cancels_every_expert_and_keeps_what_was_finished():
    stage, gateway = watched(experts())
    cancelled_during(stage, FLOW, 1.5)
    assert gateway.cancelled == {"security_expert", "ux_expert"}
    assert gateway.in_flight == set()
    assert [turn.role for turn in stage.turns] == ["performance_expert"]


def test_cancelling_a_run_reaches_the_flows_within_it():
    inner = flow_of(speaker("deep"), name="inner")
    flow = flow_of({"id": "a", "type": "flow", "config": {"flow": "inner"}})
    stage, gateway = watched({"deep": slow("never", 100.0)})

    async def work() -> None:
        running = asyncio.create_task(ran(flow, stage, builder=builder_of(inner)))
        await asyncio.sleep(1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    in_virtual_time(work)
    assert gateway.cancelled == {"deep"}
    assert stage.turns == []


def test_a_step_ends_with_its_slowest_branch():
    stage, _ = watched(
        lambda call: slow(call.role, {"left": 10.0}.get(call.role, 1.0)),
    )
    _, seconds = in_virtual_time(lambda: ran(nested(), stage))
    ends = {
        turn.role: (turn.started_at - START).total_seconds() + turn.seconds for turn in stage.turns
    }
    # Steps of the graph are barriers: what lies beside the slow branch waits with it.
    assert ends["left"] == 11.0
    assert ends["end"] == seconds
    assert ends["end"] == max(ends.values())
