"""What is written, as rows, and the statements that write them.

Rows hold what the driver takes: JSON as text, times as `microseconds`. Within one transaction the
kinds are written in the order of `_STATEMENTS`.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias, cast

from sqlalchemy import (
    Connection,
    Dialect,
    Insert,
    Update,
    bindparam,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.engine.interfaces import DBAPICursor

from agent_lab.storage.tables import flow_versions, run_events, runs, turns

Kind = Literal[
    "flow",
    "run",
    "turn_start",
    "turn_restart",
    "turn_end",
    "event",
    "run_start",
    "run_status",
    "run_wait",
    "run_end",
]
Row: TypeAlias = dict[str, Any]
Done: TypeAlias = Callable[[Exception | None], None]


class Change(NamedTuple):
    """Rows of one run that are committed together or not at all."""

    run_id: str
    epoch: int
    """What the run's own must be; else another process has taken the run over."""
    rows: Sequence[tuple[Kind, Row]]
    done: Done
    """Told on its event loop once the rows are committed, or why they are not."""
    loop: asyncio.AbstractEventLoop
    creates: bool = False
    """Whether it makes the run itself."""


_THIS_TURN = (
    (turns.c.run_id == bindparam("run"))
    & (turns.c.path == bindparam("at_path"))
    & (turns.c.visit == bindparam("at_visit"))
    & (turns.c.retry == bindparam("at_retry"))
)
_NEW_RUN = [
    "id",
    "flow",
    "flow_version",
    "status",
    "owner",
    "worker",
    "epoch",
    "detached",
    "idempotency_key",
    "request_digest",
    "lang",
    "seed",
    "input",
    "options",
    "setting",
    "created_at",
    "started_at",
]
_NEW_TURN = [
    "run_id",
    "path",
    "visit",
    "retry",
    "node_id",
    "role",
    "round",
    "sample",
    "status",
    "starts",
    "request_hash",
    "request",
    "messages",
    "model_key",
    "started_at",
]
_TURN_END = [
    "status",
    "seq",
    "text",
    "result",
    "model_resolved",
    "source",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "cost_usd",
    "started_at",
    "seconds",
]
_RUN_END = ["status", "stop_reason", "output", "turn_count", "tokens", "cost_usd", "ended_at"]


def _changed(names: Sequence[str]) -> dict[str, Any]:
    return {name: bindparam(f"to_{name}") for name in names}


def _this_run(*names: str) -> Update:
    return update(runs).where(runs.c.id == bindparam("run")).values(_changed(names))


def _flow(dialect: Dialect) -> Insert:
    made = sqlite.insert if dialect.name == "sqlite" else postgresql.insert
    return made(flow_versions).on_conflict_do_nothing()


_STATEMENTS: Mapping[Kind, Callable[[Dialect], Insert | Update]] = MappingProxyType(
    {
        "flow": _flow,
        "run": lambda _: insert(runs).values({n: bindparam(n) for n in _NEW_RUN}),
        "turn_start": lambda _: insert(turns).values({n: bindparam(n) for n in _NEW_TURN}),
        "turn_restart": lambda _: (
            update(turns).where(_THIS_TURN).values(starts=literal_column("starts + 1"))
        ),
        "turn_end": lambda _: update(turns).where(_THIS_TURN).values(_changed(_TURN_END)),
        "event": lambda _: insert(run_events),
        "run_start": lambda _: _this_run("status", "started_at"),
        "run_status": lambda _: _this_run("status"),
        "run_wait": lambda _: (
            update(runs)
            .where(runs.c.id == bindparam("run"))
            .values(status=literal_column("'waiting'"), worker=literal_column("NULL"))
        ),
        "run_end": lambda _: _this_run(*_RUN_END),
    }
)


class _Compiled(NamedTuple):
    """A statement as the driver takes it."""

    texts: Mapping[int, str]
    """By how many rows it is for, the most first; one, which is always there, comes last."""
    values: Callable[[Row], tuple[Any, ...]]
    """Puts a row's values in order."""

    def execute(self, cursor: DBAPICursor, rows: Sequence[Row]) -> None:
        values, done = list(map(self.values, rows)), 0
        for size, text in self.texts.items():
            while 1 < size <= len(values) - done:
                cursor.execute(text, tuple(chain.from_iterable(values[done : done + size])))
                done += size
        if done < len(values):
            cursor.executemany(self.texts[1], values[done:])


class Statements:
    """The statements in the language of one database, each compiled once.

    They go to the driver as they are: to prepare one anew each time is dearer than to execute it.

    Args:
        dialect: The database's.
    """

    def __init__(self, dialect: Dialect) -> None:
        # Values by place: of many rows in one statement, all would need names of their own.
        style: Literal["qmark", "format"] = "qmark" if dialect.name == "sqlite" else "format"
        own = cast("type[DefaultDialect]", type(dialect))(paramstyle=style)
        self._mark = "?" if dialect.name == "sqlite" else "%s"
        # SQLite's writing transactions are alone.
        self._lock = "" if dialect.name == "sqlite" else " FOR UPDATE"
        self._compiled = {kind: _compiled(make(own), own) for kind, make in _ITEMS}

    def execute(self, cursor: DBAPICursor, rows: Mapping[Kind, Sequence[Row]]) -> None:
        """Write rows of several kinds."""
        for kind, statement in self._compiled.items():
            if kind in rows:
                statement.execute(cursor, rows[kind])

    def lost(self, cursor: DBAPICursor, changes: Sequence[Change]) -> Sequence[Change]:
        """Those whose runs are no longer ours; the others' runs are held."""
        ours = {change.run_id for change in changes if change.creates}
        ids = list({change.run_id for change in changes} - ours)
        if not ids:
            return ()
        marks = ", ".join([self._mark] * len(ids))
        query = f"SELECT id, epoch FROM runs WHERE id IN ({marks}){self._lock}"  # noqa: S608
        cursor.execute(query, tuple(ids))
        epochs = dict(cursor.fetchall())
        return [c for c in changes if c.run_id not in ours and epochs.get(c.run_id) != c.epoch]


_ITEMS = tuple(_STATEMENTS.items())
_SIZES = (16, 8, 4, 2)
"""Rows of one statement of SQLite. For each its driver lets go of the interpreter, and a busy event
loop gives it back only after milliseconds. Postgres' driver sends any number of them at once."""


def _compiled(statement: Insert | Update, dialect: Dialect) -> _Compiled:
    made = statement.compile(dialect=dialect)
    texts = {1: str(made)}
    head, _, row = texts[1].rpartition(" VALUES ")
    if dialect.name == "sqlite" and head and row.endswith(")"):
        texts = {size: f"{head} VALUES {', '.join([row] * size)}" for size in _SIZES} | texts
    return _Compiled(texts, _in_order(made.positiontup or ()))


def _in_order(names: Sequence[str]) -> Callable[[Row], tuple[Any, ...]]:
    if len(names) > 1:
        return itemgetter(*names)
    return lambda row: tuple(row[name] for name in names)  # an itemgetter of one gives no tuple


def write(
    cursor: DBAPICursor, changes: Sequence[Change], statements: Statements
) -> Sequence[Change]:
    """Write some changes, those of runs that are no longer ours left out.

    Args:
        cursor: The driver's, in a transaction that writes.
        changes: What is written.
        statements: Of this database.

    Returns:
        What was left out.
    """
    lost = statements.lost(cursor, changes)
    left_out = {id(change) for change in lost}
    rows: dict[Kind, list[Row]] = defaultdict(list)
    for change in changes:
        for kind, row in () if id(change) in left_out else change.rows:
            rows[kind].append(row)
    statements.execute(cursor, rows)
    return lost


def is_written(connection: Connection, change: Change) -> bool:
    """Whether a change was committed although nobody was told, since the connection broke."""
    epoch = connection.execute(select(runs.c.epoch).where(runs.c.id == change.run_id)).scalar()
    if epoch != change.epoch:
        return False  # whoever has taken the run over writes at the same places of its log
    if change.creates:
        return True
    seq = next((row["seq"] for kind, row in change.rows if kind == "event"), None)
    if seq is None:
        return False
    # A run that was taken over meanwhile may have somebody else's event in this place.
    ours = (runs.c.id == change.run_id) & (runs.c.epoch == change.epoch)
    here = (run_events.c.run_id == runs.c.id) & (run_events.c.seq == seq)
    return connection.execute(select(run_events.c.seq).where(ours, here)).first() is not None
