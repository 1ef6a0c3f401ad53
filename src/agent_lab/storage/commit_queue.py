"""The one writer of this process: takes what is queued, and commits it together.

A transaction for each turn is what makes a journal dear. While one is committed, the next items
gather: batches form by themselves, without a timer.
"""

import asyncio
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeAlias, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)

from agent_lab.errors import RunTakenOverError, StorageError
from agent_lab.storage.commits import Change, Statements, is_written, write
from agent_lab.storage.database import Database
from agent_lab.storage.driver import driver_transaction

logger = logging.getLogger(__name__)
Result = TypeVar("Result")
Told: TypeAlias = "Sequence[tuple[Change, Exception | None]]"
"""Changes, each with why it is not committed."""

MOST_AT_ONCE = 512
"""Items in one transaction."""
RECONNECT_S = 60.0
"""How long a server that has gone is waited for."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0
_POISON = (IntegrityError, DataError, ProgrammingError, InterfaceError)
"""What the driver says of a row that it cannot write, whatever is written beside it."""


class _Call(NamedTuple):
    """Something else that is done in a transaction of its own, in its turn."""

    work: Callable[[Connection], Any]
    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop


class CommitQueue:
    """Commits changes in the order in which they are queued, in a thread of its own.

    Args:
        database: Where to.
    """

    def __init__(self, database: Database) -> None:
        self._writer = _Writer(database)
        # Whoever forgets to close it leaves no thread behind.
        self._end = weakref.finalize(self, self._writer.end)

    def put(self, change: Change) -> None:
        """Queue a change; its `done` is told what became of it.

        Raises:
            StorageError: The writer has ended.
        """
        self._writer.check()
        self._writer.queue.put(change)

    async def call(self, work: Callable[[Connection], Result]) -> Result:
        """Have something done in a transaction of its own, in its turn.

        Raises:
            StorageError: The database cannot be written, or the writer has ended.
        """
        self._writer.check()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._writer.queue.put(_Call(work, future, loop))
        return await asyncio.shield(future)

    @property
    def why_dead(self) -> StorageError | None:
        """Why nothing can be written any more; None: it can."""
        return self._writer.why_dead

    async def close(self) -> None:
        """Commit what is queued, and end."""
        self._end()
        if self._writer.thread is not None:
            await asyncio.to_thread(self._writer.thread.join)


class _Writer:
    """What the thread does; it does not keep its `CommitQueue` alive."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.queue: SimpleQueue[Change | _Call | None] = SimpleQueue()
        self.thread: threading.Thread | None = None
        self.why_dead: StorageError | None = None
        self._closing = threading.Event()
        self._connection: Connection | None = None
        self._in_hand: list[Change | _Call | None] = []
        self._broken: dict[tuple[str, int], Exception] = {}
        """By run and epoch: why its first change that failed did."""

    def check(self) -> None:
        """See that the thread is there, or start it."""
        if self.why_dead is not None:
            raise self.why_dead
        if self._closing.is_set():
            raise StorageError("The lab is closed: nothing is written any more.")
        if self.thread is None:
            self.thread = threading.Thread(target=self._live, name="agent-lab-writer", daemon=True)
            self.thread.start()

    def end(self) -> None:
        """Let the thread do what is queued, and end."""
        self._closing.set()
        self.queue.put(None)

    def _live(self) -> None:
        try:
            while self._take(self.queue.get()):
                pass
            self._leave()
        except BaseException as bug:  # else everybody would wait for ever
            logger.exception("The writer has died; nothing is kept any more")
            self.why_dead = StorageError(f"The lab's writer has died: {bug!r}.")
            for item in self._in_hand:
                self._fail(item)
            with suppress(SQLAlchemyError):
                self._leave()
            while not self._closing.is_set() or not self.queue.empty():
                self._fail(self.queue.get())

    def _leave(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._database.close()

    def _take(self, first: Change | _Call | None) -> bool:
        """Do what is queued; false: it was the last."""
        batch: list[Change] = []
        item, self._in_hand = first, [first]
        while isinstance(item, Change):
            batch.append(item)
            if len(batch) == MOST_AT_ONCE:
                break
            try:
                item = self.queue.get_nowait()
            except Empty:
                break
            self._in_hand.append(item)
        if batch:
            _tell(self._commit(batch))
            del self._in_hand[: len(batch)]
        if isinstance(item, _Call):
            self._do(item)
        return item is not None

    def _commit(self, batch: Sequence[Change]) -> Told:
        """Commit some changes, but nothing of an execution after what failed of it.

        A later turn may refer to one that was lost.
        """
        told: list[tuple[Change, Exception | None]] = []
        whole: list[Change] = []
        for change in batch:
            broken = self._broken.get((change.run_id, change.epoch))
            if broken is None:
                whole.append(change)
            else:
                told.append((change, broken))
        for change, error in self._committed(whole) if whole else ():
            if error is not None:
                self._broken.setdefault((change.run_id, change.epoch), error)
            told.append((change, error))
        return told

    def _committed(self, batch: Sequence[Change]) -> Told:
        """Commit some changes in one transaction; if one of them is wrong, each by itself."""
        try:
            lost = self._written(batch)
        except _POISON as error:
            return self._alone(batch, self._database.described(error))
        except SQLAlchemyError as error:
            return _all_failed(batch, self._database.described(error))
        except Exception as bug:
            logger.exception("A row cannot be written")
            return self._alone(batch, StorageError(f"A row cannot be written: {bug!r}."))
        return [(change, _taken_over(change) if change in lost else None) for change in batch]

    def _alone(self, batch: Sequence[Change], error: StorageError) -> Told:
        if len(batch) == 1:
            return _all_failed(batch, error)
        return [told for change in batch for told in self._commit([change])]

    @cached_property
    def _statements(self) -> Statements:
        return Statements(self._database.engine.dialect)

    def _written(self, batch: Sequence[Change]) -> Sequence[Change]:
        """Write in one transaction; a server that has gone is waited for."""
        pause, broke, begin = _FIRST_PAUSE_S, False, time.monotonic()
        while True:
            try:
                with self._connected() as connection:
                    if broke:  # perhaps in mid-commit
                        with connection.begin():
                            batch = [c for c in batch if not is_written(connection, c)]
                    with driver_transaction(connection) as cursor:
                        return write(cursor, batch, self._statements)
            except DBAPIError as error:
                late = time.monotonic() - begin > RECONNECT_S
                if late or not (self._has_gone(error) or broke) or isinstance(error, _POISON):
                    raise
                broke = True
                logger.warning("The database has gone; trying again in %.2f s", pause)
                if self._closing.wait(pause):
                    raise
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _has_gone(self, error: DBAPIError) -> bool:
        """Whether there is no server, in the middle of something or from the outset."""
        if self._database.is_sqlite:
            return False
        unreached = (
            isinstance(error, OperationalError) and getattr(error.orig, "sqlstate", "") is None
        )
        return error.connection_invalidated or unreached

    def _do(self, call: _Call) -> None:
        result, error = None, None  # type: Any, Exception | None
        try:
            with self._connected() as connection, connection.begin():
                result = call.work(connection)
        except SQLAlchemyError as problem:
            error = self._database.described(problem)
        except Exception as problem:  # noqa: BLE001 - it is the caller's, who gets it
            error = problem
        _on(call.loop, _settle, call.future, result, error)

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """The connection, which stays open as long as it works."""
        if self._connection is None:
            self._connection = self._database.writer.connect()
        try:
            yield self._connection
        except BaseException:
            self._connection.close()
            self._connection = None
            raise

    def _fail(self, item: Change | _Call | None) -> None:
        if isinstance(item, Change):
            _tell([(item, self.why_dead)])
        elif isinstance(item, _Call):
            _on(item.loop, _settle, item.future, None, self.why_dead)


def _all_failed(batch: Sequence[Change], error: StorageError) -> Told:
    return [(change, error) for change in batch]


def _taken_over(change: Change) -> RunTakenOverError:
    return RunTakenOverError(f"Another process has taken over run `{change.run_id}`.")


def _tell(told: Told) -> None:
    """Tell those who wait what became of their changes: once for each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Change, Exception | None]]] = {}
    for change, error in told:
        by_loop.setdefault(change.loop, []).append((change, error))
    for loop, group in by_loop.items():
        _on(loop, _tell_group, group)


def _tell_group(group: Sequence[tuple[Change, Exception | None]]) -> None:
    for change, error in group:
        try:
            change.done(error)
        except Exception:  # the others wait, too
            logger.exception("Somebody could not be told what became of a change")


def _settle(future: "asyncio.Future[Any]", result: Any, error: Exception | None) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _on(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *given: Any) -> None:
    try:
        loop.call_soon_threadsafe(function, *given)
    except RuntimeError:  # the loop has ended, and with it all who waited
        logger.debug("Nobody waits any more")
