"""Runs in a list: what tells them apart, without their turns and texts."""

from datetime import datetime
from typing import Any

from agent_lab.contracts import Contract, RunStatus


class RunSummary(Contract):
    """One run in a list."""

    id: str
    flow: str
    flow_version: str
    status: RunStatus
    orphaned: bool
    """Whether it should be executed, and no living process does: it can be resumed."""
    owner: str | None
    parent_run: str | None
    input: str
    """Its beginning."""
    stop_reason: str
    """Empty while it goes on."""
    turns: int
    """Known once it has ended, as are tokens and cost."""
    tokens: int
    """Read and written."""
    cost_usd: float | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class RunPage(Contract):
    """A part of a list, the latest runs first."""

    runs: tuple[RunSummary, ...]
    next: str | None
    """The cursor of what follows; null: this is the end."""


def page_of(rows: list[Any], most: int) -> RunPage:
    """A page from the rows of a query that looked one run further.

    Args:
        rows: At most `most + 1`.
        most: Runs of a page.
    """
    shown = tuple(_summary(row) for row in rows[:most])
    return RunPage(runs=shown, next=shown[-1].id if len(rows) > most else None)


def _summary(row: Any) -> RunSummary:
    fields = {name: getattr(row, name) for name in RunSummary.model_fields if name != "turns"}
    return RunSummary(**{**fields, "orphaned": bool(row.orphaned), "turns": row.turn_count})
