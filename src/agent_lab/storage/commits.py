"""What is written, as rows, and the statements that write them: each is compiled once.

Within one transaction the kinds are written in the order in which they stand here.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

from sqlalchemy import Connection, Executable, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

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


def _this_run(**values: str) -> Executable:
    changed: dict[str, Any] = {column: bindparam(name) for column, name in values.items()}
    return update(runs).where(runs.c.id == bindparam("run")).values(changed)


_THIS_TURN = (
    (turns.c.run_id == bindparam("run"))
    & (turns.c.path == bindparam("at_path"))
    & (turns.c.visit == bindparam("at_visit"))
    & (turns.c.retry == bindparam("at_retry"))
)
_TURN_END = (
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
)
_RUN_END = ("status", "stop_reason", "output", "turn_count", "tokens", "cost_usd", "ended_at")
_FLOW: Mapping[bool, Executable] = MappingProxyType(
    {
        True: sqlite.insert(flow_versions).on_conflict_do_nothing(),
        False: postgresql.insert(flow_versions).on_conflict_do_nothing(),
    }
)
STATEMENTS: Mapping[Kind, Executable] = MappingProxyType(
    {
        "run": insert(runs),
        "turn_start": insert(turns),
        "turn_restart": update(turns).where(_THIS_TURN).values(starts=turns.c.starts + 1),
        "turn_end": update(turns)
        .where(_THIS_TURN)
        .values({name: bindparam(f"to_{name}") for name in _TURN_END}),
        "event": insert(run_events),
        "run_start": _this_run(status="to_status", started_at="to_started_at"),
        "run_status": _this_run(status="to_status"),
        "run_end": _this_run(**{name: f"to_{name}" for name in _RUN_END}),
    }
)


def write(connection: Connection, changes: Sequence[Change]) -> list[Change]:
    """Write some changes, those of runs that are no longer ours left out.

    Returns:
        What was left out.
    """
    lost = _lost(connection, changes)
    kept = [change for change in changes if change not in lost] if lost else changes
    rows: dict[Kind, list[Row]] = {}
    for change in kept:
        for kind, row in change.rows:
            rows.setdefault(kind, []).append(row)
    if "flow" in rows:
        connection.execute(_FLOW[connection.dialect.name == "sqlite"], rows["flow"])
    for kind, statement in STATEMENTS.items():
        if kind in rows:
            connection.execute(statement, rows[kind])
    return lost


def is_written(connection: Connection, change: Change) -> bool:
    """Whether a change was committed although nobody was told, since the connection broke."""
    if change.creates:
        found = connection.execute(select(runs.c.id).where(runs.c.id == change.run_id))
        return found.first() is not None
    seq = next((row["seq"] for kind, row in change.rows if kind == "event"), None)
    if seq is None:
        return False
    here = (run_events.c.run_id == change.run_id) & (run_events.c.seq == seq)
    return connection.execute(select(run_events.c.seq).where(here)).first() is not None


_EPOCHS = (
    select(runs.c.id, runs.c.epoch)
    .where(runs.c.id.in_(bindparam("ids", expanding=True)))
    .with_for_update()  # SQLite has no such thing: its writing transactions are alone
)


def _lost(connection: Connection, changes: Sequence[Change]) -> list[Change]:
    ids = list({change.run_id for change in changes if not change.creates})
    if not ids:
        return []
    epochs = {row.id: row.epoch for row in connection.execute(_EPOCHS, {"ids": ids})}
    return [c for c in changes if not c.creates and epochs.get(c.run_id) != c.epoch]
