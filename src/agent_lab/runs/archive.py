"""What is kept of runs, whoever executes them."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from agent_lab.contracts import RunRecord
from agent_lab.runs.listing import RunPage, page_of
from agent_lab.runs.log import RunLog, read_log
from agent_lab.runs.record import record_path
from agent_lab.runs.worker import is_gone
from agent_lab.storage.run_queries import RunFilter
from agent_lab.storage.run_store import RunStore

ANY = RunFilter()
PRUNED_AT_ONCE = 200
"""Runs that one transaction deletes."""


class RunArchive:
    """Reads what is kept of runs, and deletes it.

    Args:
        store: The database's rows.
        outputs: Folder of the saved runs.
        now: The clock.
    """

    def __init__(self, store: RunStore, outputs: Path, now: Callable[[], datetime]) -> None:
        self._store = store
        self._outputs = outputs
        self._now = now

    async def log(self, run_id: str) -> RunLog:
        """All that is kept of a run.

        Raises:
            UnknownRunError: There is no such run.
            StorageError: The database cannot be read.
        """
        return read_log(await self._store.rows(run_id))

    async def record(self, run_id: str) -> RunRecord:
        """The record of a run, as far as it has come.

        Raises:
            UnknownRunError: There is no such run.
            StorageError: The database cannot be read.
        """
        return (await self.log(run_id)).record()

    async def list(
        self, which: RunFilter = ANY, *, after: str | None = None, most: int = 50
    ) -> RunPage:
        """Runs, the latest first.

        Args:
            which: Which of them.
            after: The cursor of a page before; None: from the latest on.
            most: Runs of a page.

        Raises:
            StorageError: The database cannot be read.
        """
        rows = await self._store.listed(
            which, before=after, most=most + 1, now=self._now(), is_gone=is_gone
        )
        return page_of(rows, most)

    async def prune(self, which: RunFilter, *, files: bool = True) -> int:
        """Delete runs that have ended, with their turns and logs.

        Args:
            which: Which of them.
            files: Whether their saved files go, too.

        Returns:
            How many there were.

        Raises:
            StorageError: The database cannot be written.
        """
        rows = await self._store.prunable(which)
        for begin in range(0, len(rows), PRUNED_AT_ONCE):
            part = rows[begin : begin + PRUNED_AT_ONCE]
            await self._store.remove([row.id for row in part])
            for row in part if files else ():
                self.record_path(row.flow, row.id).unlink(missing_ok=True)
        await self._store.give_back_space()
        return len(rows)

    def record_path(self, flow: str, run_id: str) -> Path:
        """Where the record of a run is saved."""
        return record_path(self._outputs, flow, run_id)
