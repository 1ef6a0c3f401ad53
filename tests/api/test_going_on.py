"""A server that ends leaves its runs to the next one, and one that can keep nothing says so."""

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import closing

import pytest

from agent_lab.config import Settings
from agent_lab.errors import StorageError
from agent_lab.providers.local.scripted_provider import Reply, ScriptedProvider
from agent_lab.storage.commit_queue import CommitQueue
from tests.api.conftest import DEBATE, LONGEST_WAIT_S, Clockwork, Serve, Served, each_event, slow

STUCK: Mapping[str, Reply] = {**DEBATE, "challenger": slow("one issue")}


async def test_a_server_that_ends_leaves_background_runs_to_the_next_one(serve: Serve):
    clock = Clockwork()
    provider = ScriptedProvider(STUCK, sleep=clock.sleep)
    async with asyncio.timeout(LONGEST_WAIT_S):
        async with serve(provider) as served:
            run_id = await served.start()
            await clock.begun.wait()
        clock.go_on.set()
        async with serve(provider) as served:
            events = await served.watch(run_id)
            _, record = await served.get(f"/api/runs/{run_id}")
    assert (record["status"], record["output"]) == ("completed", "the final answer")
    assert [call.role for call in provider.calls] == [
        "creator",
        "challenger",
        "challenger",
        "refiner",
    ]
    assert [data["activityType"] for _, data in events if data["type"] == "ACTIVITY_SNAPSHOT"] == [
        "lab.run_resumed"
    ]


async def test_views_do_not_hold_up_the_end_and_go_on_at_the_next_server(serve: Serve):
    clock = Clockwork()
    provider = ScriptedProvider(STUCK, sleep=clock.sleep)
    seen: list[str] = []
    async with asyncio.timeout(LONGEST_WAIT_S):
        async with serve(provider) as served:
            run_id = await served.start()
            async with served.http.get(f"/api/runs/{run_id}/events") as response:
                async for place, data in each_event(response):
                    seen += [place] if place else []
                    if data["type"] == "TEXT_MESSAGE_START" and data["name"] == "challenger":
                        served.server.should_exit = True
            assert data["type"] not in ("RUN_FINISHED", "RUN_ERROR")
        clock.go_on.set()
        async with serve(provider) as served:
            rest = await served.watch(run_id, after=int(seen[-1]))
    seen += [place for place, _ in rest if place]
    assert seen == [str(place) for place in range(1, len(seen) + 1)]
    assert rest[-1][1]["type"] == "RUN_FINISHED"


async def test_the_runs_of_a_dead_process_are_taken_up(serve: Serve, settings: Settings):
    clock = Clockwork()
    provider = ScriptedProvider(STUCK, sleep=clock.sleep)
    async with asyncio.timeout(LONGEST_WAIT_S):
        async with serve(provider) as served:
            run_id = await served.start()
            await clock.begun.wait()
        _as_if_it_had_died(settings)
        clock.go_on.set()
        async with serve(provider) as served:
            await served.watch(run_id)
            _, record = await served.get(f"/api/runs/{run_id}")
    assert record["status"] == "completed"
    assert len(provider.calls) == 4


async def test_a_run_that_somebody_waited_for_ends_with_its_process(
    serve: Serve, settings: Settings
):
    clock = Clockwork()
    provider = ScriptedProvider(STUCK, sleep=clock.sleep)
    async with asyncio.timeout(LONGEST_WAIT_S):
        async with serve(provider) as served:
            run_id = await served.start()
            await clock.begun.wait()
        with closing(sqlite3.connect(settings.home_folder / "lab.db")) as database:
            database.execute("UPDATE runs SET detached = 0")
            database.commit()
        _as_if_it_had_died(settings)
        async with serve(provider) as served:
            events = await served.watch(run_id)
            _, record = await served.get(f"/api/runs/{run_id}")
    assert (record["status"], record["stop_reason"]) == ("cancelled", "interrupted")
    assert events[-1][1]["resumable"] is True
    assert len(provider.calls) == 2


def _as_if_it_had_died(settings: Settings) -> None:
    """Leave behind what a process leaves that is killed: a lease that nobody renews."""
    with closing(sqlite3.connect(settings.home_folder / "lab.db")) as database:
        [worker] = database.execute("SELECT worker FROM runs").fetchone()
        database.execute("INSERT INTO workers VALUES (?, 'another machine', '1 1.0', 0)", [worker])
        database.commit()


async def test_a_server_that_can_keep_nothing_is_alive_but_not_ready(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    assert (await served.get("/readyz"))[0] == 200
    monkeypatch.setattr(CommitQueue, "why_dead", StorageError("The lab's writer has died."))
    status, answer = await served.get("/readyz")
    assert (status, answer["error"]["code"]) == (503, "storage_error")
    assert (await served.get("/healthz"))[0] == 200
