"""One execution of a run: from its first step, or where an earlier one broke off, to its end."""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from agent_lab.contracts import ErrorInfo, JsonObject, RunRecord
from agent_lab.errors import AgentLabError, RunTakenOverError, RunWaitingError, StorageError
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.observability.logger import log_context
from agent_lab.orchestrator.flow_metrics import total_usage
from agent_lab.orchestrator.flow_runner import run_flow
from agent_lab.orchestrator.graph_builder import GraphBuilder
from agent_lab.orchestrator.outcome import FlowOutcome, issues_of
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.orchestrator.run_recorder import EventType
from agent_lab.runs.journal import Journal
from agent_lab.runs.live import LiveRun
from agent_lab.runs.log import RunLog
from agent_lab.runs.record import Progress, record_of, save
from agent_lab.runs.run_header import RunHeader

logger = logging.getLogger(__name__)

CANCELLED: Final = ErrorInfo(code="cancelled", message="The run was cancelled.")
INTERRUPTED: Final = ErrorInfo(
    code="interrupted",
    message="The process that executed the run has ended, and so has whoever waited for it.",
    hint="agent-lab runs resume RUN_ID",
)


class Ending(NamedTuple):
    """How a run ends, as its last event says it."""

    event_type: EventType
    payload: JsonObject


class Execution:
    """Executes one run once.

    Args:
        header: The run.
        flow: Its flow, as it was when the run was started.
        journal: Records it.
        live: Shows it.
        earlier: What earlier executions have left; None: this is the first.
        has_started: Whether the log says already that it starts.
    """

    def __init__(
        self,
        header: RunHeader,
        flow: FlowConfig,
        journal: Journal,
        live: LiveRun,
        earlier: RunLog | None = None,
        *,
        has_started: bool = False,
    ) -> None:
        self.header = header
        self.flow = flow
        self.journal = journal
        self.live = live
        self.done: asyncio.Future[RunRecord | None] = asyncio.get_running_loop().create_future()
        """The record; None: it has not ended, and is not executed here any more."""
        self._earlier = earlier
        self._has_started = has_started
        self._task: asyncio.Task[Any] | None = None
        self._stop: ErrorInfo | None = None
        self._released = False

    async def run(self, context: RunContext, builder: GraphBuilder, outputs: Path) -> None:
        """Execute the run; what came of it is in `done`."""
        self._task = asyncio.current_task()
        with log_context(run_id=self.header.id):
            try:
                self.done.set_result(await self._run(context, builder, outputs))
            except (StorageError, RunTakenOverError, asyncio.CancelledError) as error:
                self._broke_off(error)
            finally:
                self.live.close()

    def cancel(self, why: ErrorInfo) -> None:
        """Stop the run for good: this is how it ends."""
        self._stop = why
        if self._task is not None:
            self._task.cancel()

    async def cancel_unstarted(self, why: ErrorInfo, outputs: Path) -> None:
        """Cancel the run before its turn has come."""
        self.start()
        try:
            ending = stopped(why)
            self.done.set_result(
                await conclude(self.header, self.journal, ending, outputs, self._earlier)
            )
        except (StorageError, RunTakenOverError) as error:
            self._broke_off(error)
        finally:
            self.live.close()

    @property
    def elapsed_s(self) -> float:
        """Seconds for which earlier executions have executed the run."""
        return 0.0 if self._earlier is None else self._earlier.seconds()

    def release(self) -> None:
        """Stop executing it, and leave the run to whoever goes on with it."""
        self._released = True
        if self._task is not None:
            self._task.cancel()
        elif not self.done.done():
            self.done.set_result(None)
            self.live.close()

    async def _run(
        self, context: RunContext, builder: GraphBuilder, outputs: Path
    ) -> RunRecord | None:
        self.start()
        try:
            if self._stop is not None:
                raise asyncio.CancelledError
            logger.info("The flow `%s` starts", self.flow.name)
            outcome = await run_flow(
                self.flow,
                context,
                lang=self.header.lang,
                request_id=self.header.id,
                builder=builder,
            )
            ending = _of_outcome(outcome)
        except asyncio.CancelledError:
            if self._released or self._stop is None:
                raise
            ending = stopped(self._stop)
        except (StorageError, RunTakenOverError):
            raise
        except RunWaitingError:
            await self.journal.wait()
            logger.info("The run waits for a person")
            return None
        except AgentLabError as error:
            ending = failed(ErrorInfo.of(error), resumable=True)
        except Exception as bug:
            logger.exception("The run ended by a fault of the lab itself")
            described = ErrorInfo(code="internal_error", message=repr(bug), http_status=500)
            ending = failed(described, resumable=True)
        return await conclude(self.header, self.journal, ending, outputs, self._earlier)

    def start(self) -> None:
        """Say that the run starts, or goes on."""
        if self._has_started:
            return
        self._has_started = True
        if self._earlier is not None and self._earlier.events:
            self.journal.resume(self._earlier.executions())
        else:
            self.journal.start()

    def _broke_off(self, error: BaseException) -> None:
        """Nothing can be written any more, by this process or at all."""
        if isinstance(error, StorageError):
            logger.error("The run breaks off, and can be resumed: %s", error.message)
            self.done.set_exception(error)
            self.done.exception()  # seen: there may be nobody who waits
            return
        with suppress(StorageError, RunTakenOverError):
            self.journal.commit()  # whoever goes on with it has all that was paid for
        logger.info("The run is left to others")
        self.done.set_result(None)


async def conclude(
    header: RunHeader, journal: Journal, ending: Ending, outputs: Path, earlier: RunLog | None
) -> RunRecord:
    """End a run: in the log, and in its file.

    Args:
        header: The run.
        journal: Of this execution.
        ending: How it ends.
        outputs: Folder of the saved runs.
        earlier: What earlier executions have left; None: this is the first.

    Raises:
        StorageError: The end cannot be written.
        RunTakenOverError: The run is somebody else's.
    """
    usage = total_usage(journal.turns)
    committed = journal.end(ending.event_type, ending.payload, usage)
    result, begin, end = ending.payload["result"], journal.begun_at, journal.last_at
    seconds = (end - begin).total_seconds() if begin and end else 0.0
    progress = Progress(
        status=result["status"],
        turns=journal.turns,
        steps=journal.steps,
        seconds=seconds + (0.0 if earlier is None else earlier.seconds()),
        usage=usage,
        started_at=(None if earlier is None else earlier.row.started_at) or begin,
        ended_at=end,
        result=dict(result),
    )
    record = record_of(header, progress)
    try:
        await committed
    except RunTakenOverError:
        raise  # the file is that of whoever goes on with the run
    except BaseException:
        _saved(record, outputs)
        raise
    record = _saved(record, outputs)
    logger.info("The run is %s: %s", record.status, record.summary)
    return record


def _saved(record: RunRecord, outputs: Path) -> RunRecord:
    try:
        save(record, outputs)
    except StorageError as error:
        # The answer is paid for, and in the database: it is worth more than its file.
        logger.warning("The run's file is not written: %s", error.message)
        degraded = (*record.degraded, f"The run is not saved: {error.message}")
        return record.model_copy(update={"degraded": degraded})
    return record


def _of_outcome(outcome: FlowOutcome) -> Ending:
    if outcome.error is not None:
        return failed(outcome.error, resumable=False)
    result = {
        "status": "completed",
        "stop_reason": outcome.stop_reason,
        "output": outcome.output,
        "outputs": dict(outcome.outputs),
        "issues": list(issues_of(outcome)),
        "degraded": list(outcome.degraded),
        "baseline": outcome.baseline,
    }
    return Ending("RUN_FINISHED", {"result": result})


def failed(error: ErrorInfo, *, resumable: bool) -> Ending:
    """The end of a run without an answer.

    Args:
        error: Why there is none.
        resumable: Whether it could come out otherwise: turns that failed are not asked again.
    """
    result = {"status": "failed", "stop_reason": error.code, "error": error.model_dump(mode="json")}
    said = {"code": error.code, "message": error.message, "resumable": resumable}
    return Ending("RUN_ERROR", {**said, "result": result})


def stopped(why: ErrorInfo) -> Ending:
    """The end of a run that was stopped, which another execution can take back."""
    result = {"status": "cancelled", "stop_reason": why.code}
    said = {"code": why.code, "message": why.message, "resumable": True}
    return Ending("RUN_ERROR", {**said, "result": result})
