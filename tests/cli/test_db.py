"""`agent-lab db`."""

import sqlite3
from pathlib import Path

from tests.cli.conftest import Run


def test_a_database_is_made_once(agent_lab: Run, own_database: Path):
    own_database.unlink()
    made = agent_lab("db", "upgrade")
    assert made.code == 0
    assert made.err == (
        f"agent-lab: The database `{own_database}` went from revision `none` to `0001`.\n"
    )
    again = agent_lab("db", "upgrade")
    assert again.code == 0
    assert again.err == (
        f"agent-lab: The database `{own_database}` has the tables of revision `0001` already.\n"
    )


def test_a_database_that_is_too_new_is_left_alone(agent_lab: Run, own_database: Path):
    with sqlite3.connect(own_database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    shown = agent_lab("db", "upgrade")
    assert (shown.code, shown.out) == (4, "")
    assert "`9999`" in shown.err
    assert "pip install --upgrade" in shown.err
    assert len(shown.err.splitlines()) == 1


def test_a_file_that_is_no_database_is_named(agent_lab: Run, own_database: Path):
    own_database.write_text("no database " * 1000, "utf-8")
    shown = agent_lab("db", "upgrade")
    assert (shown.code, shown.out) == (4, "")
    assert str(own_database) in shown.err
    assert len(shown.err.splitlines()) == 1


def test_the_group_alone_explains_itself(agent_lab: Run):
    assert "upgrade" in agent_lab("db", "--help").out
