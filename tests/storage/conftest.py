"""Every test of the storage runs on a SQLite file and on a Postgres server."""

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from agent_lab.storage.commit_queue import CommitQueue
from agent_lab.storage.database import Database
from agent_lab.storage.run_store import RunStore
from tests.postgres import PostgresServer, postgres_server
from tests.storage.clerk import Clerk

__all__ = ["postgres_server"]

Opener = Callable[[], Database]
"""Gives another process's view of the same database; closed at the end."""


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(
    request: pytest.FixtureRequest, tmp_path: Path, empty_database: Path
) -> Iterator[str]:
    """A database with the lab's tables and without runs, of this test's own."""
    if request.param == "sqlite":
        shutil.copyfile(empty_database, tmp_path / "lab.db")
        yield f"sqlite:///{tmp_path / 'lab.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.create()
    yield url
    server.drop(url)


@pytest.fixture(params=["sqlite", "postgres"])
def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database that has no tables yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'data' / 'lab.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.create()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    yield url
    server.drop(url)


@pytest.fixture
def open_again(database_url: str) -> Iterator[Opener]:
    opened: list[Database] = []

    def open_database() -> Database:
        opened.append(Database(database_url))
        opened[-1].open()
        return opened[-1]

    yield open_database
    for database in opened:
        database.close()


@pytest.fixture
def database(open_again: Opener) -> Database:
    return open_again()


@pytest.fixture
async def queue(database: Database) -> AsyncIterator[CommitQueue]:
    made = CommitQueue(database)
    yield made
    await made.close()


@pytest.fixture
def clerk(queue: CommitQueue) -> Clerk:
    return Clerk(queue)


@pytest.fixture
def store(database: Database, queue: CommitQueue) -> RunStore:
    return RunStore(database, queue)
