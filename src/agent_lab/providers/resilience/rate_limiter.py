"""Keeps calls below a provider's limits: each waits for its turn, and for room."""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NamedTuple

from agent_lab.errors import OverloadedError, RequestOverLimitError
from agent_lab.providers.base import RateReport
from agent_lab.providers.registries.provider_registry import RateLimits
from agent_lab.providers.resilience.limit_store import (
    PAUSE,
    LimitStore,
    MemoryLimitStore,
    Reservation,
)

_UNKNOWN_S = 1.0
"""When to ask again if nobody knows: a place is free once another call ends."""


class LimiterStatus(NamedTuple):
    """A limiter, as an operator sees it."""

    waiting: int
    """Calls that wait for their turn, or for room."""
    in_flight: int
    """Calls that were admitted and are not settled."""
    requests_used: int
    """Of the last 60 s."""
    tokens_used: int
    """Of the last 60 s: those used, and those reserved by calls in flight."""
    parked_s: float
    """Seconds until calls are admitted again; 0: the host asked for no pause."""


class RateLimiter:
    """Admits the calls to one provider in the order in which they come.

    In no 60 s are more requests or tokens admitted than the limits allow, nor more calls in
    flight at a time. The first who waits does so for what leaves the last 60 s, a call that
    ends, or the end of a pause; the others wait behind it.

    Args:
        name: The provider's name.
        limits: What may be asked of it.
        store: What remembers the admissions; None: this process's memory.
        now: The clock, in seconds; it never goes back.
        sleep: Waits on that clock.
    """

    def __init__(
        self,
        name: str,
        limits: RateLimits,
        *,
        store: LimitStore | None = None,
        now: Callable[[], float],
        sleep: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep,
    ) -> None:
        self._name = name
        self._limits = limits
        self._store = store or MemoryLimitStore()
        self._now = now
        self._sleep = sleep
        self._queue: deque[_Turn] = deque()
        self._parked_until = -math.inf
        self._head_until = -math.inf
        self._head_limit = ""

    async def admit(self, tokens: int, deadline: float) -> Reservation:
        """Wait for the call's turn and for room; what it returns is to be settled.

        Args:
            tokens: What the call may use, of prompt and answer together.
            deadline: When waiting is of no use any more, in seconds on the limiter's clock.

        Raises:
            OverloadedError: There is no room before the deadline; told as soon as it is known.
            RequestOverLimitError: So many tokens are more than a minute's.
        """
        most = self._limits.tokens_per_minute
        if most is not None and tokens > most:
            raise _oversize(self._name, tokens, most)
        turn = _Turn(self._now())
        self._queue.append(turn)
        try:
            while True:
                turn.roused = False
                if self._queue[0] is turn:
                    reservation = await self._take(tokens)
                    if reservation is not None:
                        return reservation
                if not turn.roused:
                    await self._rest(turn, deadline)
        finally:
            was_first = self._queue[0] is turn
            self._queue.remove(turn)
            if was_first:
                self._rouse_first()

    async def settle(self, reservation: Reservation, tokens: int | None) -> None:
        """Say that an admitted call ended; only the first time counts.

        Args:
            reservation: What admitted it.
            tokens: What it used; None: nothing was sent, and it counts as never admitted.
        """
        await self._store.settle(reservation, tokens)
        self._rouse_first()

    async def park(self, seconds: float) -> None:
        """Admit nobody for some time, as the host asked; a longer pause goes on as it was."""
        until = self._now() + seconds
        await self._store.park(self._name, until)
        self._parked_until = max(self._parked_until, until)
        for turn in self._queue:
            turn.rouse()

    async def learn(self, report: RateReport) -> None:
        """Admit no more than the host says it has left, until it starts afresh."""
        await self._store.observe(self._name, report)
        self._rouse_first()

    async def status(self) -> LimiterStatus:
        """The limiter as an operator sees it."""
        return LimiterStatus(len(self._queue), *await self._store.usage(self._name, self._now()))

    async def _take(self, tokens: int) -> Reservation | None:
        """Take the room that the first in the queue needs; None: it has to wait for it."""
        now = self._now()
        taken = await self._store.take(self._name, tokens, self._limits, now)
        if isinstance(taken, Reservation):
            return taken
        self._head_until = now + taken.seconds if taken.seconds < math.inf else -math.inf
        self._head_limit = taken.limit
        return None

    async def _rest(self, turn: "_Turn", deadline: float) -> None:
        """Wait until something changed, or the time has come for the first or of the deadline.

        Raises:
            OverloadedError: The deadline has passed, or will have by the earliest that is known.
        """
        now = self._now()
        until, limit = self._head_until, self._head_limit
        if self._parked_until > max(until, now):
            until, limit = self._parked_until, PAUSE
        if now >= deadline or until > deadline:
            raise _overloaded(self._name, limit, until - now, now - turn.since)
        known = self._queue[0] is turn and until > -math.inf
        # The clock went on since the first asked: its time may have come meanwhile.
        await turn.rest(self._sleep, max(0.0, until - now) if known else deadline - now)

    def _rouse_first(self) -> None:
        # What the first waited for may hold no longer, nor for the one that is first now.
        self._head_until = -math.inf
        if self._queue:
            self._queue[0].rouse()


class _Turn:
    """A place in the queue.

    Args:
        since: When it was taken.
    """

    __slots__ = ("_wake", "roused", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.roused = False
        self._wake: asyncio.Future[None] | None = None

    def rouse(self) -> None:
        """Make the one who rests here look again; one who does not is told by `roused`."""
        self.roused = True
        if self._wake is not None:
            _finish(self._wake)

    async def rest(
        self, sleep: Callable[[float], Coroutine[Any, Any, None]], seconds: float
    ) -> None:
        """Wait until roused, but no longer than some seconds."""
        loop = asyncio.get_running_loop()
        wake = self._wake = loop.create_future()
        if seconds == math.inf:
            await wake
            return
        timer = loop.create_task(sleep(seconds))
        timer.add_done_callback(partial(_finish, wake))
        try:
            await wake
        finally:
            timer.cancel()


def _finish(wake: asyncio.Future[None], timer: object = None) -> None:
    if not wake.done():
        wake.set_result(None)


def _overloaded(name: str, limit: str, wait_s: float, waited_s: float) -> OverloadedError:
    known = wait_s > 0
    seconds = f"takes no call for {wait_s:.1f} s" if known else f"took none for {waited_s:.1f} s"
    return OverloadedError(
        f"Provider `{name}` {seconds} (`{limit}`), and the call's deadline is before that ends.",
        hint=f"Set what the host takes in `[providers.{name}.limits]` of `models.toml`, "
        "or give the call more time.",
        details={"provider": name, "retry_after": wait_s if known else _UNKNOWN_S},
    )


def _oversize(name: str, tokens: int, most: int) -> RequestOverLimitError:
    return RequestOverLimitError(
        f"The call may use {tokens} tokens; provider `{name}` may be asked for {most} a minute.",
        hint="Ask for fewer `max_tokens`, shorten the prompt, or raise `tokens_per_minute` in "
        f"`[providers.{name}.limits]` of `models.toml`.",
        details={"provider": name, "tokens": tokens, "tokens_per_minute": most},
    )
