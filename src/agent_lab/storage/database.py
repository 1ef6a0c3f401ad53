"""The one connection to the database: SQLite in a file, or a Postgres server."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from agent_lab.errors import ConfigurationError, MissingDependencyError, StorageError
from agent_lab.storage import schema
from agent_lab.storage.driver import driver_cursor

Result = TypeVar("Result")

BUSY_TIMEOUT_S = 10
"""How long SQLite waits for another process to end its transaction."""
LONGEST_TRANSACTION_S = 30
"""After which Postgres ends one; nothing here takes nearly as long."""
_FIRST_WITH_TRANSACTION_TIMEOUT = 170000
POSTGRES = "postgresql+psycopg"
_SPELLINGS = {"postgres": POSTGRES, "postgresql": POSTGRES, POSTGRES: POSTGRES, "sqlite": "sqlite"}
_SECRET = ("password", "sslpassword")
"""What a URL for Postgres may say after its question mark, and nobody may show."""
_HINTS = {
    "full": "Free some space, then: agent-lab runs resume RUN_ID",
    "readonly": "Make the file and its folder writable, or AGENT_LAB_HOME=FOLDER",
    "read-only": "Make the file and its folder writable, or AGENT_LAB_HOME=FOLDER",
    "locked": "End the program that holds it, then: agent-lab runs resume RUN_ID",
    "unable to open": "AGENT_LAB_HOME=FOLDER or AGENT_LAB_DATABASE_URL=… names another place",
    "disk i/o": "Free some space, or look at the disk, then: agent-lab runs resume RUN_ID",
    "malformed": "Put a copy of the file back; sqlite3 FILE .recover saves what can be read",
    "not a database": "AGENT_LAB_DATABASE_URL=sqlite:////another/file.db",
}


class Database:
    """Where the lab keeps its runs; nothing is opened before the first use.

    Args:
        url: `sqlite:///FILE` or `postgresql://…`.

    Raises:
        ConfigurationError: The URL is none of these.
        MissingDependencyError: The driver for Postgres is not installed.
    """

    def __init__(self, url: str) -> None:
        self._url = _parsed(url)
        self._is_open = False
        self._opening = threading.Lock()

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file on this machine."""
        return self._url.drivername == "sqlite"

    @property
    def name(self) -> str:
        """Where it is, without its password."""
        if self.is_sqlite:
            return self._url.database or ""
        hidden = {name: "***" for name in _SECRET if name in self._url.query}
        return self._url.update_query_dict(hidden).render_as_string(hide_password=True)

    @cached_property
    def engine(self) -> Engine:
        """The pool of its connections; see `open`."""
        if self.is_sqlite:
            engine = create_engine(self._url, connect_args={"timeout": BUSY_TIMEOUT_S})
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        engine = create_engine(self._url, pool_pre_ping=True, pool_size=10)
        event.listen(engine, "connect", _prepare_postgres)
        return engine

    @cached_property
    def writer(self) -> Engine:
        """The same pool, for transactions that write."""
        return self.engine.execution_options(sqlite_begin="IMMEDIATE")

    def open(self) -> None:
        """Make sure that the database is there, with the tables of this version.

        A SQLite file is made, and brought up to date, on the way; a Postgres server only by
        `agent-lab db upgrade`, since others may be at work on it.

        Raises:
            StorageError: It cannot be reached or written, or its tables are of another version.
        """
        with self._opening:
            if self._is_open:
                return
            with self.errors():
                if self.is_sqlite:
                    schema.upgrade_file(self.engine, Path(self._url.database or ""))
                else:
                    schema.check(self.engine)
            self._is_open = True

    def upgrade(self) -> tuple[str | None, str]:
        """Bring the tables up to date; the version before (None: there were none) and after.

        Raises:
            StorageError: It cannot be reached or written, or is newer than this version.
        """
        with self.errors():
            if self.is_sqlite:
                return schema.upgrade_file(self.engine, Path(self._url.database or ""))
            return schema.upgrade_server(self.engine)

    def read(self, query: Callable[[Connection], Result]) -> Result:
        """Run a query in a transaction of its own.

        Raises:
            StorageError: The database cannot be read.
        """
        self.open()
        with self.errors(), self.engine.connect() as connection:
            return query(connection)

    def close(self) -> None:
        """Close every connection."""
        if "engine" in self.__dict__:
            self.engine.dispose()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what the driver raises into `StorageError`."""
        try:
            yield
        except SQLAlchemyError as error:
            raise self.described(error) from error
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise self._cannot(reason, _HINTS["unable to open"]) from error

    def described(self, error: SQLAlchemyError) -> StorageError:
        """What an error of the driver means, and what to do about it."""
        reason = str(error.orig if isinstance(error, DBAPIError) else error).strip()
        reason = reason.partition("\n")[0]
        if not self.is_sqlite:
            return self._cannot(reason, "Is the server up? AGENT_LAB_DATABASE_URL names it")
        found = [hint for words, hint in _HINTS.items() if words in reason.lower()]
        return self._cannot(reason, next(iter(found), ""))

    def _cannot(self, reason: str, hint: str) -> StorageError:
        return StorageError(
            f"The database `{self.name}` cannot be used: {reason.rstrip('.')}.",
            hint=hint,
            details={"database": self.name},
        )


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
        driver = _SPELLINGS[parsed.drivername]
    except (ArgumentError, KeyError):
        raise ConfigurationError(
            "AGENT_LAB_DATABASE_URL names neither SQLite nor Postgres.",
            hint="sqlite:////folder/lab.db, or postgresql://user:password@host/database",
        ) from None
    if driver == POSTGRES and find_spec("psycopg") is None:
        raise MissingDependencyError(
            "Postgres needs a driver that is not installed.",
            hint="pip install 'ai-agent-lab-v3[postgres]'",
        )
    if driver == "sqlite" and not parsed.database:
        raise ConfigurationError(
            "AGENT_LAB_DATABASE_URL names no file: what is in memory is lost with the process.",
            hint="sqlite:////folder/lab.db",
        )
    return parsed.set(drivername=driver)


def _prepare_sqlite(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
    # Transactions begin where we say, not where Python's module guesses.
    connection.isolation_level = None
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON", "journal_size_limit=67108864"):
        connection.execute(f"PRAGMA {pragma}").close()


def _prepare_postgres(connection: Any, entry: ConnectionPoolEntry) -> None:
    # A process that is frozen in mid-transaction would hold up whoever takes its runs over.
    can_limit = connection.info.server_version >= _FIRST_WITH_TRANSACTION_TIMEOUT
    limit = "transaction_timeout" if can_limit else "idle_in_transaction_session_timeout"
    connection.execute(f"SET {limit} = '{LONGEST_TRANSACTION_S}s'")
    connection.commit()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that is going to write takes its lock first: to upgrade a read lock can fail.
    kind = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    with driver_cursor(connection) as cursor:
        cursor.execute(f"BEGIN {kind}")
