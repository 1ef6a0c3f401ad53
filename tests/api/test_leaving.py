"""Who leaves stops the work, and a server that ends says so."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from agent_lab.config import Settings
from agent_lab.providers.local.scripted_provider import ScriptedProvider
from tests.api.conftest import DEBATE, LONGEST_WAIT_S, Clockwork, Serve, each_event, slow

PLAIN = ("/api/orchestrate", {"prompt": "Why?"})
STREAMED = ("/api/orchestrate", {"prompt": "Why?", "stream": True})
DIRECT = ("/api/inference", {"prompt": "Why?"})
ways = pytest.mark.parametrize("way", [PLAIN, STREAMED, DIRECT], ids=["plain", "stream", "direct"])


def stopped_clock() -> tuple[Clockwork, ScriptedProvider]:
    clock = Clockwork()
    script = {role: slow(text) for role, text in {**DEBATE, "": "a direct answer"}.items()}
    return clock, ScriptedProvider(script, sleep=clock.sleep)


@ways
async def test_cutting_the_connection_ends_the_models_work(
    serve: Serve, settings: Settings, way: tuple[str, dict[str, Any]]
):
    path, body = way
    clock, provider = stopped_clock()
    async with serve(provider) as served, asyncio.timeout(LONGEST_WAIT_S):
        asking = asyncio.create_task(_read_all(served.http, path, body))
        await clock.begun.wait()
        asking.cancel()  # aiohttp closes the connection
        await clock.cancelled.wait()
        clock.go_on.set()
        # Another request is answered, and it is the only one that makes the model work again.
        assert (await served.post("/api/inference", {"prompt": "x"}))[0] == 200
    assert clock.words == 1 + len(["a", "direct", "answer"])
    assert len(provider.calls) == 2
    for run in settings.outputs_dir.rglob("*.json"):
        assert json.loads(run.read_text("utf-8"))["status"] == "cancelled"


async def test_leaving_between_turns_asks_no_further_model(serve: Serve):
    clock = Clockwork()
    provider = ScriptedProvider({**DEBATE, "challenger": slow("one issue")}, sleep=clock.sleep)
    async with serve(provider) as served, asyncio.timeout(LONGEST_WAIT_S):
        asking = asyncio.create_task(served.post(*PLAIN))
        await clock.begun.wait()
        asking.cancel()
        await clock.cancelled.wait()
    assert [call.role for call in provider.calls] == ["creator", "challenger"]


async def test_ending_lets_open_requests_finish(serve: Serve):
    clock, provider = stopped_clock()
    async with serve(provider, grace_s=LONGEST_WAIT_S) as served, asyncio.timeout(LONGEST_WAIT_S):
        asking = asyncio.create_task(served.post(*PLAIN))
        await clock.begun.wait()
        served.server.should_exit = True
        status, answer = await _until_unready(served.http)
        assert status == 503
        assert answer["error"]["code"] == "server_shutting_down"
        clock.go_on.set()
        assert (await asking)[0] == 200


@ways
async def test_while_it_ends_nothing_new_is_begun(serve: Serve, way: tuple[str, dict[str, Any]]):
    clock, provider = stopped_clock()
    async with serve(provider, grace_s=LONGEST_WAIT_S) as served, asyncio.timeout(LONGEST_WAIT_S):
        asking = asyncio.create_task(served.post(*PLAIN))
        await clock.begun.wait()
        served.server.should_exit = True
        await _until_unready(served.http)
        async with served.http.post(way[0], json=way[1]) as response:
            assert response.status == 503
            assert int(response.headers["retry-after"]) > 0
            assert (await response.json())["error"]["code"] == "server_shutting_down"
        clock.go_on.set()
        await asking
    assert len(provider.calls) == 3


@pytest.mark.parametrize("way", [PLAIN, DIRECT], ids=["plain", "direct"])
async def test_after_the_grace_an_open_request_is_answered_with_the_reason(
    serve: Serve, way: tuple[str, dict[str, Any]]
):
    clock, provider = stopped_clock()
    async with serve(provider, grace_s=0) as served, asyncio.timeout(LONGEST_WAIT_S):
        asking = asyncio.create_task(served.post(*way))
        await clock.begun.wait()
        served.server.should_exit = True
        status, answer = await asking
    assert status == 503
    assert answer["error"]["code"] == "server_shutting_down"
    assert clock.cancelled.is_set()


async def test_after_the_grace_an_open_stream_gets_a_last_event(serve: Serve):
    clock, provider = stopped_clock()
    async with serve(provider, grace_s=0) as served, asyncio.timeout(LONGEST_WAIT_S):
        events = []
        async with served.http.post(STREAMED[0], json=STREAMED[1]) as response:
            async for _, data in each_event(response):
                events.append(data)
                if data["type"] == "TEXT_MESSAGE_START":
                    await clock.begun.wait()
                    served.server.should_exit = True
    assert events[-1]["type"] == "RUN_ERROR"
    assert events[-1]["code"] == "server_shutting_down"
    assert events[-1]["result"]["status"] == "cancelled"
    assert clock.cancelled.is_set()


async def _read_all(http: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> None:
    async with http.post(path, json=body) as response:
        await response.read()


async def _until_unready(http: aiohttp.ClientSession) -> tuple[int, Any]:
    while True:
        async with http.get("/readyz") as response:
            if response.status != 200:
                return response.status, await response.json()
        await asyncio.sleep(0.01)
