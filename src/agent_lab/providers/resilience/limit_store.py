"""What was admitted in the last minute: in memory, or wherever another store keeps it."""

import math
from collections import deque
from collections.abc import Iterator
from itertools import islice, takewhile
from typing import NamedTuple, Protocol

from agent_lab.providers.base import RateReport
from agent_lab.providers.registries.provider_registry import RateLimits

WINDOW_S = 60.0
PAUSE = "retry_after"
"""The name of a pause that the host asked for, where a limit's name is expected."""


class Reservation:
    """Room for one call, until it is settled.

    Args:
        name: Whose limits it counts against.
        number: Its place among all of that name.
        at: When it was admitted, in seconds on the limiter's clock.
        tokens: What it may use; once it is settled, what it used.
    """

    __slots__ = ("at", "in_window", "name", "number", "settled", "tokens")

    def __init__(self, name: str, number: int, at: float, tokens: int) -> None:
        self.name = name
        self.number = number
        self.at = at
        self.tokens = tokens
        self.in_window = True
        self.settled = False


class Wait(NamedTuple):
    """There is no room now."""

    seconds: float
    """The least that is left to wait, as far as is known; infinite: only a settled call helps."""
    limit: str
    """What is used up: a field of `RateLimits` or, of what the host said, of `RateReport`."""


class LimitUsage(NamedTuple):
    """How much of its limits a name uses."""

    in_flight: int
    """Calls that are not settled."""
    requests: int
    """Of the last 60 s."""
    tokens: int
    """Of the last 60 s: those used, and those reserved by calls in flight."""
    parked_s: float
    """Seconds until a call is admitted again; 0: the host asked for no pause."""


class LimitStore(Protocol):
    """Keeps what was admitted under each name; several processes may share one.

    Times are seconds on the clock of the limiters that share it.
    """

    async def take(
        self, name: str, tokens: int, limits: RateLimits, now: float
    ) -> Reservation | Wait:
        """Reserve one request and its tokens, if there is room; a cancelled one takes nothing.

        A store in which others free places says when to ask again, rather than never.
        """

    async def settle(self, reservation: Reservation, tokens: int | None) -> None:
        """Put the tokens that were used in the place of those reserved; None: give all back.

        Only the first time counts.
        """

    async def park(self, name: str, until: float) -> None:
        """Admit nothing before a moment; an earlier one than it has does not change it."""

    async def observe(self, name: str, report: RateReport) -> None:
        """Remember what the host has left; older than the newest report, it is ignored."""

    async def usage(self, name: str, now: float) -> LimitUsage:
        """How much is used."""


class MemoryLimitStore:
    """The store of one process. Nothing in it ever suspends."""

    def __init__(self) -> None:
        self._ledgers: dict[str, _Ledger] = {}

    async def take(
        self, name: str, tokens: int, limits: RateLimits, now: float
    ) -> Reservation | Wait:
        """Reserve one request and its tokens, if there is room."""
        ledger = self._ledger(name)
        return ledger.obstacle(tokens, limits, now) or ledger.enter(name, tokens, now)

    async def settle(self, reservation: Reservation, tokens: int | None) -> None:
        """Put the tokens that were used in the place of those reserved; None: give all back."""
        if not reservation.settled:
            reservation.settled = True
            self._ledger(reservation.name).correct(reservation, tokens)

    async def park(self, name: str, until: float) -> None:
        """Admit nothing before a moment."""
        ledger = self._ledger(name)
        ledger.parked_until = max(ledger.parked_until, until)

    async def observe(self, name: str, report: RateReport) -> None:
        """Remember what the host has left."""
        self._ledger(name).observe(report)

    async def usage(self, name: str, now: float) -> LimitUsage:
        """How much is used."""
        return self._ledger(name).usage(now)

    def _ledger(self, name: str) -> "_Ledger":
        try:
            return self._ledgers[name]
        except KeyError:
            return self._ledgers.setdefault(name, _Ledger())


class _Heard:
    """What a host has left until it starts afresh, less what was admitted since it said so."""

    __slots__ = ("first", "left", "until")

    def __init__(self, left: int, until: float, first: int) -> None:
        self.left = left
        self.until = until
        self.first = first
        """The number of the first reservation that its report cannot know of."""


class _Ledger:
    """The log of one name's admissions, with its sums kept as it changes.

    A log and not a bucket: a bucket that fills up as it is emptied lets twice its size through
    in a window.
    """

    def __init__(self) -> None:
        self.parked_until = -math.inf
        self._log: deque[Reservation] = deque()
        self._requests = 0
        self._tokens = 0
        self._in_flight = 0
        self._number = 0
        self._heard_at = -math.inf
        self._host_requests: _Heard | None = None
        self._host_tokens: _Heard | None = None

    def obstacle(self, tokens: int, limits: RateLimits, now: float) -> Wait | None:
        """What a call of so many tokens has to wait for; None: nothing."""
        self._evict(now)
        until, limit = self.parked_until, PAUSE
        per_minute = limits.requests_per_minute
        if per_minute is not None and self._requests >= per_minute:
            free_at = self._requests_free_at(self._requests + 1 - per_minute)
            until, limit = max((until, limit), (free_at, "requests_per_minute"))
        per_minute = limits.tokens_per_minute
        if per_minute is not None and self._tokens + tokens > per_minute:
            free_at = self._tokens_free_at(self._tokens + tokens - per_minute)
            until, limit = max((until, limit), (free_at, "tokens_per_minute"))
        if self._host_requests is not None or self._host_tokens is not None:
            until, limit = max((until, limit), self._host_obstacle(tokens, now))
        if until > now:
            return Wait(until - now, limit)
        if limits.concurrency is not None and self._in_flight >= limits.concurrency:
            return Wait(math.inf, "concurrency")
        return None

    def enter(self, name: str, tokens: int, now: float) -> Reservation:
        """Admit a call."""
        entry = Reservation(name, self._number, now, tokens)
        self._number += 1
        self._log.append(entry)
        self._in_flight += 1
        self._add(entry, 1, tokens)
        return entry

    def correct(self, entry: Reservation, tokens: int | None) -> None:
        """Put what a call used in the place of what it reserved; it is no longer in flight."""
        self._in_flight -= 1
        change = (tokens or 0) - entry.tokens
        entry.tokens += change
        self._add(entry, -1 if tokens is None else 0, change)
        if tokens is None:
            entry.in_window = False

    def observe(self, report: RateReport) -> None:
        """Remember what the host has left; without the end of its window that says nothing."""
        if report.at < self._heard_at:
            return
        self._heard_at = report.at
        # What left the log may be missing here, but only of a report older than the window.
        unknown = list(takewhile(lambda entry: entry.at > report.at, reversed(self._log)))
        first = unknown[-1].number if unknown else self._number
        if report.requests_remaining is not None and report.requests_reset_s is not None:
            left = report.requests_remaining - sum(entry.in_window for entry in unknown)
            self._host_requests = _Heard(left, report.at + report.requests_reset_s, first)
        if report.tokens_remaining is not None and report.tokens_reset_s is not None:
            left = report.tokens_remaining - sum(entry.tokens for entry in unknown)
            self._host_tokens = _Heard(left, report.at + report.tokens_reset_s, first)

    def usage(self, now: float) -> LimitUsage:
        """How much is used."""
        self._evict(now)
        parked_s = max(0.0, self.parked_until - now)
        return LimitUsage(self._in_flight, self._requests, self._tokens, parked_s)

    def _add(self, entry: Reservation, requests: int, tokens: int) -> None:
        if entry.in_window:
            self._requests += requests
            self._tokens += tokens
        if self._host_requests is not None and entry.number >= self._host_requests.first:
            self._host_requests.left -= requests
        if self._host_tokens is not None and entry.number >= self._host_tokens.first:
            self._host_tokens.left -= tokens

    def _evict(self, now: float) -> None:
        log = self._log
        while log and log[0].at + WINDOW_S <= now:
            entry = log.popleft()
            if entry.in_window:
                entry.in_window = False
                self._requests -= 1
                self._tokens -= entry.tokens

    def _counted(self) -> Iterator[Reservation]:
        return (entry for entry in self._log if entry.in_window)

    def _requests_free_at(self, surplus: int) -> float:
        """When so many requests have left the window."""
        return next(islice(self._counted(), surplus - 1, None)).at + WINDOW_S

    def _tokens_free_at(self, surplus: int) -> float:
        """When so many tokens have left the window."""
        for entry in self._counted():
            surplus -= entry.tokens
            if surplus <= 0:
                return entry.at + WINDOW_S
        return math.inf

    def _host_obstacle(self, tokens: int, now: float) -> tuple[float, str]:
        """When the host takes so many tokens again, and which of its limits it is."""
        requests, of_tokens = self._host_requests, self._host_tokens
        if requests is not None and requests.until <= now:
            requests = self._host_requests = None
        if of_tokens is not None and of_tokens.until <= now:
            of_tokens = self._host_tokens = None
        until, limit = -math.inf, ""
        if requests is not None and requests.left < 1:
            until, limit = requests.until, "requests_remaining"
        if of_tokens is not None and of_tokens.left < tokens:
            until, limit = max((until, limit), (of_tokens.until, "tokens_remaining"))
        return until, limit
