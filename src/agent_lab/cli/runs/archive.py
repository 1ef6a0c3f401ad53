"""Opens what is kept of runs, without the models and graphs that take their time to load."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from agent_lab.cli.interrupts import run_interruptible
from agent_lab.cli.session import open_settings

if TYPE_CHECKING:
    from agent_lab.runs.archive import RunArchive

Result = TypeVar("Result")


def with_archive(work: "Callable[[RunArchive], Awaitable[Result]]") -> Result:
    """Read what is kept of runs, or delete it.

    Args:
        work: What is done.
    """
    from agent_lab.runs.archive import RunArchive
    from agent_lab.storage.commit_queue import CommitQueue
    from agent_lab.storage.database import Database
    from agent_lab.storage.run_store import RunStore

    settings = open_settings()

    async def session() -> Result:
        database = Database(settings.database)
        queue = CommitQueue(database)
        store = RunStore(database, queue)
        try:
            return await work(RunArchive(store, settings.outputs_dir, lambda: datetime.now(UTC)))
        finally:
            await queue.close()
            await asyncio.to_thread(database.close)

    return run_interruptible(session())
