"""Brings a database to the tables of this version, one process at a time."""

from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlalchemy import Connection, Engine, inspect, text

from agent_lab.errors import SchemaVersionError

HEAD = "0001"
"""The newest revision in `migrations/versions`."""
LOCK_NUMBER = 0x1AB_0003
"""Of the advisory lock of Postgres, for those who upgrade."""
LONGEST_UPGRADE_S = 300
_VERSIONS = "alembic_version"
_PAGE_BYTES = 8192


def upgrade_file(engine: Engine, file: Path) -> tuple[str | None, str]:
    """Make a SQLite file, or bring it up to date.

    Args:
        engine: Its connections.
        file: The file.

    Returns:
        The revision before, None where there was none, and after.

    Raises:
        SchemaVersionError: The file is newer than this version of the lab.
        OSError: The folder cannot be made, or the lock file not be written.
    """
    if file.exists():
        with engine.connect() as connection:
            before = revision(connection)
        if before == HEAD:
            return before, HEAD
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(f"{file}.lock", timeout=LONGEST_UPGRADE_S):
        if not file.exists():
            file.touch(mode=0o600)
        with engine.connect() as connection:
            before = revision(connection)
            connection.rollback()
            if before is None:
                _set_up(connection.connection.driver_connection)
        with engine.execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
            _upgrade(connection, before)
    return before, HEAD


def _set_up(connection: Any) -> None:
    # Once and by one process only: those who race for it find the database locked.
    for pragma in (f"page_size={_PAGE_BYTES}", "auto_vacuum=INCREMENTAL", "journal_mode=WAL"):
        connection.execute(f"PRAGMA {pragma}").close()


def upgrade_server(engine: Engine) -> tuple[str | None, str]:
    """Bring a Postgres database up to date; others who try at the same time wait.

    Returns:
        The revision before, None where there was none, and after.

    Raises:
        SchemaVersionError: The database is newer than this version of the lab.
    """
    with engine.begin() as connection:
        if connection.dialect.server_version_info >= (17,):  # type: ignore[operator]
            connection.execute(text("SET LOCAL transaction_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": LOCK_NUMBER})
        before = revision(connection)
        _upgrade(connection, before)
    return before, HEAD


def check(engine: Engine) -> None:
    """Look whether a database has the tables of this version.

    Raises:
        SchemaVersionError: It has not.
    """
    with engine.connect() as connection:
        found = revision(connection)
    if found == HEAD:
        return
    if found is not None and found > HEAD:
        raise _too_new(found)
    raise SchemaVersionError(
        f"The database has tables of revision `{found or 'none'}`; this version needs `{HEAD}`.",
        hint="agent-lab db upgrade",
        details={"found": found, "needed": HEAD},
    )


def revision(connection: Connection) -> str | None:
    """The revision of a database's tables; None: there are none."""
    if not inspect(connection).has_table(_VERSIONS):
        return None
    return connection.execute(text(f"SELECT version_num FROM {_VERSIONS}")).scalar()  # noqa: S608


def _upgrade(connection: Connection, before: str | None) -> None:
    if before == HEAD:
        return
    if before is not None and before > HEAD:
        raise _too_new(before)
    # Alembic is slow to load, and most starts do not need it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _too_new(found: str) -> SchemaVersionError:
    return SchemaVersionError(
        f"The database has the tables of revision `{found}`; this version knows only `{HEAD}`.",
        hint="pip install --upgrade ai-agent-lab-v3",
        details={"found": found, "needed": HEAD},
    )
