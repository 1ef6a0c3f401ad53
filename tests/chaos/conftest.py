"""What the scenes of chaos stand on."""

from collections.abc import Iterator

import pytest

from tests.postgres import PostgresServer, serve


@pytest.fixture(scope="session")
def durable_postgres() -> Iterator[PostgresServer]:
    """A server that tests may stop as they like: what it has committed is on the disk."""
    yield from serve(durable=True)


@pytest.fixture
def durable_url(durable_postgres: PostgresServer) -> Iterator[str]:
    """A database of that server, of one test."""
    url = durable_postgres.create()
    yield url
    durable_postgres.drop(url)
