"""Writes one run's log: numbers its events, has them committed, shows them once they are."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple, TypeAlias

import orjson

from agent_lab.contracts import JsonObject
from agent_lab.errors import StorageError
from agent_lab.orchestrator.run_recorder import EventType
from agent_lab.runs.events import RunEvent
from agent_lab.runs.live import LiveRun
from agent_lab.storage.commit_queue import CommitQueue
from agent_lab.storage.commits import Change, Kind, Row
from agent_lab.storage.tables import microseconds

LONGEST_WAIT_S = 0.02
"""For which an event waits for others before it is committed by itself."""
LONGEST_END_S = 0.002
"""For which the end of a turn does: what comes next begins by then, as a rule, and half of the
transactions are saved."""

Rows: TypeAlias = Iterable[tuple[Kind, Row]]


class _Added(NamedTuple):
    """An event that is going to be committed."""

    type: EventType
    turn: str
    seq: int
    ts: datetime
    text: str
    served: Callable[[], JsonObject] | None

    def made(self, run_id: str) -> RunEvent:
        payload = orjson.loads(self.text) if self.served is None else self.served()
        return RunEvent(run_id=run_id, seq=self.seq, ts=self.ts, type=self.type, payload=payload)


class EventWriter:
    """Writes the log of one execution.

    Args:
        run_id: The run.
        epoch: The fence: what is written with an older one is refused.
        queue: Who commits.
        live: Who shows.
        now: The clock.
        last_seq: The last place of the log so far.
    """

    def __init__(
        self,
        run_id: str,
        epoch: int,
        queue: CommitQueue,
        live: LiveRun,
        now: Callable[[], datetime],
        last_seq: int,
    ) -> None:
        self.run_id = run_id
        self.seq = last_seq
        """The last place of the log, what is not committed yet included."""
        self.begun_at: datetime | None = None
        """When this execution wrote its first event."""
        self.last_at: datetime | None = None
        """When it wrote its last one."""
        self._epoch = epoch
        self._queue = queue
        self._live = live
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._rows: list[tuple[Kind, Row]] = []
        self._added: list[_Added] = []
        self._creates = False
        self._waiters: list[asyncio.Future[None]] = []
        self._sealed: list[Change] = []
        self._holds_end = False
        self._is_timed = self._is_ending = self._is_due = False
        self._broken: Exception | None = None

    @property
    def is_kept(self) -> bool:
        """Whether nothing has failed, and nothing is open."""
        return self._broken is None and not self._rows and not self._sealed

    def create(self, rows: Rows) -> None:
        """Add the rows of the run itself."""
        self._creates = True
        self._rows += rows

    def add(
        self,
        event_type: EventType,
        stored: JsonObject | str,
        rows: Rows = (),
        *,
        served: Callable[[], JsonObject] | None = None,
        turn: str = "",
        at: datetime | None = None,
    ) -> None:
        """Add an event to what is committed next; at once, if nothing else comes soon.

        Args:
            event_type: Its type.
            stored: Its payload as the log keeps it, or the text of it.
            rows: What belongs to it in other tables.
            served: Makes the payload as it is shown; None: as it is stored.
            turn: The turn that it is about.
            at: When it happened; None: now.
        """
        self.seq += 1
        ts = at or self._now()
        self.begun_at, self.last_at = self.begun_at or ts, ts
        text = stored if isinstance(stored, str) else orjson.dumps(stored).decode()
        row = {
            "run_id": self.run_id,
            "seq": self.seq,
            "ts": microseconds(ts),
            "type": event_type,
            "payload": text,
        }
        self._rows += rows
        self._rows.append(("event", row))
        self._added.append(_Added(event_type, turn, self.seq, ts, text, served))
        if not self._is_timed:
            self._is_timed = True
            self._loop.call_later(LONGEST_WAIT_S, self._on_time)

    def commit(self) -> "asyncio.Future[None]":
        """Have all that was added committed; queued when this returns.

        Returns:
            Done once it is committed. Whoever does not wait is told of a failure by the next call.

        Raises:
            StorageError: Something before it could not be committed.
            RunTakenOverError: The run is somebody else's.
        """
        future = self._waiter()
        self._queue_up()
        return future

    def commit_soon(self) -> "asyncio.Future[None]":
        """The same, together with what others add before the event loop's next turn."""
        future = self._waiter()
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._on_turn)
        return future

    def end_turn(self) -> None:
        """Have what was added committed in a moment, with what begins by then.

        Raises:
            StorageError: As `commit`.
            RunTakenOverError: As `commit`.
        """
        if self._broken is not None:
            raise self._broken
        self._holds_end = True
        if not self._is_ending:
            self._is_ending = True
            self._loop.call_later(LONGEST_END_S, self._on_end)

    def begin_turn(self) -> None:
        """See that what is added from now on takes no paid turn with it if it cannot be written."""
        if self._holds_end:
            self._seal()

    def _waiter(self) -> "asyncio.Future[None]":
        if self._broken is not None:
            raise self._broken
        # One for each who waits: who is cancelled cancels nobody else.
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(future)
        return future

    def _seal(self) -> None:
        """Make one change of what was added so far."""
        rows, added, creates = self._rows, self._added, self._creates
        waiters = self._waiters
        self._rows, self._added, self._creates, self._waiters = [], [], False, []
        self._holds_end = False

        def done(error: Exception | None) -> None:
            error = error or self._broken  # what comes after a gap is not there either
            if error is None:
                for event in added:
                    self._live.publish(event.type, event.turn, event.made)
            else:
                self._broken = self._broken or error
            for waiter in waiters:
                if waiter.done():
                    continue
                if error is None:
                    waiter.set_result(None)
                else:
                    waiter.set_exception(error)
                    waiter.exception()  # seen: there may be nobody who waits

        self._sealed.append(Change(self.run_id, self._epoch, rows, done, self._loop, creates))

    def _queue_up(self) -> None:
        self._is_due = False
        if self._rows or self._waiters:
            self._seal()
        changes, self._sealed = self._sealed, []
        for change in changes:
            try:
                self._queue.put(change)
            except StorageError as error:
                change.done(error)

    def _on_turn(self) -> None:
        if self._is_due:
            self._queue_up()

    def _on_end(self) -> None:
        self._is_ending = False
        self._queue_what_is_there()

    def _on_time(self) -> None:
        self._is_timed = False
        self._queue_what_is_there()

    def _queue_what_is_there(self) -> None:
        if (self._rows or self._sealed) and self._broken is None:
            self._queue_up()
