"""Work that is bound to an open request: it ends with its caller, and before the server does."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from agent_lab.errors import ShuttingDownError

Result = TypeVar("Result")

POLL_S = 0.2
"""How often it is looked whether a caller is still there."""


class RequestWork:
    """The work of all open requests of one server."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self.ending = False
        """Whether the server is on its way out: nothing new is begun."""
        self.over = asyncio.Event()
        """Set once nothing is waited for any more: whoever only watches has to go."""

    @property
    def open(self) -> int:
        """How many requests have work that is being done."""
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Begin some work; the caller ends it with `finish` or `stop`.

        Raises:
            ShuttingDownError: The server is on its way out.
        """
        if self.ending:
            work.close()
            raise shutting_down()
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def finish(self, task: asyncio.Task[Result], request: Request) -> Result:
        """Wait for the work of a request; a caller who leaves stops it.

        Raises:
            ClientDisconnect: The caller has gone; the work was stopped.
            ShuttingDownError: The server could not wait for the work any longer.
        """
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=POLL_S)
                if not task.done() and await request.is_disconnected():
                    raise ClientDisconnect
        finally:
            if not task.done():
                await stop(task)
        return self.result(task)

    def result(self, task: asyncio.Task[Result]) -> Result:
        """Return what came of work that has ended.

        Raises:
            ShuttingDownError: The server could not wait for it.
        """
        if task.cancelled() and self.ending:
            raise shutting_down()
        return task.result()

    async def end(self, seconds: float, hurry: Callable[[], bool] = lambda: False) -> None:
        """Begin nothing new, and give what is being done some time before it is stopped.

        Args:
            seconds: How long to wait.
            hurry: Asked again and again; True: wait no longer.
        """
        self.ending = True
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self._tasks and loop.time() < deadline and not hurry():
            await asyncio.wait(self._tasks, timeout=min(POLL_S, deadline - loop.time()))
        await asyncio.gather(*map(stop, tuple(self._tasks)))
        self.over.set()


async def stop(task: asyncio.Future[Any]) -> None:
    """Cancel some work, and wait until it has stopped."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # seen: asyncio need not warn of it


def shutting_down() -> ShuttingDownError:
    """What is answered when the server cannot begin or end some work."""
    return ShuttingDownError("The server is shutting down.", hint="Ask again in a moment.")
