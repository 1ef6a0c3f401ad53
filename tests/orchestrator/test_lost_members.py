"""Members that fail, are cut off or cancelled: an honest count, the quorum's rule, and `degraded`.

All through the real graph.
"""

import asyncio
from itertools import combinations
from typing import Any

import pytest

from agent_lab.deliberation.votes import Vote
from agent_lab.errors import ProviderTimeoutError, ProviderUnavailableError
from agent_lab.flows.graph_configs import get_flow_config
from agent_lab.orchestrator.outcome import FlowOutcome
from agent_lab.providers.local.scripted_provider import ScriptedReply
from tests.orchestrator.conftest import Stage, in_virtual_time, ran, slow, staged, timed
from tests.orchestrator.councils import NUMBER, SLOGAN, answering

IDS = ("a", "b", "c", "d")
ERRORS = (ProviderUnavailableError("gone"), ProviderTimeoutError("too slow"), OSError("no route"))
LOST = [lost for size in range(5) for lost in combinations(IDS, size)]
"""All ways in which members of four can be lost."""


async def consensus(
    lost: tuple[str, ...], error: Exception, **inputs: Any
) -> tuple[FlowOutcome, Vote, Stage]:
    def answer(call: Any) -> Any:
        if call.role == "judge":
            return "PREFERENCE: A"
        return error if call.role[-1] in lost else answering(42)

    request = {"input": NUMBER, "inputs": {"models": list(IDS), **inputs}}
    stage = staged(answer, request=request)
    outcome = await ran(get_flow_config("consensus"), stage)
    assert outcome.state is not None
    return outcome, outcome.state["votes"]["vote"][-1], stage


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("lost", LOST, ids="".join)
async def test_lost_members_are_absent_and_the_quorum_is_one_of_all(
    lost: tuple[str, ...], error: Exception
):
    outcome, vote, _ = await consensus(lost, error)
    heard = len(IDS) - len(lost)
    assert vote.eligible == tuple(f"model_{i}" for i in IDS)
    assert vote.tally.invalid == {f"model_{i}": "absent" for i in lost}
    assert (vote.tally.valid, vote.tally.eligible) == (heard, 4)
    assert vote.tally.quorum_met is (heard > 2)
    assert vote.tally.winner == ("42" if heard > 2 else None)
    if not heard:
        assert outcome.error is not None
        assert outcome.error.code != "no_quorum"  # why nobody spoke says more
        return
    assert outcome.output == answering(42)
    assert outcome.stop_reason == ("completed" if heard > 2 else "no_quorum")
    # Each failure is told, and so is that there was no quorum.
    told = [reason.split("`")[1] for reason in outcome.degraded if "failed" in reason]
    assert told == [f"{i}_drafter" for i in lost] + ["vote"] * (heard <= 2)


@pytest.mark.parametrize(("quorum", "met"), [(0.0, True), (0.24, True), (0.25, False)])
async def test_the_quorum_can_be_lower(quorum: float, met: bool):
    outcome, vote, _ = await consensus(("a", "b", "c"), OSError(), quorum=quorum)
    assert vote.tally.quorum_met is met
    assert len(outcome.degraded) == (3 if met else 4)


async def test_a_run_without_losses_is_not_degraded():
    outcome, _, _ = await consensus((), OSError())
    assert (outcome.degraded, outcome.stop_reason) == ((), "completed")


def debate(*, exchange: dict[str, Any], **fields: Any) -> tuple[FlowOutcome, Stage, float]:
    """A debate of three about 42 or 41; what members say in the exchange is given."""

    def answer(call: Any) -> Any:
        member = call.role[-1]
        if "# What others answered" in call.messages[-1].content:
            return exchange.get(member, slow(answering(42), 0.5))
        return slow(answering(41 if member == "c" else 42), 0.5)

    stage = timed(answer, request={"input": NUMBER, **fields})
    outcome, seconds = in_virtual_time(lambda: ran(get_flow_config("debate"), stage))
    return outcome, stage, seconds


def test_a_member_that_is_lost_in_the_exchange_keeps_its_blind_answer():
    gone = ScriptedReply(error=ProviderTimeoutError("too slow"), delay_s=5.0)
    outcome, _, _ = debate(exchange={"a": gone, "c": slow(answering(41), 0.5)})
    assert outcome.state is not None
    vote = outcome.state["votes"]["vote"][-1]
    assert vote.positions == {"debater_b": "42", "debater_c": "41"}
    assert vote.decision is not None
    assert vote.decision.positions == {"debater_a": "42", "debater_b": "42", "debater_c": "41"}
    assert vote.flags == ("earlier_answer: debater_a",)
    assert outcome.outputs["winner"] == "42"
    assert outcome.degraded == ("`a_exchange` failed: too slow",)


def test_where_all_are_lost_in_the_exchange_the_blind_vote_stands():
    gone = OSError("gone")
    outcome, _, _ = debate(exchange=dict.fromkeys("abc", gone))
    assert outcome.error is None
    assert outcome.output == answering(42)
    assert outcome.outputs["blind_winner"] == outcome.outputs["winner"] == "42"
    assert sum("exchange" in reason for reason in outcome.degraded) == 3


# ------------------------------------------------------------------ time


def test_a_member_that_outlasts_the_run_is_cut_off_and_the_others_decide():
    def answer(call: Any) -> ScriptedReply:
        return slow(answering(42), 1000.0 if call.role == "model_c" else 0.5)

    stage = timed(answer, request={"input": NUMBER, "budget": {"seconds": 10.0}})
    outcome, seconds = in_virtual_time(lambda: ran(get_flow_config("consensus"), stage))
    assert seconds == pytest.approx(10.0)
    assert outcome.state is not None
    [vote] = outcome.state["votes"]["vote"]
    assert vote.tally.invalid == {"model_c": "absent"}
    assert vote.tally.winner == "42"
    assert outcome.output == answering(42)
    assert outcome.stop_reason == "wall_clock"
    assert [reason.split("`")[1] for reason in outcome.degraded] == ["c_drafter"]


def test_a_debate_whose_time_is_over_in_the_exchange_ends_with_what_was_decided_blindly():
    late = slow(answering(41), 1000.0)
    outcome, stage, seconds = debate(
        exchange=dict.fromkeys("abc", late), budget={"seconds": 10.0}, inputs={"rounds": 5}
    )
    assert seconds == pytest.approx(10.0)
    assert outcome.output == answering(42)
    assert outcome.outputs["winner"] == "42"
    assert outcome.stop_reason == "wall_clock"
    assert len(outcome.degraded) >= 3
    assert {turn.visit for turn in stage.turns} == {0}  # no further round was begun


def test_voters_whose_time_is_over_cast_nothing():
    def answer(call: Any) -> ScriptedReply:
        asked = (call.params.get("response_schema") or {"properties": {}})["properties"]
        if "ranking" in asked:
            return slow("RANKING: A > B > C", 1000.0 if call.role != "model_a" else 0.1)
        return slow(f"slogan {call.role}", 0.5)

    stage = timed(answer, request={"input": SLOGAN, "budget": {"seconds": 10.0}})
    outcome, seconds = in_virtual_time(lambda: ran(get_flow_config("consensus"), stage))
    assert seconds == pytest.approx(10.0)
    assert outcome.state is not None
    [vote] = outcome.state["votes"]["vote"]
    assert vote.tally.invalid == {"model_b": "absent", "model_c": "absent"}
    assert not vote.tally.quorum_met
    assert outcome.output.startswith("slogan")
    # Of two stop reasons the first in the order of precedence is told.
    assert outcome.stop_reason == "wall_clock"
    assert vote.stops == ("no_quorum",)


# ------------------------------------------------------------------ budgets


@pytest.mark.parametrize("calls", [1, 2, 3, 4, 5])
async def test_a_budget_comes_before_the_quorum_that_it_costs(calls: int):
    request = {"input": NUMBER, "budget": {"calls": calls}}
    stage = staged(
        lambda call: answering({"a": 40, "b": 41}.get(call.role[-1], 42)), request=request
    )
    outcome = await ran(get_flow_config("debate"), stage)
    assert len(stage.provider.calls) == calls
    assert outcome.error is None
    assert outcome.stop_reason == "budget"
    assert outcome.degraded


async def test_a_debate_is_not_gone_on_with_once_its_budget_is_used_up():
    request = {"input": NUMBER, "inputs": {"rounds": 5}, "budget": {"calls": 7}}
    stage = staged(
        lambda call: answering({"a": 40, "b": 41}.get(call.role[-1], 42)), request=request
    )
    outcome = await ran(get_flow_config("debate"), stage)
    assert outcome.stop_reason == "budget"
    # Three drafts, three answers in the first exchange, and one of the second.
    assert len(stage.provider.calls) == 7
    assert max(turn.visit for turn in stage.turns) == 1


# ------------------------------------------------------------------ cancelling


@pytest.mark.parametrize(
    ("after", "done"), [(0.6, 0), (1.5, 3), (2.6, 6)], ids=["drafts", "exchange", "ballots"]
)
def test_a_cancelled_debate_keeps_what_was_finished_and_counts_nothing_more(
    after: float, done: int
):
    def answer(call: Any) -> ScriptedReply:
        asked = (call.params.get("response_schema") or {"properties": {}})["properties"]
        return slow("RANKING: A > B > C" if "ranking" in asked else "slogan", 1.0)

    stage = timed(answer, request={"input": SLOGAN})

    async def work() -> None:
        running = asyncio.create_task(ran(get_flow_config("debate"), stage))
        await asyncio.sleep(after)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    in_virtual_time(work)
    assert len(stage.turns) == done
    assert {turn.status for turn in stage.turns} <= {"ok"}
    assert "vote" not in stage.path
