"""Ends a stream in which nothing is said: bytes that are no tokens do not count as progress."""

import asyncio
from types import TracebackType
from typing import Self

from agent_lab.errors import ProviderTimeoutError
from agent_lab.providers.registries.provider_registry import Timeouts
from agent_lab.providers.remote.wire_errors import Asked


class SilenceWatch:
    """Bounds the time to the first token, and from one token to the next.

    One timer a stream, set anew when it rings: a token costs no more than a look at the clock.

    Args:
        timeouts: The bounds, in seconds.
        asked: Who was asked, for the error.
    """

    def __init__(self, timeouts: Timeouts, asked: Asked) -> None:
        self._timeouts = timeouts
        self._asked = asked
        self._loop = asyncio.get_running_loop()
        self._last: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timeout = asyncio.timeout(timeouts.first_token_s)

    def token_came(self) -> None:
        """Note a piece of the answer."""
        if self._last is None:
            self._timeout.reschedule(None)
            self._set(self._timeouts.between_tokens_s)
        self._last = self._loop.time()

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        try:
            await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError:
            raise self._error() from None

    def _set(self, seconds: float) -> None:
        self._timer = self._loop.call_later(seconds, self._rung)

    def _rung(self) -> None:
        silent = self._loop.time() - (self._last or 0.0)
        left = self._timeouts.between_tokens_s - silent
        if left > 0:
            self._set(left)
        else:
            self._timeout.reschedule(self._loop.time())

    def _error(self) -> ProviderTimeoutError:
        first = self._last is None
        phase, seconds = (
            ("first_token", self._timeouts.first_token_s)
            if first
            else ("between_tokens", self._timeouts.between_tokens_s)
        )
        said = "said nothing" if first else "fell silent"
        return ProviderTimeoutError(
            f"`{self._asked.provider}` {said} for {seconds:g} s in the call of "
            f"`{self._asked.model}`.",
            provider=self._asked.provider,
            model=self._asked.model,
            hint=f"`timeouts.{phase}_s` of `[providers.{self._asked.provider}]` in models.toml "
            "bounds this.",
            details={"phase": phase},
        )
