"""Every database comes to the tables of this version, once, or says why it does not."""

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, insert, inspect, select, text

from agent_lab.errors import ConfigurationError, SchemaVersionError, StorageError
from agent_lab.storage import schema
from agent_lab.storage.database import Database
from agent_lab.storage.tables import installation, metadata

SCRIPTS = Path(schema.__file__).parent / "migrations"
NOBODY = 65534
PROCESSES = 2
_UPGRADE = """
import sys
from agent_lab.storage.database import Database
database = Database(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(database.upgrade())
database.close()
"""


def config(connection: Connection | None = None) -> Config:
    made = Config()
    made.set_main_option("script_location", str(SCRIPTS))
    made.attributes["connection"] = connection
    return made


REVISIONS = [step.revision for step in ScriptDirectory.from_config(config()).walk_revisions()]


@pytest.fixture
def bare(bare_url: str) -> Iterator[Database]:
    """A database without tables."""
    if bare_url.startswith("sqlite"):
        Path(bare_url.removeprefix("sqlite:///")).parent.mkdir()
    database = Database(bare_url)
    yield database
    database.close()


def migrate(database: Database, direction: Any, to: str) -> None:
    """Have Alembic do something, as no version of the lab does."""
    with database.writer.begin() as connection:
        direction(config(connection), to)


def differences(database: Database) -> Any:
    """What distinguishes the tables from those that the code works with."""
    # Of an empty default in SQLite, Alembic says that it is not there: see `definitions`.
    options = {"compare_type": True, "compare_server_default": not database.is_sqlite}
    return database.read(
        lambda c: compare_metadata(MigrationContext.configure(c, opts=options), metadata)
    )


def definitions(file: Path) -> dict[str, str]:
    """What a SQLite file says of its tables and indexes, by name."""
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    with closing(sqlite3.connect(file)) as connection:
        found = dict(connection.execute(query).fetchall())
    found.pop("alembic_version", None)
    return {name: " ".join(sql.split()) for name, sql in found.items()}


def tables(database: Database) -> set[str]:
    with database.engine.connect() as connection:
        return set(inspect(connection).get_table_names())


def set_revision(database: Database, to: str) -> None:
    with database.writer.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": to})


def test_the_newest_script_is_the_one_that_the_code_asks_for():
    scripts = ScriptDirectory.from_config(config())
    assert scripts.get_heads() == [schema.HEAD]
    assert sorted(REVISIONS, reverse=True) == REVISIONS, "revisions are compared as texts"
    assert len(scripts.get_bases()) == 1


def test_an_empty_database_gets_exactly_the_tables_that_the_code_works_with(bare: Database):
    assert bare.upgrade() == (None, schema.HEAD)
    assert bare.upgrade() == (schema.HEAD, schema.HEAD)
    assert differences(bare) == []
    assert tables(bare) == {*metadata.tables, "alembic_version"}


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_database_of_any_earlier_version_gets_them_too_and_keeps_its_rows(
    bare: Database, revision: str
):
    migrate(bare, command.upgrade, revision)
    with bare.writer.begin() as connection:
        connection.execute(insert(installation), {"name": "secret", "value": "kept"})

    assert bare.upgrade() == (revision, schema.HEAD)
    assert differences(bare) == []
    assert bare.read(lambda c: c.execute(select(installation.c.value)).scalar()) == "kept"


def test_every_step_can_be_taken_back(bare: Database):
    bare.upgrade()
    migrate(bare, command.downgrade, "base")
    assert tables(bare) == {"alembic_version"}
    migrate(bare, command.upgrade, "head")
    assert differences(bare) == []


def test_processes_that_upgrade_at_the_same_time_upgrade_once(bare_url: str, tmp_path: Path):
    script = [sys.executable, "-c", _UPGRADE, bare_url]
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen(script, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        for _ in range(PROCESSES)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60) for process in processes]

    assert [process.returncode for process in processes] == [0] * PROCESSES, said
    first, after = str((None, schema.HEAD)), str((schema.HEAD, schema.HEAD))
    assert sorted(out.strip() for out, _ in said) == sorted([first, *[after] * (PROCESSES - 1)])
    database = Database(bare_url)
    assert differences(database) == []
    assert database.read(schema.revision) == schema.HEAD
    database.close()


def test_a_newer_database_is_refused_and_left_as_it_is(bare: Database):
    bare.upgrade()
    set_revision(bare, "9999")
    for refused in (bare.upgrade, bare.open, lambda: bare.read(schema.revision)):
        with pytest.raises(SchemaVersionError, match="`9999`") as caught:
            refused()
        assert caught.value.hint == "pip install --upgrade ai-agent-lab-v3"
        assert caught.value.details == {"found": "9999", "needed": schema.HEAD}
    with bare.engine.connect() as connection:
        assert schema.revision(connection) == "9999"


@pytest.mark.parametrize("bare_url", ["postgres"], indirect=True)
def test_a_server_is_not_upgraded_by_those_who_only_use_it(bare: Database):
    with pytest.raises(SchemaVersionError, match="`none`") as caught:
        bare.open()
    assert caught.value.hint == "agent-lab db upgrade"
    assert tables(bare) == set()

    bare.upgrade()
    set_revision(bare, "0000")
    with pytest.raises(SchemaVersionError, match="`0000`") as caught:
        bare.open()
    assert caught.value.hint == "agent-lab db upgrade"
    set_revision(bare, schema.HEAD)
    bare.open()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a database is going to be: its folder is not there yet."""
    return tmp_path / "home" / "data" / "lab.db"


@pytest.fixture
def new(file: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{file}")
    yield database
    database.close()


def pragma(file: Path, name: str) -> Any:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_a_file_is_made_when_it_is_opened_for_its_owner_alone(new: Database, file: Path):
    new.open()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert pragma(file, "journal_mode") == "wal"
    assert pragma(file, "page_size") == 8192
    assert pragma(file, "auto_vacuum") == 2
    new.close()
    assert {path.name for path in file.parent.iterdir()} <= {"lab.db", "lab.db.lock"}


def test_what_sqlite_writes_beside_the_file_is_for_its_owner_alone(new: Database, file: Path):
    new.open()
    with new.writer.begin() as connection:
        connection.execute(insert(installation), {"name": "secret", "value": "of the lab"})
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}
    assert modes["lab.db-wal"] == modes["lab.db-shm"] == 0o600


def test_a_file_that_nobody_came_to_fill_is_filled_when_it_is_opened(new: Database, file: Path):
    file.parent.mkdir(parents=True)
    file.touch()
    new.open()
    assert differences(new) == []
    assert pragma(file, "journal_mode") == "wal"


def test_every_connection_waits_for_others_and_is_quick(new: Database):
    new.open()
    with new.engine.connect() as first, new.engine.connect() as second:
        for connection in (first, second):
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 10_000


def test_a_migrated_file_is_defined_as_one_that_is_made_anew(new: Database, tmp_path: Path):
    new.open()
    made = create_engine(f"sqlite:///{tmp_path / 'made.db'}")
    metadata.create_all(made)
    made.dispose()
    migrated = definitions(Path(new.name))
    assert migrated == definitions(tmp_path / "made.db")
    assert "WITHOUT ROWID" in migrated["run_events"]


@contextmanager
def powerless(folder: Path) -> Iterator[None]:
    """Be somebody who may not do everything, as a user is; only root has to change for this."""
    if os.geteuid() != 0:
        yield
        return
    os.chown(folder, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def readonly() -> Iterator[Path]:
    """A folder in which nobody may write; everybody may get there."""
    with tempfile.TemporaryDirectory(prefix="lab-storage-") as name:
        folder = Path(name)
        with powerless(folder):
            folder.chmod(0o555)
            yield folder
            folder.chmod(0o755)


@pytest.mark.parametrize("place", ["lab.db", "new/folder/lab.db"])
def test_a_folder_that_may_not_be_written_is_named_with_the_fix(readonly: Path, place: str):
    database = Database(f"sqlite:///{readonly / place}")
    with pytest.raises(StorageError, match="permission denied") as caught:
        database.open()
    assert str(readonly / place) in caught.value.message
    assert caught.value.hint.startswith("AGENT_LAB_HOME=FOLDER or AGENT_LAB_DATABASE_URL")
    database.close()


def test_a_place_where_no_folder_can_be_is_named_with_the_fix(tmp_path: Path):
    (tmp_path / "letter").touch()
    database = Database(f"sqlite:///{tmp_path / 'letter' / 'lab.db'}")
    with pytest.raises(StorageError, match=r"letter/lab\.db") as caught:
        database.open()
    assert caught.value.hint.startswith("AGENT_LAB_HOME=FOLDER or AGENT_LAB_DATABASE_URL")


def test_a_folder_in_the_place_of_the_file_is_named_with_the_fix(tmp_path: Path):
    database = Database(f"sqlite:///{tmp_path}")
    with pytest.raises(StorageError, match="unable to open") as caught:
        database.open()
    assert caught.value.hint.startswith("AGENT_LAB_HOME=FOLDER or AGENT_LAB_DATABASE_URL")
    database.close()


def test_a_file_that_is_no_database_is_named_and_left_as_it_is(new: Database, file: Path):
    file.parent.mkdir(parents=True)
    file.write_text("A letter. " * 1000, encoding="utf-8")
    with pytest.raises(StorageError, match="not a database") as caught:
        new.open()
    assert caught.value.hint.startswith("AGENT_LAB_DATABASE_URL=")
    assert file.read_text(encoding="utf-8") == "A letter. " * 1000


SPELLINGS = [
    "postgresql://somebody:opensesame@127.0.0.1:9/lab",
    "postgres://somebody:opensesame@127.0.0.1:9/lab",
    "postgresql+psycopg://somebody:opensesame@127.0.0.1:9/lab?connect_timeout=2",
    "postgresql://somebody@127.0.0.1:9/lab?password=opensesame",
    "postgresql:///lab?host=127.0.0.1&port=9&user=somebody&password=opensesame",
]


@pytest.mark.parametrize("url", SPELLINGS)
def test_no_error_shows_the_password(url: str):
    database = Database(url)
    assert "opensesame" not in database.name
    for refused in (database.open, database.upgrade):
        with pytest.raises(StorageError) as caught:
            refused()
        assert "opensesame" not in f"{caught.value} {caught.value.hint} {caught.value.details}"
        assert caught.value.hint.startswith("Is the server up?")
    database.close()


@pytest.mark.parametrize("url", ["mysql://somebody:opensesame@host/lab", "opensesame", "sqlite://"])
def test_a_url_of_something_else_is_refused_without_its_password(url: str):
    with pytest.raises(ConfigurationError, match="AGENT_LAB_DATABASE_URL") as caught:
        Database(url)
    assert "opensesame" not in f"{caught.value} {caught.value.hint} {caught.value.details}"
    assert "sqlite:////folder/lab.db" in caught.value.hint
