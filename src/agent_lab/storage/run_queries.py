"""All queries of runs: functions of one connection."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select, update

from agent_lab.storage.tables import flow_versions, run_events, runs, turns

OPEN = ("queued", "running")
"""Statuses of runs that somebody must be at work on."""
ENDED = ("completed", "failed", "cancelled")
"""Statuses of runs in which nothing happens any more."""
_LISTED = (
    runs.c.id,
    runs.c.flow,
    runs.c.flow_version,
    runs.c.status,
    runs.c.owner,
    runs.c.worker,
    runs.c.parent_run,
    runs.c.stop_reason,
    runs.c.turn_count,
    runs.c.tokens,
    runs.c.cost_usd,
    runs.c.created_at,
    runs.c.started_at,
    runs.c.ended_at,
)
INPUT_SHOWN = 200
"""Characters of a run's input that a list shows."""


class RunRows(NamedTuple):
    """All rows of one run."""

    run: Row[Any]
    turns: Sequence[Row[Any]]
    events: Sequence[Row[Any]]


class RunFilter(NamedTuple):
    """Which runs are listed; None: any."""

    status: str | None = None
    flow: str | None = None
    owner: str | None = None
    since: datetime | None = None
    """Begun at that time, or later."""
    until: datetime | None = None
    """Begun before."""


def run_row(connection: Connection, run_id: str) -> Row[Any] | None:
    """A run's row; None: there is no such run."""
    return connection.execute(select(runs).where(runs.c.id == run_id)).first()


def run_of_key(connection: Connection, key: str) -> Row[Any] | None:
    """The run that was started with an idempotency key."""
    return connection.execute(select(runs).where(runs.c.idempotency_key == key)).first()


def run_rows(connection: Connection, run_id: str) -> RunRows | None:
    """All rows of a run, as they are at one moment; None: there is no such run."""
    # The log first: what is read later can only know more than it.
    logged = select(run_events).where(run_events.c.run_id == run_id).order_by(run_events.c.seq)
    events = connection.execute(logged).all()
    row = run_row(connection, run_id)
    if row is None:
        return None
    taken = connection.execute(select(turns).where(turns.c.run_id == run_id).order_by(turns.c.id))
    return RunRows(row, taken.all(), events)


def listed(
    connection: Connection,
    which: RunFilter,
    *,
    before: str | None,
    most: int,
    alive: Collection[str],
) -> Sequence[Any]:
    """Runs without their turns and texts, the latest first; see `RunStore.listed`."""
    shown = func.substr(runs.c.input, 1, INPUT_SHOWN).label("input")
    nobody = runs.c.worker.is_(None) | runs.c.worker.not_in(alive)
    orphaned = (runs.c.status.in_(OPEN) & nobody).label("orphaned")
    query = select(*_LISTED, shown, orphaned).where(*_conditions(which)).order_by(runs.c.id.desc())
    if before is not None:
        query = query.where(runs.c.id < before)
    return connection.execute(query.limit(most)).all()


def _conditions(which: RunFilter) -> list[ColumnElement[bool]]:
    conditions = [
        column == value
        for column, value in (
            (runs.c.status, which.status),
            (runs.c.flow, which.flow),
            (runs.c.owner, which.owner),
        )
        if value is not None
    ]
    if which.since is not None:
        conditions.append(runs.c.created_at >= which.since)
    if which.until is not None:
        conditions.append(runs.c.created_at < which.until)
    return conditions


def completed(connection: Connection, owner: str | None, most: int) -> Sequence[Any]:
    """The latest completed runs of one owner, of no other, the latest first.

    Args:
        connection: To the database.
        owner: Whose; None: those of nobody by name.
        most: How many.
    """
    columns = (runs.c.id, runs.c.flow, runs.c.input, runs.c.output, runs.c.ended_at, runs.c.setting)
    query = (
        select(*columns)
        .where(runs.c.status == "completed", runs.c.owner.is_not_distinct_from(owner))
        .order_by(runs.c.id.desc())
        .limit(most)
    )
    return connection.execute(query).all()


def texts_of(connection: Connection, run_ids: Collection[str]) -> Sequence[Any]:
    """What the turns of some runs said, with their keys."""
    columns = (turns.c.run_id, turns.c.path, turns.c.visit, turns.c.retry, turns.c.text)
    query = select(*columns).where(turns.c.run_id.in_(run_ids), turns.c.text.is_not(None))
    return connection.execute(query).all()


def flow_definition(connection: Connection, version: str) -> Any:
    """A flow as it was when it was run; None: it was not."""
    query = select(flow_versions.c.definition).where(flow_versions.c.version == version)
    return connection.execute(query).scalar()


def ask_to_cancel(connection: Connection, run_id: str) -> None:
    """Ask whoever executes a run to stop it."""
    connection.execute(update(runs).where(runs.c.id == run_id).values(cancel_asked=True))


def prunable(connection: Connection, which: RunFilter) -> Sequence[Any]:
    """Id and flow of the runs that have ended, of those that are meant."""
    query = select(runs.c.id, runs.c.flow).where(runs.c.status.in_(ENDED), *_conditions(which))
    return connection.execute(query.order_by(runs.c.id)).all()


def remove(connection: Connection, run_ids: Collection[str]) -> None:
    """Delete runs that have ended, with their turns and logs."""
    ended = select(runs.c.id).where(runs.c.id.in_(run_ids), runs.c.status.in_(ENDED))
    ids = list(connection.execute(ended).scalars())
    for column in (run_events.c.run_id, turns.c.run_id, runs.c.id):
        connection.execute(delete(column.table).where(column.in_(ids)))


def give_back_space(connection: Connection) -> None:
    """Let a SQLite file shrink by what was deleted; Postgres does this by itself."""
    if connection.dialect.name == "sqlite":
        # Of `execute`, Python's module takes one step: it would give back a single page.
        driver: Any = connection.connection.driver_connection
        driver.executescript("PRAGMA incremental_vacuum").close()
