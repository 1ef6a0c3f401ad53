"""The events of a run as they happen, for whoever reads along at a pace of their own."""

import asyncio
from collections.abc import AsyncIterator

from typing_extensions import override

from agent_lab.runs.events import RunEvent

GATHERED_S = 0.05
"""Longest time that a piece of a turn waits for the next ones."""
GATHERED_CHARACTERS = 64
"""Length at which gathered pieces are handed on."""


class LiveEvents(AsyncIterator[RunEvent]):
    """A listener whose events are read by iterating.

    A slow reader never slows the run. Pieces of a turn that come in quick succession are handed
    on as one, so that reading costs less than writing them.
    """

    def __init__(self) -> None:
        self._queue: asyncio.Queue[RunEvent | None] = asyncio.Queue()
        self._next: RunEvent | None = None

    def __call__(self, event: RunEvent) -> None:
        """Take an event."""
        self._queue.put_nowait(event)

    async def begun(self) -> bool:
        """Wait for the first event; false: there will be none."""
        self._next = await self._queue.get()
        if self._next is None:
            self.close()
        return self._next is not None

    def close(self) -> None:
        """End the iteration once what is here has been read."""
        self._queue.put_nowait(None)

    @override
    async def __anext__(self) -> RunEvent:
        event = self._next or await self._queue.get()
        self._next = None
        if event is None:
            self.close()  # whoever asks again gets the same answer
            raise StopAsyncIteration
        return await self._gathered(event) if event.type == "TEXT_MESSAGE_CONTENT" else event

    async def _gathered(self, first: RunEvent) -> RunEvent:
        """Join a piece with those of the same turn that follow at once."""
        text = first.payload["delta"]
        end = asyncio.get_running_loop().time() + GATHERED_S
        while len(text) < GATHERED_CHARACTERS:
            try:
                async with asyncio.timeout_at(end):
                    following = await self._queue.get()
            except TimeoutError:
                break
            if following is None:
                self.close()
                break
            if not _continues(first, following):
                self._next = following
                break
            text += following.payload["delta"]
        return first.model_copy(update={"payload": {**first.payload, "delta": text}})


def _continues(first: RunEvent, following: RunEvent) -> bool:
    names = ("messageId", "reasoning")
    return following.type == first.type and all(
        following.payload[name] == first.payload[name] for name in names
    )
