"""A debate that is broken off anywhere ends with the same answer and the same votes."""

from typing import Any

import pytest

from agent_lab.contracts import RunRecord
from agent_lab.providers.base import ProviderCall
from tests.orchestrator.councils import NUMBER, SLOGAN, answering
from tests.runs.conftest import Place, asking, comparable, digest_of

FLOWS: dict[str, dict[str, Any]] = {
    "debate": {"rounds": 2, "agreement": 1},
    "consensus": {"models": ["a", "b"]},
    "self_consistency": {"samples": 4},
    "mixture_of_agents": {"layers": 2},
}


def speaks(call: ProviderCall) -> Any:
    """What only equal questions and equal seeds get; some cannot be read, and some fail."""
    number = digest_of(call) + call.params["seed"]
    asked = (call.params.get("response_schema") or {"properties": {}})["properties"]
    if "ranking" in asked:
        return "Both are good." if number % 3 == 0 else "RANKING: B > A"
    if "preference" in asked:
        return "PREFERENCE: A"
    if number % 11 == 0:
        return OSError("gone")
    if NUMBER not in call.messages[-1].content:
        return f"Slogan {number % 1000}."
    return f'CHANGED "I count": the sum is {number}+1\n{answering(40 + number % 3)}'


async def whole(place: Place, flow: str, task: str, **fields: Any) -> RunRecord:
    runs, _ = place.service(speaks)
    record = await runs.run(asking(flow, input=task, inputs=FLOWS[flow], **fields))
    await runs.aclose()
    return record


async def resumed(place: Place, run_id: str) -> tuple[RunRecord, int]:
    runs, provider = place.service(speaks)
    await runs.resume(run_id)
    record = await runs.wait(run_id)
    await runs.aclose()
    return record, len(provider.calls)


def last_seq(place: Place, run_id: str) -> int:
    [(last,)] = place.sql("SELECT max(seq) FROM run_events WHERE run_id = ?", run_id)
    return int(last)


async def check_resumed(place: Place, record: RunRecord, every: int) -> None:
    """The run goes on from many of its events, the last one first, and ends the same."""
    assert record.ballots
    for seq in range(last_seq(place, record.id) - 1, 0, -every):
        place.put_back(record.id, seq)
        again, calls = await resumed(place, record.id)
        assert comparable(again) == comparable(record), seq
        assert (again.output, again.ballots) == (record.output, record.ballots)
        assert calls <= 2 * len(record.turns)


async def test_a_debate_ends_the_same_after_whichever_event_it_broke_off(
    place: Place,
):
    record = await whole(place, "debate", NUMBER)
    assert max(turn.visit for turn in record.turns) == 1
    assert any(step.vote and step.vote.get("decision") for step in record.steps)
    await check_resumed(place, record, every=1)


@pytest.mark.parametrize(
    ("flow", "task"),
    [
        ("debate", SLOGAN),
        ("consensus", SLOGAN),
        ("consensus", NUMBER),
        ("self_consistency", NUMBER),
        ("self_consistency", SLOGAN),
        ("mixture_of_agents", NUMBER),
    ],
)
async def test_every_flow_that_votes_ends_the_same_wherever_it_broke_off(
    place: Place, flow: str, task: str
):
    await check_resumed(place, await whole(place, flow, task), every=11)


@pytest.mark.parametrize("flow", ["consensus", "debate"])
async def test_a_baseline_is_resumed_with_the_run(place: Place, flow: str):
    record = await whole(place, flow, NUMBER, baseline="self_consistency")
    assert record.baseline is not None
    for seq in range(last_seq(place, record.id) - 1, 0, -13):
        place.put_back(record.id, seq)
        again, _ = await resumed(place, record.id)
        assert again.baseline == record.baseline, seq
        assert comparable(again) == comparable(record), seq


@pytest.mark.parametrize("task", [NUMBER, SLOGAN])
@pytest.mark.parametrize("flow", FLOWS)
async def test_a_replay_asks_nobody_and_finds_no_difference(place: Place, flow: str, task: str):
    record = await whole(place, flow, task, baseline="self_consistency")
    runs, provider = place.service(speaks)
    report = await runs.replay(record.id)
    await runs.aclose()
    assert (report.turns, report.calls, report.differences) == (len(record.turns), 0, ())
    assert report.same_output
    assert provider.calls == []
