"""Lets one pull at a time write a weights file."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from agent_lab.providers.local.weights.partial_file import storage_errors

_POLL_S = 0.1


@asynccontextmanager
async def locked(path: Path, waiting: Callable[[], None]) -> AsyncIterator[None]:
    """Hold `<file>.lock`, across processes and within this one.

    The lock's file stays where it is: deleting it would let two processes in.

    Args:
        path: The file that is guarded.
        waiting: Called each time that the lock was found taken.

    Raises:
        StorageError: The lock's file cannot be written.
    """
    lock = path.with_name(f"{path.name}.lock")
    with storage_errors(lock):
        held = FileLock(lock)
        while not _taken(held):
            # Not a blocking lock in a thread: that one could not be cancelled.
            waiting()
            await asyncio.sleep(_POLL_S)
    try:
        yield
    finally:
        held.release()


def _taken(lock: FileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True
