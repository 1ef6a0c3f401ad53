"""`Idempotency-Key`: who does not know whether they were heard can ask again."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from agent_lab.providers.local.scripted_provider import Reply, ScriptedProvider
from tests.api.conftest import DEBATE, LONGEST_WAIT_S, Clockwork, Serve, Served, slow

RUN = ("/api/runs", {"flow": "challenge", "input": "Why?"})
ORCHESTRATE = ("/api/orchestrate", {"prompt": "Why?"})
KEY = {"Idempotency-Key": "my key"}
ways = pytest.mark.parametrize("way", [RUN, ORCHESTRATE], ids=["runs", "orchestrate"])
STUCK: Mapping[str, Reply] = {**DEBATE, "challenger": slow("one issue")}


@ways
async def test_the_same_key_and_body_are_the_same_run(serve: Serve, way: tuple[str, Any]):
    provider = ScriptedProvider(DEBATE)
    async with serve(provider) as served:
        first = await served.post(*way, **KEY)
        again = await served.post(*way, **KEY)
        other = await served.post(*way, **{"Idempotency-Key": "another"})
        without = await served.post(*way)
    assert first[0] == again[0] == 200
    assert first[1]["id"] == again[1]["id"]
    assert first[1]["output"] == again[1]["output"] == "the final answer"
    assert len({first[1]["id"], other[1]["id"], without[1]["id"]}) == 3
    assert len(provider.calls) == 3 * 3


@ways
async def test_the_same_key_with_another_body_is_refused(serve: Serve, way: tuple[str, Any]):
    path, body = way
    provider = ScriptedProvider(DEBATE)
    async with serve(provider) as served:
        await served.post(path, body, **KEY)
        status, answer = await served.post(path, {**body, "seed": 1}, **KEY)
    assert (status, answer["error"]["code"]) == (422, "idempotency_mismatch")
    assert len(provider.calls) == 3


@ways
async def test_while_the_run_goes_on_a_second_caller_is_told_so(serve: Serve, way: tuple[str, Any]):
    clock = Clockwork()
    async with serve(ScriptedProvider(STUCK, sleep=clock.sleep)) as served:
        asking = asyncio.create_task(served.post(*way, **KEY))
        await clock.begun.wait()
        status, answer = await served.post(*way, **KEY)
        assert (status, answer["error"]["code"]) == (409, "run_state")
        clock.go_on.set()
        first = await asking
        again = await served.post(*way, **KEY)
    assert first[1]["id"] == again[1]["id"] == answer["error"]["details"]["run_id"]


@ways
async def test_who_was_cut_off_asks_again_and_pays_for_no_finished_turn_twice(
    serve: Serve, way: tuple[str, Any]
):
    clock = Clockwork()
    provider = ScriptedProvider(STUCK, sleep=clock.sleep)
    async with serve(provider) as served, asyncio.timeout(LONGEST_WAIT_S):
        asking = asyncio.create_task(served.post(*way, **KEY))
        await clock.begun.wait()
        asking.cancel()  # aiohttp closes the connection
        await clock.cancelled.wait()
        clock.go_on.set()
        status, answer = await served.post(*way, **KEY)
        while status == 409:  # the end of the first one is being written
            status, answer = await served.post(*way, **KEY)
    assert (status, answer["status"], answer["output"]) == (200, "completed", "the final answer")
    assert [call.role for call in provider.calls] == [
        "creator",
        "challenger",
        "challenger",
        "refiner",
    ]


async def test_in_the_background_the_same_key_shows_the_run_as_it_is(serve: Serve):
    path, body = RUN[0], {**RUN[1], "background": True}
    clock = Clockwork()
    async with serve(ScriptedProvider(STUCK, sleep=clock.sleep)) as served:
        status, first = await served.post(path, body, **KEY)
        assert (status, first["status"]) == (202, "running")
        status, again = await served.post(path, body, **KEY)
        assert (status, again["id"], again["status"]) == (202, first["id"], "running")
        clock.go_on.set()
        await served.watch(first["id"])
        status, ended = await served.post(path, body, **KEY)
        assert (status, ended["id"], ended["status"]) == (202, first["id"], "completed")
        _, page = await served.get("/api/runs")
    assert len(page["runs"]) == 1


async def test_many_at_once_with_one_key_start_one_run(served: Served):
    body = {**RUN[1], "background": True}
    answers = await asyncio.gather(*(served.post(RUN[0], body, **KEY) for _ in range(8)))
    assert {status for status, _ in answers} == {202}
    assert len({run["id"] for _, run in answers}) == 1
    _, page = await served.get("/api/runs")
    assert len(page["runs"]) == 1


@ways
@pytest.mark.parametrize("key", ["", "x" * 256], ids=["empty", "long"])
async def test_a_key_has_1_to_255_characters(served: Served, way: tuple[str, Any], key: str):
    status, answer = await served.post(*way, **{"Idempotency-Key": key})
    assert (status, answer["error"]["code"]) == (422, "invalid_request")
    assert "idempotency-key" in answer["error"]["message"].lower()
    assert (await served.post(*way, **{"Idempotency-Key": "x" * 255}))[0] == 200


async def test_a_stream_takes_no_key(served: Served):
    status, answer = await served.post(ORCHESTRATE[0], {"prompt": "Why?", "stream": True}, **KEY)
    assert (status, answer["error"]["code"]) == (422, "invalid_request")
    assert "POST /api/runs" in answer["error"]["hint"]
