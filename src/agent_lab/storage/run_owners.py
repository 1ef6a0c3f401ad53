"""Which process executes which run. Functions of one connection: each in a transaction that writes.

A process is a worker with a lease. Whoever finds the lease over, or knows that the process is
gone, may take its runs over: the run's epoch grows, and what the old worker writes is refused.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from agent_lab.storage.run_queries import OPEN
from agent_lab.storage.tables import installation, runs, workers

_SECRET = "secret"  # noqa: S105 - the name of a row


class Worker(NamedTuple):
    """A process that executes runs."""

    id: str
    host: str
    """Where the number of a process means something."""
    process: str
    """Its number, and when it began."""


class Orphan(NamedTuple):
    """A run that nobody executes any more."""

    id: str
    detached: bool
    """Whether it goes on without whoever started it."""


def shared_secret(connection: Connection, own: str) -> str:
    """The secret of all who share this database: the first one's.

    Args:
        connection: To the database.
        own: What it becomes if there is none yet.
    """
    # Two who start at the same time must both succeed, with the same one.
    made = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    row = {"name": _SECRET, "value": own}
    connection.execute(made(installation).on_conflict_do_nothing(), row)
    query = select(installation.c.value).where(installation.c.name == _SECRET)
    return str(connection.execute(query).scalar_one())


def renew_lease(connection: Connection, worker: Worker, until: datetime) -> Sequence[str]:
    """Say that a worker lives.

    Returns:
        Its runs that somebody has asked to cancel.
    """
    renewed = update(workers).where(workers.c.id == worker.id).values(lease_until=until)
    if not connection.execute(renewed).rowcount:
        connection.execute(insert(workers), {**worker._asdict(), "lease_until": until})
    asked = select(runs.c.id).where(runs.c.worker == worker.id, runs.c.cancel_asked)
    return connection.execute(asked.where(runs.c.status.in_((*OPEN, "waiting")))).scalars().all()


def end_lease(connection: Connection, worker: Worker) -> None:
    """Say that a worker has ended: its runs are free at once."""
    connection.execute(delete(workers).where(workers.c.id == worker.id))


def bury(
    connection: Connection,
    now: datetime,
    is_gone: Callable[[Worker], bool],
    *,
    survivor: str | None = None,
) -> None:
    """Strike off the workers that are dead.

    Args:
        connection: To the database.
        now: A lease that was to end before is over.
        is_gone: Whether a worker is known to have ended before its lease.
        survivor: A worker that lives, whatever its lease says: whoever asks.
    """
    # Those who were looked at: another one may have begun meanwhile.
    looked_at = connection.execute(select(workers.c.id)).scalars().all()
    living = {*alive(connection, now, is_gone), survivor}
    dead = [id_ for id_ in looked_at if id_ not in living]
    connection.execute(delete(workers).where(workers.c.id.in_(dead)))


def alive(
    connection: Connection, now: datetime, is_gone: Callable[[Worker], bool]
) -> Sequence[str]:
    """The workers that live; see `bury`."""
    return [
        row.id
        for row in connection.execute(select(workers))
        if row.lease_until >= now and not is_gone(Worker(row.id, row.host, row.process))
    ]


def orphans(connection: Connection) -> Sequence[Orphan]:
    """The runs whose worker is dead, oldest first."""
    living = select(workers.c.id)
    query = (
        select(runs.c.id, runs.c.detached)
        .where(runs.c.status.in_(OPEN))
        .where(runs.c.worker.is_(None) | runs.c.worker.not_in(living))
        .order_by(runs.c.id)
    )
    return [Orphan(row.id, row.detached) for row in connection.execute(query)]


def claim(
    connection: Connection,
    run_id: str,
    worker: Worker,
    statuses: Collection[str],
    *,
    detached: bool | None = None,
) -> Row[Any] | None:
    """Take a run over that no living worker has; see `RunStore.claim`."""
    others = select(workers.c.id).where(workers.c.id != worker.id)
    free = runs.c.worker.is_(None) | runs.c.worker.not_in(others)
    values: dict[str, Any] = {"worker": worker.id, "status": "queued", "cancel_asked": False}
    if detached is not None:
        values["detached"] = detached
    taken = (
        update(runs)
        .where(runs.c.id == run_id, runs.c.status.in_(statuses), free)
        .values(epoch=runs.c.epoch + 1, **values)
        .returning(runs)
    )
    return connection.execute(taken).first()
