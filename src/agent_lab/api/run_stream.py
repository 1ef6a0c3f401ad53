"""The events of runs as server-sent events: bound to a request, or only watched."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress

from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from agent_lab.api.request_work import RequestWork, shutting_down, stop
from agent_lab.api.wire.events import encode
from agent_lab.contracts import ErrorInfo, JsonObject, RunRecord, RunRequest
from agent_lab.errors import AgentLabError
from agent_lab.orchestrator.run_context import utc_now
from agent_lab.runs.events import TERMINAL, RunEvent
from agent_lab.runs.execution import failed
from agent_lab.runs.preparation import new_run_id
from agent_lab.runs.service import RunService

PING_S = 15.0
"""Longest silence: proxies cut connections that say nothing."""
LAST_WORDS_S = 0.2
"""How long a server on its way out still shows what happens to those who only watch."""
HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}

Answer = Callable[[RunRecord], JsonObject]
Complete = Callable[[RunEvent], Awaitable[RunEvent]]


class EventStream(EventSourceResponse):
    """Events up to the last one of a run.

    Args:
        events: The events.
        over: Once it is set, nobody waits for further events.
        run: Work that ends with the connection.
    """

    def __init__(
        self,
        events: AsyncGenerator[RunEvent, None],
        over: asyncio.Event,
        run: "asyncio.Task[RunRecord] | None" = None,
    ) -> None:
        self._messages = _with_pings(events, over)
        self._run = run
        super().__init__(self._messages, headers=HEADERS)

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self._run is not None:
                await stop(self._run)
            await self._messages.aclose()


def watch(runs: RunService, run_id: str, after: int, work: RequestWork) -> EventStream:
    """Show a run to somebody who can leave without touching it.

    Args:
        runs: Where it is.
        run_id: The run.
        after: The last place of its log that is known.
        work: The server's open requests; views of runs end after them.
    """
    return EventStream(_events(runs, run_id, after), work.over)


async def open_stream(
    runs: RunService, request: RunRequest, work: RequestWork, answer: Answer
) -> EventStream:
    """Start a run that ends with its caller, and answer with its events.

    Args:
        runs: Runs it.
        request: What to run.
        work: The server's open requests.
        answer: What the plain answer would be; the last event carries it.

    Raises:
        AgentLabError: The run cannot be started; nothing has been answered yet.
    """
    run_id, started = new_run_id(), asyncio.Event()
    run = work.start(_bound(runs, request, run_id, started))
    starting = asyncio.ensure_future(started.wait())
    try:
        await asyncio.wait({run, starting}, return_when=asyncio.FIRST_COMPLETED)
        if not started.is_set():
            work.result(run)  # raises why: that has a status of its own
    except BaseException:
        await stop(run)
        raise
    finally:
        starting.cancel()

    async def completed(last: RunEvent) -> RunEvent:
        return await _completed(last, run, work, answer)

    return EventStream(_events(runs, run_id, 0, completed), asyncio.Event(), run)


async def _bound(
    runs: RunService, request: RunRequest, run_id: str, started: asyncio.Event
) -> RunRecord:
    """Run to the end. Cancelling this cancels the run."""
    try:
        await runs.start(request, detached=False, run_id=run_id)
        started.set()
        return await runs.wait(run_id)
    except asyncio.CancelledError:
        with suppress(AgentLabError):  # it was never there, or has ended already
            await runs.cancel(run_id)
        raise


async def _completed(
    last: RunEvent, run: asyncio.Task[RunRecord], work: RequestWork, answer: Answer
) -> RunEvent:
    """Add the answer to the last event, or say that the server could not wait for it."""
    await asyncio.wait({run})
    added: JsonObject = {}
    if not run.cancelled() and run.exception() is None:
        added = {"answer": answer(run.result())}
    elif work.ending:
        why = shutting_down()
        added = {"code": why.code, "message": why.message}
    return last.model_copy(update={"payload": {**last.payload, **added}})


async def _as_it_is(event: RunEvent) -> RunEvent:
    return event


async def _events(
    runs: RunService, run_id: str, after: int, complete: Complete = _as_it_is
) -> AsyncGenerator[RunEvent, None]:
    """The events of a run; where it breaks off, the last one says why, and has no place."""
    try:
        async with aclosing(runs.follow(run_id, after)) as events:
            async for event in events:
                yield await complete(event) if event.type in TERMINAL else event
    except AgentLabError as error:
        kind, payload = failed(ErrorInfo.of(error), resumable=True)
        yield RunEvent(run_id=run_id, seq=None, ts=utc_now(), type=kind, payload=payload)


async def _with_pings(
    events: AsyncGenerator[RunEvent, None], over: asyncio.Event
) -> AsyncGenerator[bytes, None]:
    """Write events, with a comment, which clients ignore, in every long silence."""
    following = asyncio.ensure_future(anext(events, None))
    end = asyncio.ensure_future(_last_words(over))
    try:
        while not end.done():
            await asyncio.wait({following, end}, timeout=PING_S, return_when="FIRST_COMPLETED")
            if following.done():
                event = following.result()
                if event is None:
                    return
                yield encode(event)
                following = asyncio.ensure_future(anext(events, None))
            elif not end.done():
                yield KEEPALIVE_COMMENT
    finally:
        await stop(end)
        await stop(following)
        await events.aclose()


async def _last_words(over: asyncio.Event) -> None:
    await over.wait()
    await asyncio.sleep(LAST_WORDS_S)
