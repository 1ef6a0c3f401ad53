"""A run as server-sent events, bound to the request that asked for it."""

import asyncio
from collections.abc import AsyncIterator, Callable

from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from agent_lab.api.request_work import RequestWork, shutting_down, stop
from agent_lab.api.wire.events import encode
from agent_lab.contracts import JsonObject, RunRecord, RunRequest
from agent_lab.runs.events import RunEvent
from agent_lab.runs.live_events import LiveEvents
from agent_lab.runs.service import RunService

PING_S = 15.0
"""Longest silence: proxies cut connections that say nothing."""
HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}

Answer = Callable[[RunRecord], JsonObject]


async def open_stream(
    runs: RunService, request: RunRequest, work: RequestWork, answer: Answer
) -> "RunStream":
    """Start a run and answer with its events.

    Args:
        runs: Runs it.
        request: What to run.
        work: The server's open requests.
        answer: What the plain answer would be; the last event carries it.

    Raises:
        AgentLabError: The run cannot be started; nothing has been answered yet.
    """
    events = LiveEvents()
    run = work.start(runs.run(request, events))
    run.add_done_callback(lambda _: events.close())
    try:
        if not await events.begun():
            work.result(run)  # raises why: that has a status of its own
        return RunStream(run, events, work, answer)
    except BaseException:
        await stop(run)
        raise


class RunStream(EventSourceResponse):
    """The events of a run from its first to its last; the run ends with the connection."""

    def __init__(
        self,
        run: asyncio.Task[RunRecord],
        events: AsyncIterator[RunEvent],
        work: RequestWork,
        answer: Answer,
    ) -> None:
        self._run = run
        self._events = events
        self._work = work
        self._answer = answer
        super().__init__(_with_pings(self._messages()), headers=HEADERS)

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await stop(self._run)

    async def _messages(self) -> AsyncIterator[bytes]:
        async for event in self._events:
            last = event.type in {"RUN_FINISHED", "RUN_ERROR"}
            yield encode(await self._completed(event) if last else event)

    async def _completed(self, last: RunEvent) -> RunEvent:
        """Add the answer to the last event, or say that the server could not wait for it."""
        await asyncio.wait({self._run})
        added: JsonObject = {}
        if not self._run.cancelled() and self._run.exception() is None:
            added = {"answer": self._answer(self._run.result())}
        elif self._work.ending:
            why = shutting_down()
            added = {"code": why.code, "message": why.message}
        return last.model_copy(update={"payload": {**last.payload, **added}})


async def _with_pings(messages: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Put a comment, which clients ignore, into every long silence."""
    following = asyncio.ensure_future(anext(messages, None))
    try:
        while True:
            done, _ = await asyncio.wait({following}, timeout=PING_S)
            if not done:
                yield KEEPALIVE_COMMENT
                continue
            message = following.result()
            if message is None:
                return
            yield message
            following = asyncio.ensure_future(anext(messages, None))
    finally:
        following.cancel()
