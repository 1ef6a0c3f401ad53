"""A worker stands still beyond its lease, another goes on with its runs, and the first wakes."""

import asyncio
import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.chaos.every_event import long_debates
from tests.chaos.ledger import faults_of
from tests.chaos.stage import PATIENCE_S, Stage, Worker, debates, staged
from tests.chaos.worker import Debate

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(300)]
LEASE_S = 1.0
POLL_S = 0.01
STOPPED_AT = 4
"""The request at which the first worker stands still: another refinement is on its way."""


async def standing_still(
    stage: Stage, own: Sequence[Debate], *, unanswered: bool = False, **more: Any
) -> Worker:
    """A worker that has stopped while it waited for an answer.

    Args:
        stage: Where.
        own: What it executes.
        unanswered: Whether it is not answered when it wakes either.
        more: What else it is told.
    """
    worker = await stage.spawn(own, lease_s=LEASE_S, **more)
    silence = asyncio.Event()
    arrived = asyncio.Event()

    def hold(number: int) -> None:
        if number == STOPPED_AT:
            stage.upstream.silence = silence
            arrived.set()

    stage.upstream.on_request = hold
    async with asyncio.timeout(PATIENCE_S):
        await arrived.wait()
        worker.process.send(signal.SIGSTOP)
        while stage.is_locked():  # stopped while it wrote, it would hold everybody up
            worker.process.send(signal.SIGCONT)
            await asyncio.sleep(POLL_S)
            worker.process.send(signal.SIGSTOP)
    stage.take_stock(own)
    stage.upstream.count_anew()
    if not unanswered:
        silence.set()
    return worker


async def assert_one_worker_has_ended_it(stage: Stage, debate: Debate, first: Worker) -> None:
    await first.report()  # it does not crash, and gives the record that the other one made
    assert "The run is left to others" in first.log()
    log = stage.books.read([debate.key]).logs[debate.key]
    assert log.row.status == "completed"
    assert log.row.epoch == 2
    assert faults_of(log) == []
    assert not await stage.differing([debate])
    assert not stage.doubled()
    assert not stage.unannounced([debate])
    assert stage.repeats([debate]) == 1  # what was in flight


async def test_who_wakes_after_the_run_was_ended_by_another_changes_nothing(tmp_path: Path):
    async with staged(tmp_path) as stage:
        (debate,) = own = await long_debates(stage, 1, "asleep")
        first = await standing_still(stage, own)
        await stage.finish(own, lease_s=LEASE_S)
        ended = stage.books.read([debate.key]).logs[debate.key]
        first.process.send(signal.SIGCONT)
        await assert_one_worker_has_ended_it(stage, debate, first)
        assert stage.books.read([debate.key]).logs[debate.key].events == ended.events


async def test_who_wakes_while_another_goes_on_asks_no_more(tmp_path: Path):
    async with staged(tmp_path) as stage:
        (debate,) = own = await long_debates(stage, 1, "awake")
        first = await standing_still(stage, own)

        def wake(number: int) -> None:
            if number == 2:
                first.process.send(signal.SIGCONT)

        stage.upstream.on_request = wake
        await stage.finish(own, lease_s=LEASE_S)
        await assert_one_worker_has_ended_it(stage, debate, first)


async def test_on_a_server_too_the_first_worker_is_fenced_off(tmp_path: Path, durable_url: str):
    async with staged(tmp_path, durable_url) as stage:
        (debate,) = own = await long_debates(stage, 1, "server")
        first = await standing_still(stage, own)
        await stage.finish(own, lease_s=LEASE_S)
        first.process.send(signal.SIGCONT)
        await assert_one_worker_has_ended_it(stage, debate, first)


async def test_who_is_cancelled_after_another_has_ended_the_run_leaves_its_file_alone(
    tmp_path: Path,
):
    async with staged(tmp_path) as stage:
        (debate,) = own = await long_debates(stage, 1, "cancelled")
        when = tmp_path / "cancel"
        first = await standing_still(stage, own, unanswered=True, cancels_at=str(when))
        await stage.finish(own, lease_s=LEASE_S)
        when.touch()
        first.process.send(signal.SIGCONT)
        await assert_one_worker_has_ended_it(stage, debate, first)
        log = stage.books.read([debate.key]).logs[debate.key]
        saved = json.loads(stage.record_file(log.header.id).read_text("utf-8"))
        assert saved["status"] == "completed"


async def test_who_wakes_to_a_broken_connection_takes_no_rows_of_another_for_its_own(
    tmp_path: Path, durable_url: str
):
    async with staged(tmp_path, durable_url) as stage:
        own, first, backend = await in_mid_transaction(stage, durable_url)
        with psycopg.connect(durable_url, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(%s)", [backend])
        await stage.finish(own, lease_s=LEASE_S)
        first.process.send(signal.SIGCONT)
        await first.report()
        logs = stage.books.read([debate.key for debate in own]).logs
        assert [fault for log in logs.values() for fault in faults_of(log)] == []
        assert not await stage.differing(own)
        assert not stage.unannounced(own)  # nothing was paid for that is not in the log


_STARTS_A_TURN = """
SELECT pid FROM pg_stat_activity
WHERE state = 'idle in transaction' AND query LIKE 'INSERT INTO turns%'
AND datname = current_database()
"""


async def in_mid_transaction(stage: Stage, url: str) -> tuple[Sequence[Debate], Worker, int]:
    """Debates, a worker that has stopped while it wrote that a turn starts, and its backend."""
    with psycopg.connect(url, autocommit=True) as connection:
        for attempt in range(20):
            own = debates(20, f"writing-{attempt}")
            stage.upstream.arrived.clear()
            worker = await stage.spawn(own, lease_s=LEASE_S)
            await stage.upstream.arrived.wait()
            while not worker.is_gone:
                worker.process.send(signal.SIGSTOP)
                await asyncio.sleep(POLL_S)  # what the server has read by then is done
                if found := connection.execute(_STARTS_A_TURN).fetchone():
                    return own, worker, int(found[0])
                worker.process.send(signal.SIGCONT)
                await asyncio.sleep(POLL_S / 10)
    raise AssertionError("The worker never stood still while it wrote.")
