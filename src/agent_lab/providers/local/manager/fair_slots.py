"""Shares a model's slots between the runs that want them."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count


class FairSlots:
    """Slots, each used by one call at a time.

    A free one goes to the run that has the fewest, and among these to the one that was served
    longest ago; within a run, to who came first. A run with thirty calls at once keeps no other
    one waiting for more than one of them.

    Args:
        slots: How many there are.
    """

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._taken: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._served: dict[str, int] = {}
        """When each run was served the last time, by the number of its call."""
        self._calls = count()

    @asynccontextmanager
    async def taken(self, run_id: str) -> AsyncIterator[None]:
        """Wait for a slot, and have it.

        Args:
            run_id: The run that wants it; calls of no run share one name.
        """
        await self._take(run_id)
        try:
            yield
        finally:
            self._give_back(run_id)

    async def _take(self, run_id: str) -> None:
        if self._free:
            self._give(run_id)
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(run_id, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._give_back(run_id)  # it had just been given one
            raise

    def _give_back(self, run_id: str) -> None:
        self._taken[run_id] -= 1
        self._free += 1
        while self._waiting and self._free:
            self._serve(min(self._waiting, key=lambda r: (self._taken[r], self._served.get(r, -1))))
        if not self._taken[run_id]:
            del self._taken[run_id]
            if run_id not in self._waiting:
                del self._served[run_id]

    def _serve(self, run_id: str) -> None:
        turns = self._waiting[run_id]
        turn = turns.popleft()
        if not turns:
            del self._waiting[run_id]
        if not turn.cancelled():
            self._give(run_id)
            turn.set_result(None)

    def _give(self, run_id: str) -> None:
        self._free -= 1
        self._taken[run_id] += 1
        self._served[run_id] = next(self._calls)
