"""The one writer: what is queued is committed in order and together, and nobody waits for ever."""

import asyncio
import gc
import random
import threading
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select, text

from agent_lab.errors import RunTakenOverError, StorageError
from agent_lab.storage import commit_queue
from agent_lab.storage.commit_queue import MOST_AT_ONCE, CommitQueue
from agent_lab.storage.database import Database
from agent_lab.storage.run_owners import Worker
from agent_lab.storage.run_store import RunStore
from agent_lab.storage.tables import runs
from tests.storage.clerk import (
    PATIENCE_S,
    Clerk,
    asked,
    end_of,
    event_row,
    header,
    outcomes,
    seqs,
)


class Bug(BaseException):
    """What no `except Exception` catches."""


def commits_of(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts commits from now on: one item for each."""
    counted: list[int] = []
    commit = engine.dialect.do_commit

    def do_commit(connection: Any) -> None:
        counted.append(1)
        commit(connection)

    monkeypatch.setattr(engine.dialect, "do_commit", do_commit)
    return counted


def writers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "agent-lab-writer"}


async def ends(thread: threading.Thread) -> bool:
    """Whether a thread comes to its end."""
    await asyncio.to_thread(thread.join, PATIENCE_S)
    return not thread.is_alive()


@pytest.fixture
def others() -> set[threading.Thread]:
    """The writers of other tests."""
    return writers()


async def test_what_is_queued_together_is_committed_together(
    clerk: Clerk, database: Database, monkeypatch: pytest.MonkeyPatch
):
    run = header()
    commits = commits_of(database.engine, monkeypatch)
    async with clerk.held():
        futures = [clerk.create(run), *(clerk.event(run.id, seq) for seq in range(1, 41))]
    await outcomes(futures)

    assert len(commits) == 2, "one of the call that held the writer up, one of all changes"
    assert seqs(database, run.id) == list(range(1, 41))


async def test_no_transaction_has_more_changes_than_it_may(
    clerk: Clerk, database: Database, monkeypatch: pytest.MonkeyPatch
):
    run = header()
    commits = commits_of(database.engine, monkeypatch)
    async with clerk.held():
        futures = [
            clerk.create(run),
            *(clerk.event(run.id, seq) for seq in range(1, MOST_AT_ONCE + 1)),
        ]
    await outcomes(futures)

    assert len(commits) == 3
    assert len(seqs(database, run.id)) == MOST_AT_ONCE


async def test_changes_are_committed_and_told_in_the_order_in_which_they_were_queued(
    clerk: Clerk, database: Database, store: RunStore
):
    made = [header() for _ in range(5)]
    places = dict.fromkeys((run.id for run in made), 0)
    queued: list[tuple[str, int]] = []
    futures = [clerk.create(run) for run in made]
    dice = random.Random(3)  # noqa: S311 - repeatable
    for number in range(300):
        run_id = dice.choice(made).id
        places[run_id] += 1
        queued.append((run_id, places[run_id]))
        futures.append(clerk.event(run_id, places[run_id]))
        if number % 40 == 0:
            await futures[-1]
    for run in made:
        futures.append(clerk.event(run.id, 1000, end_of(run.id, "completed")))
    assert set(await outcomes(futures)) == {None}

    events = [rows[-1][1] for rows in clerk.told if rows[-1][0] == "event"]
    told = [(row["run_id"], row["seq"]) for row in events if row["seq"] < 1000]
    assert told == queued
    for run in made:
        assert seqs(database, run.id) == [*range(1, places[run.id] + 1), 1000]
        assert (await store.row(run.id)).status == "completed"


async def test_begin_and_end_of_a_run_may_be_in_one_batch(clerk: Clerk, store: RunStore):
    run, turn = header(), asked()
    begun = {"run": run.id, "to_status": "running", "to_started_at": 1}
    key = {"run": run.id, "at_path": turn.path, "at_visit": 0, "at_retry": 0}
    async with clerk.held():
        futures = [
            clerk.create(run, status="queued"),
            clerk.event(run.id, 1, ("run_start", begun)),
            clerk.turn(run.id, 2, turn),
            clerk.event(run.id, 3, ("turn_restart", key)),
            clerk.event(run.id, 4, end_of(run.id, "failed")),
        ]
    assert set(await outcomes(futures)) == {None}

    rows = await store.rows(run.id)
    assert rows.run.status == "failed"
    assert [row.starts for row in rows.turns] == [2]


POISON = {
    "a place that is taken": lambda run_id: event_row(run_id, 1),
    "a value that must not be missing": lambda run_id: event_row(run_id, 2, None),
    "a value of a wrong type": lambda run_id: event_row(run_id, 2, {}),
    "a value that no database takes": lambda run_id: event_row(run_id, 2, object()),
    "half a character": lambda run_id: event_row(run_id, 2, "\ud800"),
    "a number that is too large": lambda run_id: event_row(run_id, 2**70),
    "a row without a column": lambda run_id: {"run_id": run_id, "seq": 2},
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
async def test_a_poisonous_change_fails_alone(clerk: Clerk, database: Database, poison: Any):
    sick, well, new = header(), header(), header()
    await outcomes([clerk.create(sick), clerk.create(well), clerk.event(sick.id, 1)])
    async with clerk.held():
        futures = [
            clerk.event(well.id, 1),
            clerk.put(sick.id, [("event", event_row(sick.id, 5)), ("event", poison(sick.id))]),
            clerk.event(well.id, 2),
            clerk.create(new),
            clerk.event(new.id, 1),
        ]
    told = await outcomes(futures)

    assert told == [None, StorageError, None, None, None]
    assert seqs(database, well.id) == [1, 2]
    assert seqs(database, new.id) == [1]
    assert seqs(database, sick.id) == [1], "a change is written whole or not at all"
    assert clerk.queue.why_dead is None


async def test_nul_is_refused_by_postgres_alone_and_for_that_change_alone(
    clerk: Clerk, database: Database
):
    run, other = header(), header()
    await clerk.create(run)
    await clerk.create(other)
    async with clerk.held():
        futures = [
            clerk.put(run.id, [("event", event_row(run.id, 1, '"\0"'))]),
            clerk.event(other.id, 1),
        ]
    assert await outcomes(futures) == [None if database.is_sqlite else StorageError, None]


async def test_nothing_of_an_execution_is_written_after_what_failed_of_it(
    clerk: Clerk, database: Database, store: RunStore
):
    run = header()
    await clerk.create(run)
    async with clerk.held():
        futures = [
            clerk.event(run.id, 1),
            clerk.put(run.id, [("event", {**event_row(run.id, 2), "type": None})]),
            clerk.event(run.id, 3),
        ]
    late = clerk.event(run.id, 4)
    assert await outcomes([*futures, late]) == [None, StorageError, StorageError, StorageError]
    assert seqs(database, run.id) == [1]
    claimed = await store.claim(run.id, Worker("b", "host", "1 0"), ["running", "queued"])
    assert claimed is not None
    assert await outcomes([clerk.event(run.id, 2, epoch=claimed.epoch)]) == [None]


async def test_a_change_of_an_older_owner_is_refused_and_the_others_of_its_batch_are_written(
    clerk: Clerk, database: Database, store: RunStore
):
    taken, ours, unknown = header(), header(), header()
    await outcomes([clerk.create(taken, epoch=2), clerk.create(ours)])
    async with clerk.held():
        futures = [
            clerk.event(ours.id, 1),
            clerk.event(taken.id, 1, end_of(taken.id, "failed")),
            clerk.event(taken.id, 1, epoch=2),
            clerk.event(taken.id, 2, epoch=3),
            clerk.event(unknown.id, 1),
            clerk.event(ours.id, 2),
        ]
    told = await outcomes(futures)

    assert told == [None, RunTakenOverError, None, RunTakenOverError, RunTakenOverError, None]
    assert seqs(database, ours.id) == [1, 2]
    assert seqs(database, taken.id) == [1]
    assert seqs(database, unknown.id) == []
    assert (await store.row(taken.id)).status == "running"


async def test_who_stops_waiting_loses_nothing(clerk: Clerk, database: Database):
    run = header()
    await clerk.create(run)
    async with clerk.held():
        waiting = [asyncio.create_task(_wait(clerk, run.id, seq)) for seq in range(1, 31)]
        rename = text("UPDATE runs SET owner = 'somebody'")
        called = asyncio.create_task(clerk.queue.call(lambda c: c.execute(rename) and None))
        await asyncio.sleep(0)
        for task in [*waiting, called]:
            task.cancel()
        await asyncio.wait([*waiting, called])
        assert called.cancelled()
    await clerk.queue.call(lambda _: None)

    assert seqs(database, run.id) == list(range(1, 31))
    assert database.read(lambda c: c.execute(select(runs.c.owner)).scalar()) == "somebody"


async def _wait(clerk: Clerk, run_id: str, seq: int) -> None:
    await clerk.event(run_id, seq)


async def test_what_an_ended_event_loop_has_queued_is_committed(clerk: Clerk, database: Database):
    run = header()
    await clerk.create(run)

    async def leave() -> None:
        clerk.event(run.id, 1)

    async with clerk.held():
        await asyncio.to_thread(asyncio.run, leave())
        last = clerk.event(run.id, 2)
    assert await outcomes([last]) == [None]
    assert seqs(database, run.id) == [1, 2]


async def test_a_call_that_fails_changes_nothing_and_harms_nobody(clerk: Clerk, database: Database):
    run = header()
    await clerk.create(run)

    def work(connection: Connection) -> None:
        connection.execute(text("DELETE FROM runs"))
        raise ValueError("a bug of the caller")

    with pytest.raises(ValueError, match="a bug of the caller"):
        await clerk.queue.call(work)
    with pytest.raises(StorageError, match="nowhere"):
        await clerk.queue.call(lambda c: c.execute(text("SELECT * FROM nowhere")))
    assert await outcomes([clerk.event(run.id, 1)]) == [None]


async def test_a_writer_that_dies_fails_all_that_is_queued_and_all_that_comes(
    database: Database, others: set[threading.Thread]
):
    def die(_: Connection) -> None:
        raise Bug

    queue = CommitQueue(database)
    clerk, run = Clerk(queue), header()
    await clerk.create(run)
    (thread,) = writers() - others
    async with clerk.held():
        dies = asyncio.create_task(queue.call(die))
        await asyncio.sleep(0)
        pending = [clerk.event(run.id, 1), clerk.event(run.id, 2)]
        called = asyncio.create_task(queue.call(lambda _: None))
        await asyncio.sleep(0)

    assert set(await outcomes([dies, *pending, called])) == {StorageError}
    assert isinstance(queue.why_dead, StorageError)
    assert "Bug" in queue.why_dead.message
    with pytest.raises(StorageError, match="has died"):
        clerk.event(run.id, 3)
    with pytest.raises(StorageError, match="has died"):
        await queue.call(lambda _: None)
    assert seqs(database, run.id) == []
    async with asyncio.timeout(PATIENCE_S):
        await queue.close()
    assert await ends(thread)


async def test_changes_that_the_writer_has_in_hand_when_it_dies_fail_too(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    def die(*_: Any) -> None:
        raise Bug

    queue = CommitQueue(database)
    clerk, run = Clerk(queue), header()
    await clerk.create(run)
    async with clerk.held():
        pending = [clerk.event(run.id, seq) for seq in range(1, 4)]
        called = asyncio.create_task(queue.call(lambda _: None))
        await asyncio.sleep(0)
        monkeypatch.setattr(commit_queue, "write", die)

    assert set(await outcomes([*pending, called])) == {StorageError}
    async with asyncio.timeout(PATIENCE_S):
        await queue.close()


async def test_closing_commits_what_is_queued_and_refuses_what_comes_later(
    database: Database, others: set[threading.Thread]
):
    queue = CommitQueue(database)
    clerk, run = Clerk(queue), header()
    futures = [clerk.create(run), *(clerk.event(run.id, seq) for seq in range(1, 21))]
    await queue.close()

    assert set(await outcomes(futures)) == {None}
    assert seqs(database, run.id) == list(range(1, 21))
    assert not writers() - others
    with pytest.raises(StorageError, match="closed"):
        clerk.event(run.id, 21)
    with pytest.raises(StorageError, match="closed"):
        await queue.call(lambda _: None)
    await queue.close()


async def test_a_queue_that_nobody_has_used_can_be_closed(database: Database):
    queue = CommitQueue(database)
    await queue.close()
    with pytest.raises(StorageError, match="closed"):
        await queue.call(lambda _: None)


async def test_a_forgotten_queue_commits_what_is_queued_and_leaves_no_thread(
    database: Database, others: set[threading.Thread]
):
    run = header()
    clerk = Clerk(CommitQueue(database))
    futures = [clerk.create(run), clerk.event(run.id, 1)]
    (thread,) = writers() - others
    del clerk
    gc.collect()

    assert await ends(thread)
    assert await outcomes(futures) == [None, None]
    assert seqs(database, run.id) == [1]
