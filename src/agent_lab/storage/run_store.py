"""Runs as they are kept: read in threads of their own, changed by the one writer."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection

from agent_lab.errors import UnknownRunError
from agent_lab.storage import run_owners, run_queries
from agent_lab.storage.commit_queue import CommitQueue
from agent_lab.storage.database import Database
from agent_lab.storage.run_owners import Worker
from agent_lab.storage.run_queries import RunFilter, RunRows

Result = TypeVar("Result")


class RunStore:
    """Reads and changes what is kept of runs.

    Args:
        database: Where they are.
        queue: Who commits.
    """

    def __init__(self, database: Database, queue: CommitQueue) -> None:
        self._database = database
        self._queue = queue

    async def rows(self, run_id: str) -> RunRows:
        """All rows of a run.

        Raises:
            UnknownRunError: There is no such run.
            StorageError: The database cannot be read.
        """
        found = await self._read(lambda c: run_queries.run_rows(c, run_id))
        if found is None:
            raise UnknownRunError(run_id)
        return found

    async def row(self, run_id: str) -> Any:
        """A run's own row.

        Raises:
            UnknownRunError: There is no such run.
            StorageError: The database cannot be read.
        """
        found = await self._read(lambda c: run_queries.run_row(c, run_id))
        if found is None:
            raise UnknownRunError(run_id)
        return found

    async def started_with(self, key: str) -> Any:
        """The row of the run that was started with an idempotency key; None: there is none."""
        return await self._read(lambda c: run_queries.run_of_key(c, key))

    async def listed(
        self,
        which: RunFilter,
        *,
        before: str | None,
        most: int,
        now: datetime,
        is_gone: Callable[[Worker], bool],
    ) -> list[Any]:
        """Rows of runs without their texts, the latest first.

        Args:
            which: Which of them.
            before: The id of the last one that is known; None: from the latest on.
            most: How many.
            now: A lease that was to end before is over.
            is_gone: Whether a worker is known to have ended before its lease.
        """

        def read(connection: Connection) -> list[Any]:
            alive = run_owners.alive(connection, now, is_gone)
            return list(
                run_queries.listed(connection, which, before=before, most=most, alive=alive)
            )

        return await self._read(read)

    async def completed(self, owner: str | None, most: int) -> tuple[Sequence[Any], Sequence[Any]]:
        """The latest completed runs of one owner, latest first, and what their turns said."""

        def read(connection: Connection) -> tuple[Sequence[Any], Sequence[Any]]:
            rows = run_queries.completed(connection, owner, most)
            return rows, run_queries.texts_of(connection, [row.id for row in rows])

        return await self._read(read)

    async def flow(self, version: str) -> Any:
        """The definition of a flow as it was when it was run; None: it was not."""
        return await self._read(lambda c: run_queries.flow_definition(c, version))

    async def claim(
        self,
        run_id: str,
        worker: Worker,
        statuses: Collection[str],
        *,
        detached: bool | None = None,
    ) -> Any:
        """Take a run over that no living worker has.

        Args:
            run_id: The run.
            worker: Who is going to execute it.
            statuses: Those in which it may be.
            detached: Whether it goes on without its caller from now on; None: as before.

        Returns:
            Its row with the new epoch; None: somebody has it, or it is in another state.
        """
        return await self._queue.call(
            lambda c: run_owners.claim(c, run_id, worker, statuses, detached=detached)
        )

    async def ask_to_cancel(self, run_id: str) -> None:
        """Ask whoever executes a run to stop it."""
        await self._queue.call(lambda c: run_queries.ask_to_cancel(c, run_id))

    async def prunable(self, which: RunFilter) -> Sequence[Any]:
        """Id and flow of those runs that have ended."""
        return await self._read(lambda c: run_queries.prunable(c, which))

    async def remove(self, run_ids: Collection[str]) -> None:
        """Delete runs that have ended, with their turns and logs."""
        await self._queue.call(lambda c: run_queries.remove(c, run_ids))

    async def give_back_space(self) -> None:
        """Let a SQLite file shrink by what was deleted."""
        await self._queue.call(run_queries.give_back_space)

    async def _read(self, query: Callable[[Connection], Result]) -> Result:
        return await asyncio.to_thread(self._database.read, query)
