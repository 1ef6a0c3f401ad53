"""The one way to start a run, and to go on with one, for every caller."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Any

from agent_lab.contracts import RunRecord, RunRequest
from agent_lab.errors import (
    IdempotencyError,
    InvalidRequestError,
    RunStateError,
    ShuttingDownError,
    StorageError,
)
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.orchestrator.graph_builder import GraphBuilder
from agent_lab.orchestrator.run_context import RunContext, utc_now
from agent_lab.orchestrator.run_recorder import RunRecorder
from agent_lab.orchestrator.turns import whole_characters
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.runs.archive import RunArchive
from agent_lab.runs.events import WAITING, Listener, RunEvent
from agent_lab.runs.executions import DEFAULT_LIMITS, Executions, Limits, Said
from agent_lab.runs.following import POLL_S, follow_run
from agent_lab.runs.log import RunLog
from agent_lab.runs.people import chosen_turn
from agent_lab.runs.preparation import Preparation, Prepared, new_run_id
from agent_lab.runs.replay import ReplayReport, replay
from agent_lab.storage.database import Database
from agent_lab.storage.run_queries import ENDED

logger = logging.getLogger(__name__)


class RunService(RunArchive):
    """Runs flows, keeps what happens, and goes on with what broke off.

    Args:
        gateway: Who answers.
        flows: The flows that can be run, by name.
        database: Where runs are kept.
        outputs: Folder of the saved runs.
        secret: The installation's secret, for the tags of fences.
        now: The clock.
        builder: Builds the graphs, with the types of node that flows may use; None: its own.
        limits: How much is executed here.
    """

    def __init__(
        self,
        gateway: ProviderGateway,
        flows: Mapping[str, FlowConfig],
        database: Database,
        *,
        outputs: Path,
        secret: bytes,
        now: Callable[[], datetime] = utc_now,
        builder: GraphBuilder | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._builder = builder or GraphBuilder(flows=flows)
        self._preparation = Preparation(gateway, flows, self._builder, outputs, now)
        self._database = database
        self._executions = Executions(
            gateway,
            self._builder,
            self._preparation,
            database,
            outputs=outputs,
            secret=secret,
            now=now,
            limits=limits,
        )
        super().__init__(self._executions.store, outputs, now)

    async def start(
        self,
        request: RunRequest,
        *,
        owner: str | None = None,
        detached: bool = True,
        idempotency_key: str | None = None,
        run_id: str | None = None,
    ) -> str:
        """Start a run, which goes on whoever waits for it.

        What is wrong with the request is said before anything is computed or written.

        Args:
            request: Flow, input and wishes.
            owner: Whose run it is; None: whoever uses this machine without a name.
            detached: Whether another process goes on with it if this one dies.
            idempotency_key: The same key and request mean the same run, whenever they come.
            run_id: An id of the caller's choosing, from `new_run_id`.

        Returns:
            The run's id.

        Raises:
            InvalidRequestError: The input is empty, or a value of the flow's inputs is wrong.
            InvalidFlowError: The flow cannot run.
            ConfigurationError: A flow, role, model or strategy is unknown, or weights are missing.
            IdempotencyError: The key was used with another request.
            OverloadedError: As many runs as there may be are executed and wait.
            StorageError: The database, or the folder of the saved runs, cannot be written.
        """
        run_id = run_id or new_run_id()
        whose = "" if owner is None else f"={owner}"
        key = None if idempotency_key is None else f"{whose}\n{idempotency_key}"
        await self._executions.open()
        known = None if key is None else await self._known(key, request)
        if known is not None:
            return known
        prepared = await self._preparation.prepare(
            request, run_id=run_id, owner=owner, secret=self._executions.secret
        )
        digest = None if key is None else _digest(request)
        kept = {"detached": detached, "idempotency_key": key, "request_digest": digest}
        try:
            await self._executions.begin(prepared, kept)
        except StorageError:
            known = None if key is None else await self._known(key, request)
            if known is None:
                raise
            return known  # somebody else was faster with the same key
        return run_id

    async def run(
        self,
        request: RunRequest,
        listener: Listener | None = None,
        *,
        owner: str | None = None,
        idempotency_key: str | None = None,
    ) -> RunRecord:
        """Run a flow to its end. Cancelling this cancels the run; what it has is kept.

        A run that fails on its way is a record with the status `failed`.

        Args:
            request: Flow, input and wishes.
            listener: Shown every event as it happens; it must not raise.
            owner: Whose run it is; None: whoever uses this machine without a name.
            idempotency_key: As in `start`.

        Raises:
            RunStateError: A run with this key is still being executed.
            AgentLabError: What `start` raises; `StorageError` also where the run breaks off.
        """
        run_id = new_run_id()
        try:
            started = await self.start(
                request,
                owner=owner,
                detached=False,
                idempotency_key=idempotency_key,
                run_id=run_id,
            )
            if started != run_id:
                return await self._same_again(started)
            return await self.watch(run_id, listener)
        except asyncio.CancelledError:
            await self._executions.stop(run_id)
            raise

    async def watch(self, run_id: str, listener: Listener | None = None) -> RunRecord:
        """Wait for a run's end, and show what happens.

        Args:
            run_id: The run.
            listener: Shown every event, from the first one on; it must not raise.
        """
        if listener is not None:
            async with aclosing(self.follow(run_id)) as events:
                async for event in events:
                    listener(event)
                    if event.payload.get("activityType") == WAITING:
                        log = await self.log(run_id)
                        if log.awaited() and log.events[-1].seq == event.seq:
                            break
        return await self.wait(run_id)

    async def wait(self, run_id: str) -> RunRecord:
        """Wait until a run has ended, or waits for a person; return its record.

        Raises:
            UnknownRunError: There is no such run.
            StorageError: It broke off, and can be resumed.
            ShuttingDownError: The lab was closed before.
        """
        execution = self._executions.active.get(run_id)
        if execution is not None:
            record = await asyncio.shield(execution.done)
            if record is not None:
                return record
        while True:
            log = await self.log(run_id)
            if log.row.status in (*ENDED, "waiting"):
                return log.record()
            if self.why_not_ready is not None:
                raise self.why_not_ready
            if self._executions.is_closing:
                raise ShuttingDownError(
                    f"The lab is closed; the run `{run_id}` has not ended.",
                    hint=f"agent-lab runs resume {run_id}",
                )
            await asyncio.sleep(POLL_S)

    async def resume(self, run_id: str, *, detached: bool = True) -> str:
        """Go on with a run that broke off or was cancelled: what its journal has is not paid again.

        Args:
            run_id: The run.
            detached: As in `start`.

        Raises:
            UnknownRunError: There is no such run.
            RunStateError: It is being executed, or nothing of it could come out otherwise.
            JournalMismatchError: A flow has changed.
            AgentLabError: As for a new run.
        """
        await self._executions.open()
        await self._executions.bury()
        log = await self.log(run_id)
        if run_id in self._executions.active:
            raise RunStateError(f"The run `{run_id}` is being executed.")
        log.check_resumable()
        prepared = await self._again(log)
        if self._preparation.has_changed(log.header):
            logger.warning(
                "The flow `%s` has changed; run `%s` goes on by the one with which it was started",
                log.header.flow,
                run_id,
            )
        await self._executions.go_on(prepared, detached=detached)
        return run_id

    async def answer(self, run_id: str, text: str, *, turn: str | None = None) -> str:
        """Say what a person has to say for whom a run waits; it goes on with that.

        Args:
            run_id: The run.
            text: What they say.
            turn: Which turn it is, `path:visit:retry`, where several are awaited.

        Returns:
            The turn.

        Raises:
            UnknownRunError: There is no such run.
            RunStateError: It does not wait for that.
            InvalidRequestError: The text is empty.
            AgentLabError: As for a new run.
        """
        await self._executions.open()
        said = whole_characters(text).strip()
        if not said:
            raise InvalidRequestError("The answer is empty.", hint="agent-lab runs answer ID TEXT")
        execution = self._executions.active.get(run_id)
        log = await self.log(run_id)
        awaited = log.awaited() if execution is None else execution.journal.awaited
        chosen = chosen_turn(run_id, awaited, turn)
        if execution is not None and execution.journal.answer(chosen, said):
            return chosen
        prepared = await self._again(log)
        await self._executions.go_on(prepared, detached=None, said=Said(chosen, said))
        return chosen

    async def replay(self, run_id: str) -> ReplayReport:
        """Take a run's way again by its journal alone: nobody is asked, nothing is written.

        Raises:
            UnknownRunError: There is no such run.
            JournalMismatchError: A flow is not what it was any more.
            AgentLabError: As for a new run.
        """
        await self._executions.open()
        log = await self.log(run_id)
        prepared = await self._again(log, asks=False)

        def context(recorder: RunRecorder) -> RunContext:
            return self._executions.context(log.header, recorder)

        return await replay(log, prepared.flow, context, self._builder)

    async def _again(self, log: RunLog, *, asks: bool = True) -> Prepared:
        definition = await self._store.flow(log.header.flow_version)
        return await self._preparation.prepare_again(log.header, definition, asks=asks)

    async def cancel(self, run_id: str) -> RunRecord:
        """Stop a run for good; what it has is kept, and it can be resumed.

        Returns:
            Its record. A run of another process is asked to stop; it may still be running.

        Raises:
            UnknownRunError: There is no such run.
            RunStateError: It has ended already.
        """
        await self._executions.open()
        if run_id in self._executions.active:
            await self._executions.stop(run_id)
            return await self.wait(run_id)
        log = await self.log(run_id)
        if log.row.status in ENDED:
            if log.row.status == "cancelled":
                return log.record()
            raise RunStateError(
                f"The run `{run_id}` is {log.row.status}: there is nothing to stop."
            )
        await self._executions.bury()
        if not await self._executions.end_orphan(run_id):
            await self._store.ask_to_cancel(run_id)
        return (await self.log(run_id)).record()

    def follow(self, run_id: str, after: int = 0) -> AsyncGenerator[RunEvent, None]:
        """A run's events after a place in its log: those that were, then those that come.

        The last one is `RUN_FINISHED` or `RUN_ERROR`. Pieces of turns come between, as far as the
        run is executed here and the reader keeps up; they have no place in the log.

        Args:
            run_id: The run.
            after: The last place that is known; 0: none.

        Raises:
            UnknownRunError: There is no such run.
            StorageError: The run broke off, or the database cannot be read.
        """
        return follow_run(self._executions, run_id, after, self._now)

    def plan(self, flow: str, inputs: Mapping[str, Any] | None = None) -> FlowPlan:
        """A flow with its inputs resolved; see `Preparation.plan`."""
        return self._preparation.plan(flow, inputs)

    @property
    def why_not_ready(self) -> StorageError | None:
        """Why nothing can be kept any more; None: it can."""
        return self._executions.queue.why_dead

    async def take_up(self) -> None:
        """Go on with the runs of processes that have died, now and from now on.

        Those that somebody waited for are ended as cancelled: nobody waits any more.
        """
        await self._executions.take_up()

    async def aclose(self) -> None:
        """Stop executing, commit what is queued, and close the database.

        Runs that go on without their callers are left to whoever goes on with them.
        """
        await self._executions.close()
        await asyncio.to_thread(self._database.close)

    async def _known(self, key: str, request: RunRequest) -> str | None:
        """The run that was started with a key; None: there is none."""
        row = await self._store.started_with(key)
        if row is None:
            return None
        if row.request_digest != _digest(request):
            raise IdempotencyError(
                "This idempotency key was used before, with another request.",
                hint="a new key for a new request",
                details={"run_id": row.id},
            )
        return str(row.id)

    async def _same_again(self, run_id: str) -> RunRecord:
        """What came of a run that the same caller has asked for before."""
        await self._executions.bury()
        row = await self._store.row(run_id)
        if row.status in ("completed", "failed", "waiting"):
            return await self.record(run_id)
        try:
            await self.resume(run_id, detached=False)
        except RunStateError:
            raise RunStateError(
                f"The run `{run_id}`, which has this idempotency key, is still being executed.",
                hint=f"GET /api/runs/{run_id}",
                details={"run_id": run_id},
            ) from None
        try:
            return await self.wait(run_id)
        except asyncio.CancelledError:
            await self._executions.stop(run_id)
            raise


def _digest(request: RunRequest) -> str:
    return hashlib.sha256(request.model_dump_json().encode()).hexdigest()
