"""Who has runs executed, and how many at once.

A job queue that carries run ids to other processes implements the same interface: its worker calls
`execute` there, which takes the run over.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from agent_lab.errors import OverloadedError

RETRY_AFTER_S = 5
"""What a caller is told to wait who finds the queue full."""


class Dispatcher(Protocol):
    """Has runs executed."""

    def reserve(self) -> bool:
        """Keep a place for a run that is about to be submitted.

        Returns:
            Whether it will start at once.

        Raises:
            OverloadedError: There is none.
        """

    def give_up(self, at_once: bool) -> None:
        """Give a reserved place back."""

    def submit(self, run_id: str, at_once: bool) -> None:
        """Have a run executed, in the place that was reserved."""

    def withdraw(self, run_id: str) -> bool:
        """Take back a run that waits for its turn; false: it does not wait any more."""

    async def stop(self) -> None:
        """Start nothing more; return when nothing is executed."""


class InProcessDispatcher:
    """Executes runs in this process: some at once, some wait, more are refused.

    Args:
        execute: Executes one run; it does not raise.
        at_once: How many are executed at the same time.
        most_waiting: How many wait at the most.
    """

    def __init__(
        self, execute: Callable[[str], Awaitable[None]], at_once: int, most_waiting: int
    ) -> None:
        self._execute = execute
        self._at_once = at_once
        self._most_waiting = most_waiting
        self._running = 0
        self._coming = 0
        self._waiting: deque[str] = deque()
        self._tasks: set[asyncio.Future[None]] = set()
        self._stopped = False

    def reserve(self) -> bool:
        """Keep a place for a run."""
        if self._running < self._at_once:
            self._running += 1
            return True
        if len(self._waiting) + self._coming >= self._most_waiting:
            raise OverloadedError(
                f"{self._at_once} runs are being executed, and {self._most_waiting} wait; that is "
                "all that this lab takes at once.",
                hint="Ask again later; AGENT_LAB_MAX_RUNS and AGENT_LAB_MAX_WAITING_RUNS raise it",
                details={"retry_after": RETRY_AFTER_S},
            )
        self._coming += 1
        return False

    def give_up(self, at_once: bool) -> None:
        """Give a reserved place back."""
        if at_once:
            self._running -= 1
            self._fill()
        else:
            self._coming -= 1

    def submit(self, run_id: str, at_once: bool) -> None:
        """Execute a run in its reserved place."""
        if at_once:
            self._begin(run_id)
        else:
            self._coming -= 1
            self._waiting.append(run_id)
            self._fill()

    def withdraw(self, run_id: str) -> bool:
        """Take back a run that waits."""
        if run_id not in self._waiting:
            return False
        self._waiting.remove(run_id)
        return True

    async def stop(self) -> None:
        """Start nothing more, and wait for what is executed."""
        self._stopped = True
        self._waiting.clear()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _begin(self, run_id: str) -> None:
        task = asyncio.ensure_future(self._execute(run_id))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Future[None]") -> None:
        self._tasks.discard(task)
        self._running -= 1
        self._fill()

    def _fill(self) -> None:
        while self._waiting and self._running < self._at_once and not self._stopped:
            self._running += 1
            self._begin(self._waiting.popleft())
