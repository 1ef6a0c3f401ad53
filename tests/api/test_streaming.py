"""A run as server-sent events: what happened, in order, and nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from ag_ui.core import events as ag_ui
from pydantic import TypeAdapter

from agent_lab.api import run_stream
from agent_lab.api.wire.events import RunStreamEvent, StepFinished, TextMessageStart
from agent_lab.errors import ProviderUnavailableError
from agent_lab.providers.local.scripted_provider import Script, ScriptedProvider, ScriptedReply
from tests.api.conftest import DEBATE, Clockwork, Serve, Served, each_event, events_of, slow

STREAMED = {"prompt": "Why?", "stream": True}
SLOW_DEBATE = {role: slow(text) for role, text in DEBATE.items()}
ag_ui_event: TypeAdapter[object] = TypeAdapter(ag_ui.Event)


@asynccontextmanager
async def streamed(
    serve: Serve, script: Script, body: dict[str, Any]
) -> AsyncIterator[aiohttp.ClientResponse]:
    """A stream whose models say nothing before its reader is there: pieces are for who is."""
    clock = Clockwork()
    async with (
        serve(ScriptedProvider(script, sleep=clock.sleep)) as served,
        served.http.post("/api/orchestrate", json=body) as response,
    ):
        await clock.begun.wait()
        assert (await response.content.readline()).startswith(b"data: ")
        await response.content.readline()
        await response.content.readline()
        clock.go_on.set()
        yield response


async def test_a_debate_is_streamed_turn_by_turn(serve: Serve):
    async with streamed(serve, SLOW_DEBATE, STREAMED) as response:
        assert response.status == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache"
        assert response.headers["x-accel-buffering"] == "no"
        events = await events_of(response)
    turn = ["TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END"]
    step = ["STEP_STARTED", *turn, "STEP_FINISHED"]
    assert [data["type"] for _, data in events] == [*step * 3, "RUN_FINISHED"]
    started = [data["name"] for _, data in events if data["type"] == "TEXT_MESSAGE_START"]
    assert started == ["creator", "challenger", "refiner"]


async def test_every_event_is_as_described_and_as_ag_ui_reads_it(served: Served):
    async with served.http.post("/api/orchestrate", json=STREAMED) as response:
        events = await events_of(response)
    for _, data in events:
        RunStreamEvent.validate_python(data)
        ag_ui_event.validate_python(data)


async def test_a_step_says_what_it_found_and_a_turn_which_round_it_is(serve: Serve):
    body = {**STREAMED, "flow_type": "linear", "inputs": {"retries": 1}}
    script = {"execution": ["TODO", "An answer."], "summary": "An answer."}
    async with (
        serve(script) as served,
        served.http.post("/api/orchestrate", json=body) as response,
    ):
        events = [RunStreamEvent.validate_python(data) for _, data in await events_of(response)]
    steps = [event.step for event in events if isinstance(event, StepFinished)]
    assert [step.node_id for step in steps][:2] == ["task_analyzer", "execution"]
    assert steps[0].values["task_analyzer_task_type"]
    assert steps[0].next == ("execution",)
    starts = [event.metadata for event in events if isinstance(event, TextMessageStart)]
    assert [(told.node, told.round, told.retry) for told in starts] == [
        ("execution", 1, 0),
        ("execution", 1, 1),
        ("summary", 1, 0),
    ]


async def test_experts_who_speak_at_the_same_time_are_told_apart(serve: Serve):
    body = {**STREAMED, "flow_type": "multi_perspective"}
    async with streamed(serve, lambda call: slow(f"I am {call.role}."), body) as response:
        events = [data for _, data in await events_of(response)]
    for event in events:
        RunStreamEvent.validate_python(event)
    pieces = [event for event in events if event["type"] == "TEXT_MESSAGE_CONTENT"]
    turns = {piece["messageId"] for piece in pieces}
    assert len(turns) == 4
    for turn in turns:
        text = "".join(piece["delta"] for piece in pieces if piece["messageId"] == turn)
        assert text == f"I am {turn.partition(':')[0]}."


async def test_the_id_is_the_place_in_the_log_and_pieces_have_none(served: Served):
    async with served.http.post("/api/orchestrate", json=STREAMED) as response:
        events = await events_of(response)
    kept = [place for place, data in events if data["type"] != "TEXT_MESSAGE_CONTENT"]
    assert kept == [str(n) for n in range(1, len(kept) + 1)]
    assert {p for p, data in events if data["type"] == "TEXT_MESSAGE_CONTENT"} == {None}


async def test_the_pieces_of_a_turn_are_its_text(serve: Serve):
    thinking = ScriptedReply("one two three " * 50, delay_s=1, reasoning="hm")
    async with streamed(serve, lambda call: thinking, STREAMED) as response:
        events = [data for _, data in await events_of(response)]
    pieces = [data for data in events if data["type"] == "TEXT_MESSAGE_CONTENT"]
    for end in (data for data in events if data["type"] == "TEXT_MESSAGE_END"):
        mine = [p for p in pieces if p["messageId"] == end["messageId"]]
        assert "".join(p["delta"] for p in mine if not p["reasoning"]) == end["turn"]["text"]
        assert "".join(p["delta"] for p in mine if p["reasoning"]) == end["turn"]["reasoning"]
    assert len(pieces) < 3 * 150  # words that come at once travel together


async def test_the_last_event_carries_the_plain_answer(served: Served):
    async with served.http.post("/api/orchestrate", json=STREAMED) as response:
        _, last = (await events_of(response))[-1]
    _, plain = await served.post("/api/orchestrate", {"prompt": "Why?"})
    assert last["answer"]["output"] == plain["output"] == last["result"]["output"]
    assert last["answer"]["id"] == last["runId"]
    assert set(last["answer"]) == set(plain)


async def test_events_come_while_the_model_still_writes(serve: Serve):
    clock, seen = Clockwork(), []
    async with (
        serve(ScriptedProvider(SLOW_DEBATE, sleep=clock.sleep)) as served,
        served.http.post("/api/orchestrate", json=STREAMED) as response,
    ):
        async for _, data in each_event(response):
            seen.append(data["type"])
            if data["type"] == "TEXT_MESSAGE_START":
                # The model cannot write a word before this, so the event came before it.
                clock.go_on.set()
    assert seen[-1] == "RUN_FINISHED"


async def test_a_run_that_fails_ends_its_stream_with_the_reason(serve: Serve):
    script = {**DEBATE, "creator": ProviderUnavailableError("The model is gone.")}
    async with (
        serve(script) as served,
        served.http.post("/api/orchestrate", json=STREAMED) as response,
    ):
        events = await events_of(response)
    _, last = events[-1]
    assert last["type"] == "RUN_ERROR"
    assert last["code"] == "provider_unavailable"
    assert last["message"] == "The model is gone."
    assert last["answer"]["error"]["code"] == "provider_unavailable"
    RunStreamEvent.validate_python(last)


async def test_what_cannot_be_started_has_a_status_of_its_own(served: Served):
    status, answer = await served.post("/api/orchestrate", {**STREAMED, "flow_type": "nope"})
    assert status == 400
    assert answer["error"]["code"] == "unknown_flow"


async def test_silence_is_filled_with_comments(serve: Serve, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run_stream, "PING_S", 0.01)
    clock = Clockwork()
    async with (
        serve(ScriptedProvider(SLOW_DEBATE, sleep=clock.sleep)) as served,
        served.http.post("/api/orchestrate", json=STREAMED) as response,
    ):
        async for line in response.content:
            if line.startswith(b":"):
                break
        clock.go_on.set()
        rest = await response.text()
    assert "RUN_FINISHED" in rest
