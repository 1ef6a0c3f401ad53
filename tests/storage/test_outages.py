"""The database fails while there is something to write: the fix is named, or it is waited for."""

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, insert, select, text, update

from agent_lab.errors import RunTakenOverError, StorageError
from agent_lab.storage import commit_queue, database
from agent_lab.storage.commit_queue import CommitQueue
from agent_lab.storage.database import Database
from agent_lab.storage.tables import flow_versions, run_events, runs
from tests.postgres import PostgresServer
from tests.storage.clerk import NOW, PATIENCE_S, Clerk, event_row, header, outcomes, seqs
from tests.storage.conftest import Opener

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgres = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
LARGE = f'"{"x" * 400_000}"'


async def failure_of(future: "asyncio.Future[None]") -> StorageError:
    with pytest.raises(StorageError) as caught:
        await asyncio.wait_for(future, PATIENCE_S)
    return caught.value


def on_connect(opened: Database, pragma: str) -> None:
    """Have every connection from now on begin with a pragma."""
    opened.close()
    event.listen(opened.engine, "connect", lambda c, _: c.execute(f"PRAGMA {pragma}").close())


@on_sqlite
async def test_a_full_disk_is_named_and_written_to_again_once_there_is_space(database: Database):
    run, queue = header(), CommitQueue(database)
    on_connect(database, "max_page_count=60")
    clerk = Clerk(queue)
    await clerk.create(run)
    async with clerk.held():
        futures = [
            clerk.event(run.id, 1),
            clerk.put(run.id, [("event", event_row(run.id, 2, LARGE))]),
        ]
    error = await failure_of(futures[1])

    assert "full" in error.message
    assert database.name in error.message
    assert error.hint.startswith("Free some space")
    assert await outcomes(futures) == [StorageError, StorageError]
    assert seqs(database, run.id) == []
    await queue.call(lambda c: c.execute(text("PRAGMA max_page_count=100000")) and None)
    other = header()
    await clerk.create(other)
    row = event_row(other.id, 1, LARGE)
    assert await outcomes([clerk.put(other.id, [("event", row)])]) == [None]
    await queue.close()


@on_sqlite
async def test_a_database_that_another_program_holds_is_named_and_written_to_once_it_is_free(
    database_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.1)
    opened = Database(database_url)
    opened.open()
    run, queue = header(), CommitQueue(opened)
    clerk = Clerk(queue)
    await clerk.create(run)
    with closing(sqlite3.connect(opened.name, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        error = await failure_of(clerk.event(run.id, 1))
        assert seqs(opened, run.id) == [], "it can be read while another one writes"
        other.execute("ROLLBACK")

    assert "locked" in error.message
    assert error.hint.startswith("End the program that holds it")
    assert await outcomes([clerk.create(header())]) == [None]
    await queue.close()


@on_sqlite
async def test_a_file_that_may_not_be_written_is_named(database: Database):
    run, queue = header(), CommitQueue(database)
    on_connect(database, "query_only=ON")
    error = await failure_of(Clerk(queue).create(run))

    assert "readonly" in error.message
    assert error.hint.startswith("Make the file and its folder writable")
    with pytest.raises(StorageError, match="readonly"):
        await queue.call(lambda c: c.execute(text("DELETE FROM runs")) and None)
    assert queue.why_dead is None
    await queue.close()


@on_sqlite
async def test_a_file_that_is_no_database_any_more_is_named(database: Database):
    database.close()
    _overwrite(Path(database.name))
    queue = CommitQueue(database)
    error = await failure_of(Clerk(queue).create(header()))

    assert "not a database" in error.message
    assert error.hint.startswith("AGENT_LAB_DATABASE_URL")
    await queue.close()


def _overwrite(file: Path) -> None:
    for beside in file.parent.glob(f"{file.name}-*"):
        beside.unlink()
    file.write_bytes(b"This is a letter to my grandmother. " * 1000)


@pytest.fixture
async def stoppable(postgres_server: PostgresServer) -> AsyncIterator[PostgresServer]:
    """The server, up again after the test."""
    yield postgres_server
    await asyncio.to_thread(postgres_server.start)


@on_postgres
@pytest.mark.parametrize("first_to_notice", ["a change", "a call"])
async def test_what_is_queued_while_the_server_is_away_is_committed_once_when_it_is_back(
    first_to_notice: str, clerk: Clerk, database: Database, stoppable: PostgresServer
):
    run, new = header(), header()
    await outcomes([clerk.create(run), clerk.event(run.id, 1)])
    await asyncio.to_thread(stoppable.stop, "immediate")
    if first_to_notice == "a call":  # a lease that is renewed, say
        with pytest.raises(StorageError, match="cannot be used") as caught:
            await clerk.queue.call(lambda c: c.execute(text("SELECT 1")) and None)
        assert caught.value.hint.startswith("Is the server up?")
    futures = [clerk.event(run.id, seq) for seq in range(2, 52)]
    await asyncio.sleep(0)
    futures += [clerk.create(new), clerk.event(new.id, 1)]
    await asyncio.to_thread(stoppable.start)

    assert set(await outcomes(futures)) == {None}
    assert seqs(database, run.id) == list(range(1, 52))
    assert seqs(database, new.id) == [1]


@on_postgres
async def test_a_server_that_stays_away_is_not_waited_for_without_end(
    clerk: Clerk, stoppable: PostgresServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(commit_queue, "RECONNECT_S", 0.1)
    run = header()
    await clerk.create(run)
    await asyncio.to_thread(stoppable.stop)
    error = await failure_of(clerk.event(run.id, 1))
    assert error.hint.startswith("Is the server up?")

    await asyncio.to_thread(stoppable.start)
    assert await outcomes([clerk.create(header())]) == [None]


@on_postgres
async def test_who_closes_while_the_server_is_away_is_not_kept_waiting(
    database: Database, stoppable: PostgresServer
):
    queue = CommitQueue(database)
    clerk, run = Clerk(queue), header()
    await clerk.create(run)
    await asyncio.to_thread(stoppable.stop)
    future = clerk.event(run.id, 1)
    async with asyncio.timeout(PATIENCE_S):
        await queue.close()
    assert await outcomes([future]) == [StorageError]


class Breaker:
    """Lets the connection of the writer break at one of its commits, before it is answered."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self._dialect = database.engine.dialect
        self._monkeypatch = monkeypatch

    def at_commit(self, number: int, then: Callable[[Any], object]) -> None:
        """Break at a commit from now on, counted from 1, after something was done."""
        commit, numbers = self._dialect.do_commit, itertools.count(1)

        def do_commit(connection: Any) -> None:
            if next(numbers) != number:
                commit(connection)
                return
            then(connection)
            connection.driver_connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

        self._monkeypatch.setattr(self._dialect, "do_commit", do_commit)


@pytest.fixture
def breaker(database: Database, monkeypatch: pytest.MonkeyPatch) -> Breaker:
    return Breaker(database, monkeypatch)


@on_postgres
@pytest.mark.parametrize("arrived", [True, False])
async def test_a_commit_whose_answer_is_lost_is_made_once(
    arrived: bool, clerk: Clerk, database: Database, breaker: Breaker
):
    run, new = header(), header()
    await clerk.create(run)
    async with clerk.held():  # which is the first commit
        futures = [clerk.event(run.id, 1), clerk.create(new), clerk.event(new.id, 1)]
        futures.append(clerk.event(run.id, 2))
        breaker.at_commit(2, lambda c: c.commit() if arrived else c.rollback())

    assert set(await outcomes(futures)) == {None}
    assert seqs(database, run.id) == [1, 2]
    assert seqs(database, new.id) == [1]


@on_postgres
async def test_a_run_that_was_taken_over_while_the_connection_was_broken_is_not_ours_any_more(
    clerk: Clerk, open_again: Opener, breaker: Breaker
):
    run, elsewhere = header(), open_again()
    await clerk.create(run)

    def take_over(connection: Any) -> None:
        connection.rollback()
        with elsewhere.writer.begin() as other:
            other.execute(update(runs).values(epoch=2))
            other.execute(insert(run_events), {**event_row(run.id, 1), "ts": NOW})

    breaker.at_commit(1, take_over)
    assert await outcomes([clerk.event(run.id, 1)]) == [RunTakenOverError]


@on_postgres
async def test_a_connection_that_is_lost_between_two_commits_is_made_anew(
    clerk: Clerk, database: Database, monkeypatch: pytest.MonkeyPatch
):
    run, commit = header(), database.engine.dialect.do_commit

    def commit_and_lose(connection: Any) -> None:
        commit(connection)
        connection.driver_connection.close()

    with monkeypatch.context() as patched:
        patched.setattr(database.engine.dialect, "do_commit", commit_and_lose)
        await clerk.create(run)
    assert await outcomes([clerk.event(run.id, 1)]) == [None]
    assert seqs(database, run.id) == [1]


async def test_flows_of_the_same_version_are_kept_once_whoever_puts_them_in(
    clerk: Clerk, open_again: Opener, database: Database
):
    other = CommitQueue(open_again())
    made = [(c, header()) for _ in range(20) for c in (clerk, Clerk(other))]
    assert set(await outcomes([c.create(run) for c, run in made])) == {None}
    await other.close()

    kept = database.read(lambda c: c.execute(select(flow_versions.c.name)).scalars().all())
    assert list(kept) == ["challenge"]
