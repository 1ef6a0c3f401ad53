"""This process as a worker: its lease, which it renews, and the runs of those who have died."""

import asyncio
import logging
import os
import platform
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import psutil
from ulid import ULID

from agent_lab.errors import StorageError
from agent_lab.storage import run_owners
from agent_lab.storage.commit_queue import CommitQueue
from agent_lab.storage.run_owners import Orphan, Worker

logger = logging.getLogger(__name__)

RENEWALS = 4
"""How often a lease is renewed before it would be over."""
_SAME_S = 2.0
"""Seconds between two beginnings that can be the same one."""


class Lease:
    """Keeps this process known as alive, for as long as it executes runs.

    Args:
        queue: Who commits.
        now: The clock.
        lease_s: Seconds for which it counts as alive without saying so.
        cancel: Told the runs that somebody asks to cancel.
    """

    def __init__(
        self,
        queue: CommitQueue,
        now: Callable[[], datetime],
        lease_s: float,
        cancel: Callable[[Sequence[str]], None],
    ) -> None:
        self.worker = Worker(str(ULID()), _host(), _this_process())
        self._queue = queue
        self._now = now
        self._lease_s = lease_s
        self._cancel = cancel
        self._task: asyncio.Task[None] | None = None
        self._sweep: Callable[[Sequence[Orphan]], Awaitable[None]] | None = None

    async def begin(self) -> None:
        """Say that this process lives, and go on saying so.

        Raises:
            StorageError: The database cannot be written.
        """
        if self._task is None or self._task.done():
            await self._renew()
            self._task = asyncio.create_task(self._live())

    async def take_over(self, sweep: Callable[[Sequence[Orphan]], Awaitable[None]]) -> None:
        """Look after the runs of the dead, now and from now on.

        Args:
            sweep: Told the runs that nobody executes.
        """
        self._sweep = sweep
        await self.begin()
        await self._look_around()

    async def end(self) -> None:
        """Say that this process has ended."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait({self._task})
        self._task = None
        try:
            await self._queue.call(lambda c: run_owners.end_lease(c, self.worker))
        except StorageError as error:
            logger.warning("The lease is left to end by itself: %s", error.message)

    async def _live(self) -> None:
        while True:
            await asyncio.sleep(self._lease_s / RENEWALS)
            try:
                await self._renew()
                if self._sweep is not None:
                    await self._look_around()
            except StorageError as error:
                logger.warning("The lease is not renewed: %s", error.message)
            except Exception:  # whoever stops saying that it lives counts as dead
                logger.exception("Looking after runs failed by a fault of the lab itself")

    async def _renew(self) -> None:
        lease = timedelta(seconds=self._lease_s)

        # The clock is read in the writer's turn: it may have had to wait for that.
        def renew(connection: Any) -> Sequence[str]:
            return run_owners.renew_lease(connection, self.worker, self._now() + lease)

        self._cancel(await self._queue.call(renew))

    async def _look_around(self) -> None:
        await self.bury()
        found = await self._queue.call(run_owners.orphans)
        if found and self._sweep is not None:
            await self._sweep(found)

    async def bury(self) -> None:
        """Strike off the workers that are dead."""
        await self._queue.call(
            lambda c: run_owners.bury(c, self._now(), is_gone, survivor=self.worker.id)
        )


def is_gone(worker: Worker) -> bool:
    """Whether a worker of this machine has ended; false where that cannot be seen from here."""
    if worker.host != _host():
        return False
    number, begun = worker.process.split(" ")
    try:
        process = psutil.Process(int(number))
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        # Numbers are used again. The clock by which beginnings are told may be set anew.
        return abs(process.create_time() - float(begun)) > _SAME_S
    except psutil.NoSuchProcess:
        return True


def _host() -> str:
    """Where the number of a process means what it means here: two containers may share a name."""
    try:
        return f"{platform.node()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return platform.node()


def _this_process() -> str:
    """This process by its number and its beginning."""
    return f"{os.getpid()} {psutil.Process().create_time():.2f}"
