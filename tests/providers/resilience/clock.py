"""A clock that moves only when a test moves it, or when nobody has anything else to do."""

import asyncio
from heapq import heappop, heappush
from itertools import count


class FakeClock:
    """Virtual time, in seconds: `sleep` takes none of the real one.

    Time moves on to the earliest sleeper when all tasks are blocked, and wakes one sleeper at a
    time, the one that lay down first where several wake at the same moment.
    """

    def __init__(self) -> None:
        self.time = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = count()
        self._watched_by: asyncio.AbstractEventLoop | None = None

    def now(self) -> float:
        return self.time

    @property
    def sleepers(self) -> int:
        return sum(not wake.done() for _, _, wake in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        wake = loop.create_future()
        heappush(self._sleepers, (self.time + seconds, next(self._numbers), wake))
        if self._watched_by is not loop:
            self._watched_by = loop
            loop.call_soon(self._watch, loop)
        await wake

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        # No public name tells whether anybody can go on.
        if not vars(loop)["_ready"]:
            self._wake_the_earliest()
        if self._sleepers:
            loop.call_soon(self._watch, loop)
        else:
            self._watched_by = None

    def _wake_the_earliest(self) -> None:
        while self._sleepers:
            due, _, wake = heappop(self._sleepers)
            if not wake.done():
                self.time = max(self.time, due)
                wake.set_result(None)
                return
