"""`agent-lab db`: the database in which runs are kept."""

import typer

from agent_lab.cli.outputs import say
from agent_lab.cli.session import open_settings

app = typer.Typer(help="The database in which runs are kept; AGENT_LAB_DATABASE_URL names it.")


@app.callback()
def _group() -> None:
    """The database in which runs are kept; AGENT_LAB_DATABASE_URL names it."""


@app.command("upgrade")
def upgrade() -> None:
    """Bring the tables to this version. A SQLite file is brought there by itself when it is used.

    A Postgres server is not: others may be at work on it.
    """
    from agent_lab.storage.database import Database

    database = Database(open_settings().database)
    try:
        before, after = database.upgrade()
    finally:
        database.close()
    if before == after:
        say(f"The database `{database.name}` has the tables of revision `{after}` already.")
    else:
        say(f"The database `{database.name}` went from revision `{before or 'none'}` to `{after}`.")
