"""The runs that this process executes: begun, gone on with, stopped, left to others."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from agent_lab.contracts import ErrorInfo
from agent_lab.errors import AgentLabError, OverloadedError, RunStateError, StorageError
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.observability.logger import log_context
from agent_lab.orchestrator.graph_builder import GraphBuilder
from agent_lab.orchestrator.run_context import KnownModel, RunContext
from agent_lab.orchestrator.run_recorder import RunRecorder
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.runs.dispatcher import Dispatcher, InProcessDispatcher
from agent_lab.runs.execution import (
    CANCELLED,
    INTERRUPTED,
    Ending,
    Execution,
    conclude,
    failed,
    stopped,
)
from agent_lab.runs.history import SavedRuns
from agent_lab.runs.journal import Journal
from agent_lab.runs.live import LiveRun
from agent_lab.runs.log import read_log
from agent_lab.runs.preparation import Preparation, Prepared
from agent_lab.runs.run_header import RunHeader, flow_row
from agent_lab.runs.worker import Lease
from agent_lab.storage import run_owners
from agent_lab.storage.commit_queue import CommitQueue
from agent_lab.storage.database import Database
from agent_lab.storage.run_owners import Orphan
from agent_lab.storage.run_queries import OPEN
from agent_lab.storage.run_store import RunStore

logger = logging.getLogger(__name__)

RESUMABLE = (*OPEN, "cancelled", "failed")
"""Statuses of runs that can be gone on with."""


class Limits(NamedTuple):
    """How much is executed here."""

    at_once: int = 100
    """Runs that are executed at the same time."""
    waiting: int = 1000
    """Runs that wait for their turn; more are refused."""
    lease_s: float = 15.0
    """Seconds after which a process that says nothing counts as dead."""


DEFAULT_LIMITS = Limits()


class Said(NamedTuple):
    """What a person has said."""

    turn: str
    """The turn's name in the events of its run."""
    text: str


class Executions:
    """Executes runs.

    Args:
        gateway: Who answers.
        builder: Builds the graphs.
        preparation: Sees whether a run can be gone on with.
        database: Where runs are kept.
        outputs: Folder of the saved runs.
        secret: The installation's secret, for the tags of fences.
        now: The clock.
        limits: How much is executed.
    """

    def __init__(
        self,
        gateway: ProviderGateway,
        builder: GraphBuilder,
        preparation: Preparation,
        database: Database,
        *,
        outputs: Path,
        secret: bytes,
        now: Callable[[], datetime],
        limits: Limits,
    ) -> None:
        self._gateway = gateway
        self._builder = builder
        self._preparation = preparation
        self._database = database
        self._outputs = outputs
        self._now = now
        self.secret = secret
        """For the tags of fences; once the database is open, that of all who share it."""
        self.queue = CommitQueue(database)
        self.store = RunStore(database, self.queue)
        self.active: dict[str, Execution] = {}
        """By id: the runs that are executed here, or wait for it."""
        self._history = SavedRuns(self.store)
        self._dispatcher: Dispatcher = InProcessDispatcher(
            self._execute, limits.at_once, limits.waiting
        )
        self._lease = Lease(self.queue, now, limits.lease_s, self._cancel_asked)
        self._starting: dict[str, asyncio.Future[None]] = {}
        self._stopping: set[asyncio.Future[None]] = set()
        self._kept_flows: set[str] = set()
        self.is_closing = False
        self._claimed: set[str] = set()
        self._is_open = False
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Open the database, and say that this process lives.

        Raises:
            StorageError: The database cannot be used.
        """
        if not self._is_open:
            async with self._opening:
                await asyncio.to_thread(self._database.open)
                own = self.secret.hex()
                shared = await self.queue.call(lambda c: run_owners.shared_secret(c, own))
                # Every process that can go on with a run must mark its fences alike.
                self.secret = bytes.fromhex(shared)
                self._is_open = True
        await self._lease.begin()

    async def close(self) -> None:
        """Stop executing, and commit what is queued; the runs are left to others."""
        self.is_closing = True
        for execution in tuple(self.active.values()):
            execution.release()
        await self._dispatcher.stop()
        await self._lease.end()
        await self.queue.close()

    async def bury(self) -> None:
        """Strike off processes that are dead: their runs are free."""
        await self._lease.bury()

    async def take_up(self) -> None:
        """Go on with the runs of processes that have died, now and from now on.

        Those that somebody waited for are ended as cancelled: nobody waits any more.
        """
        await self.open()
        await self._lease.take_over(self._sweep)

    async def begin(self, prepared: Prepared, kept: Mapping[str, Any]) -> None:
        """Put a new run in, and execute it.

        Args:
            prepared: The run.
            kept: What its row has beside the header.

        Raises:
            OverloadedError: As many runs as there may be are executed and wait.
            StorageError: It cannot be written.
        """
        # Whoever leaves now leaves a run that is not there, or one that is being executed.
        starting = asyncio.ensure_future(self._begin(prepared, kept))
        self._starting[prepared.header.id] = starting
        starting.add_done_callback(lambda _: self._starting.pop(prepared.header.id, None))
        await asyncio.shield(starting)

    async def go_on(
        self, prepared: Prepared, *, detached: bool | None, said: Said | None = None
    ) -> None:
        """Take a run over, read what it has, and go on with it.

        Args:
            prepared: The run.
            detached: Whether it goes on without its caller from now on; None: as before.
            said: What a person has said for whom it waits; None: it does not wait.

        Raises:
            RunStateError: Another process executes it.
            OverloadedError: As many runs as there may be are executed and wait.
            StorageError: It cannot be written.
        """
        await asyncio.shield(self._take_over(prepared, detached, said))

    async def stop(self, run_id: str) -> None:
        """Cancel a run of this process for good, and wait until it has ended."""
        starting = self._starting.get(run_id)
        if starting is not None:
            await asyncio.wait({starting})
        execution = self.active.get(run_id)
        if execution is None:
            return
        if self._dispatcher.withdraw(run_id):
            await execution.cancel_unstarted(CANCELLED, self._outputs)
            self.active.pop(run_id, None)
            return
        execution.cancel(CANCELLED)
        await asyncio.wait({execution.done})

    async def end_orphan(self, run_id: str, ending: Ending | None = None) -> bool:
        """End a run that nobody executes.

        Args:
            run_id: The run.
            ending: How; None: it is cancelled.

        Returns:
            False: somebody executes it.
        """
        if run_id in self.active or run_id in self._claimed:
            return False
        with self._claiming(run_id):
            row = await self.store.claim(run_id, self._lease.worker, (*OPEN, "waiting"))
            if row is None:
                return False
            log = read_log(await self.store.rows(run_id))
            live = LiveRun(run_id, self._now)
            journal = Journal(log.header, row.epoch, self.queue, live, self._now, log)
            if not log.events:
                journal.start()
            await conclude(log.header, journal, ending or stopped(CANCELLED), self._outputs, log)
            return True

    async def _begin(self, prepared: Prepared, kept: Mapping[str, Any]) -> None:
        header, at_once = prepared.header, self._dispatcher.reserve()
        live = LiveRun(header.id, self._now)
        journal = Journal(header, 1, self.queue, live, self._now)
        execution = Execution(header, prepared.flow, journal, live, has_started=at_once)
        self.active[header.id] = execution
        status = "running" if at_once else "queued"
        row = {**kept, "status": status, "worker": self._lease.worker.id}
        is_new = header.flow_version not in self._kept_flows
        try:
            journal.create(row, flow_row(prepared.flow) if is_new else None, start=at_once)
            if kept["detached"] or kept["idempotency_key"] or not at_once:
                await journal.commit()  # else it comes with the begin of the first turn
        except BaseException:
            del self.active[header.id]
            self._dispatcher.give_up(at_once)
            raise
        self._dispatcher.submit(header.id, at_once)

    async def _take_over(
        self, prepared: Prepared, detached: bool | None, said: Said | None
    ) -> None:
        run_id = prepared.header.id
        with self._claiming(run_id):
            at_once = self._dispatcher.reserve()
            try:
                taken = await self._taken_over(run_id, prepared.flow, detached, said)
                self.active[run_id] = taken
            except BaseException:
                self._dispatcher.give_up(at_once)
                raise
            self._dispatcher.submit(run_id, at_once)

    @contextmanager
    def _claiming(self, run_id: str) -> Iterator[None]:
        """Claim a run once at a time: for the database, what this process has is free for it."""
        if run_id in self.active or run_id in self._claimed:
            raise _is_executed(run_id)
        self._claimed.add(run_id)
        try:
            yield
        finally:
            self._claimed.discard(run_id)

    async def _taken_over(
        self, run_id: str, flow: FlowConfig, detached: bool | None, said: Said | None
    ) -> Execution:
        worker, statuses = self._lease.worker, RESUMABLE if said is None else ("waiting",)
        row = await self.store.claim(run_id, worker, statuses, detached=detached)
        if row is None:
            raise _is_executed(run_id)
        # Taken over first, read after: nothing can come in between any more.
        log = read_log(await self.store.rows(run_id))
        live = LiveRun(run_id, self._now)
        journal = Journal(log.header, row.epoch, self.queue, live, self._now, log)
        if said is not None:
            journal.resume(log.executions())
            await journal.take_answer(*said)
            await journal.commit()  # told to the person only once it is kept
        return Execution(log.header, flow, journal, live, log, has_started=said is not None)

    async def _execute(self, run_id: str) -> None:
        try:
            execution = self.active[run_id]
            run = self.context(execution.header, execution.journal, execution.elapsed_s)
            await execution.run(run, self._builder, self._outputs)
            if execution.journal.is_kept:
                self._kept_flows.add(execution.header.flow_version)
        finally:
            self.active.pop(run_id, None)

    def context(
        self, header: RunHeader, recorder: RunRecorder, elapsed_s: float = 0.0
    ) -> RunContext:
        """What a run hands to its nodes.

        Args:
            header: The run.
            recorder: Takes its events.
            elapsed_s: Seconds for which earlier executions have executed it.
        """
        models = {wish or None: key for wish, key in header.setting.models.items()}
        return RunContext(
            gateway=self._gateway,
            request=header.request,
            seed=header.seed,
            secret=self.secret,
            recorder=recorder,
            models=models,
            known={
                entry.key: KnownModel(entry.family, entry.parameters_b)
                for entry in self._gateway.models.all()
            },
            elapsed_s=elapsed_s,
            owner=header.owner,
            history=self._history,
            resources=self._gateway.resources,
            now=self._now,
        )

    def _cancel_asked(self, run_ids: Sequence[str]) -> None:
        """Cancel the runs of this process that another one was asked to cancel."""
        for run_id in run_ids:
            if run_id in self.active:
                task = asyncio.ensure_future(self.stop(run_id))
                self._stopping.add(task)
                task.add_done_callback(self._stopping.discard)

    async def _sweep(self, orphans: Sequence[Orphan]) -> None:
        """Go on with runs that nobody executes any more, or end them."""
        for orphan in orphans:
            if orphan.id in self.active:
                continue
            with log_context(run_id=orphan.id):
                try:
                    await self._look_after(orphan)
                except OverloadedError:
                    return  # the next look finds them
                except (StorageError, RunStateError) as error:
                    logger.warning("The run is not gone on with: %s", error.message)

    async def _look_after(self, orphan: Orphan) -> None:
        if not orphan.detached:
            await self.end_orphan(orphan.id, stopped(INTERRUPTED))
            return
        log = read_log(await self.store.rows(orphan.id))
        definition = await self.store.flow(log.header.flow_version)
        try:
            prepared = await self._preparation.prepare_again(log.header, definition)
        except AgentLabError as error:
            logger.warning("The run cannot be gone on with: %s", error.message)
            await self.end_orphan(orphan.id, failed(ErrorInfo.of(error), resumable=True))
            return
        await self.go_on(prepared, detached=True)


def _is_executed(run_id: str) -> RunStateError:
    return RunStateError(
        f"The run `{run_id}` is being executed.", hint=f"agent-lab runs show {run_id}"
    )
