"""The one way to start a run, for every caller."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ulid import ULID

from agent_lab.contracts import ErrorInfo, JsonObject, Language, RunRecord, RunRequest
from agent_lab.errors import (
    AgentLabError,
    StorageError,
    UnknownFlowError,
)
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.flows.language import detect_language
from agent_lab.observability.logger import log_context
from agent_lab.orchestrator.cast import strategies, wishes
from agent_lab.orchestrator.flow_runner import check_request, run_flow
from agent_lab.orchestrator.graph_builder import GraphBuilder
from agent_lab.orchestrator.outcome import FlowOutcome, issues_of
from agent_lab.orchestrator.run_context import SEEDS, RunContext, utc_now
from agent_lab.providers.normalisation import ResolvedModel
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.runs.events import InMemoryRecorder, Listener
from agent_lab.runs.files import check_writable
from agent_lab.runs.history import SavedRuns
from agent_lab.runs.record import ELSEWHERE, fold, record_path, save

logger = logging.getLogger(__name__)


class RunService:
    """Runs flows, records and saves them.

    Args:
        gateway: Who answers.
        flows: The flows that can be run, by name.
        outputs: Folder of the saved runs.
        secret: The installation's secret, for the tags of fences.
        now: The clock.
        builder: Builds the graphs, with the types of node that flows may use; None: its own.
    """

    def __init__(
        self,
        gateway: ProviderGateway,
        flows: Mapping[str, FlowConfig],
        *,
        outputs: Path,
        secret: bytes,
        now: Callable[[], datetime] = utc_now,
        builder: GraphBuilder | None = None,
    ) -> None:
        self._gateway = gateway
        self._flows = flows
        self._outputs = outputs
        self._secret = secret
        self._now = now
        self._builder = builder or GraphBuilder(flows=flows)
        self._history = SavedRuns(outputs)

    async def run(
        self,
        request: RunRequest,
        listener: Listener | None = None,
        *,
        owner: str | None = None,
    ) -> RunRecord:
        """Run a flow to its end and save its record.

        What is wrong with the request is said before anything is computed or written. A run that
        fails later is a record with the status `failed`; one that is cancelled is saved with
        its finished turns.

        Args:
            request: Flow, input and wishes.
            listener: Shown every event as it happens; it must not raise.
            owner: Whose run it is; None: whoever uses this machine without a name.

        Raises:
            InvalidRequestError: The input is empty, or a value of the flow's inputs is wrong.
            InvalidFlowError: The flow cannot run.
            ConfigurationError: A flow, role, model or strategy is unknown, or weights are missing.
            StorageError: The folder of the saved runs cannot be written.
        """
        flow, plan, models = await self._prepare(request)
        run_id = str(ULID())
        lang = request.lang or detect_language(request.input)
        seed = secrets.randbelow(SEEDS) if request.seed is None else request.seed
        recorder = InMemoryRecorder(run_id, self._now, listener)
        context = RunContext(
            gateway=self._gateway,
            request=request,
            seed=seed,
            secret=self._secret,
            recorder=recorder,
            models={key: model.entry.key for key, model in models.items()},
            owner=owner,
            history=self._history,
            resources=self._gateway.resources,
            now=self._now,
        )
        started = {
            **_started(run_id, flow, request, lang, seed, owner),
            "cast": [_member(role, models[key]) for role, key in self._wishes(plan, request)],
        }
        started["run"]["price_table"] = self._gateway.price_table(models.values())
        with log_context(run_id=run_id):
            logger.info("The flow `%s` starts", flow.name)
            await recorder.record("RUN_STARTED", started)
            try:
                outcome = await run_flow(
                    flow, context, lang=lang, request_id=run_id, builder=self._builder
                )
                await self._finish(recorder, outcome)
            except asyncio.CancelledError:
                await recorder.record("RUN_ERROR", _cancelled())
                self._saved(recorder)
                raise
            except AgentLabError as error:
                await recorder.record("RUN_ERROR", _failed(ErrorInfo.of(error)))
            except Exception as error:
                logger.exception("The run ended by a fault of the lab itself")
                bug = ErrorInfo(code="internal_error", message=repr(error), http_status=500)
                await recorder.record("RUN_ERROR", _failed(bug))
                self._saved(recorder)
                raise
            record = self._saved(recorder)
            logger.info("The run is %s: %s", record.status, record.summary)
        return record

    def record_path(self, flow: str, run_id: str) -> Path:
        """Where the record of a run is saved."""
        return record_path(self._outputs, flow, run_id)

    def plan(self, flow: str, inputs: Mapping[str, Any] | None = None) -> FlowPlan:
        """A flow with its inputs resolved.

        Raises:
            UnknownFlowError: There is no such flow.
            InvalidFlowError: It cannot run.
            InvalidRequestError: An input has a value that it cannot have.
        """
        if flow not in self._flows:
            raise UnknownFlowError(flow, list(self._flows), "agent-lab flows list")
        return self._builder.prepare(self._flows[flow], inputs)[0]

    async def _prepare(
        self, request: RunRequest
    ) -> tuple[FlowConfig, FlowPlan, dict[str | None, ResolvedModel]]:
        """The flow, its plan, and the model that will answer for each wish of it."""
        plan = self.plan(request.flow, request.inputs)
        check_request(request, plan, self._builder.catalogue())
        keys = [key for _, key in self._wishes(plan, request)]
        models = await self._gateway.prepare(keys, strategies(plan, request))
        check_writable(self.record_path(plan.name, "any").parent, ELSEWHERE)
        return self._flows[request.flow], plan, models

    def _wishes(self, plan: FlowPlan, request: RunRequest) -> list[tuple[str, str | None]]:
        """Each role with the model key that is wished for it."""
        # Every node counts: two nodes of one role may have models of their own.
        return list(dict.fromkeys(wishes(plan, request, self._builder.catalogue())))

    async def _finish(self, recorder: InMemoryRecorder, outcome: FlowOutcome) -> None:
        if outcome.error is not None:
            await recorder.record("RUN_ERROR", _failed(outcome.error))
            return
        result = {
            "status": "completed",
            "stop_reason": outcome.stop_reason,
            "output": outcome.output,
            "outputs": dict(outcome.outputs),
            "issues": issues_of(outcome),
            "degraded": list(outcome.degraded),
        }
        await recorder.record("RUN_FINISHED", {"result": result})

    def _saved(self, recorder: InMemoryRecorder) -> RunRecord:
        record = fold(recorder.events)
        try:
            save(record, self._outputs)
        except StorageError as error:
            # The answer is paid for: it is worth more than its file.
            logger.warning("The run is not saved: %s", error.message)
            degraded = (*record.degraded, f"The run is not saved: {error.message}")
            return record.model_copy(update={"degraded": degraded})
        return record


def _member(role: str, model: ResolvedModel) -> JsonObject:
    return {"role": role, "model": model.entry.key, "fallback_from": model.fallback_from}


def _started(
    run_id: str,
    flow: FlowConfig,
    request: RunRequest,
    lang: Language,
    seed: int,
    owner: str | None,
) -> JsonObject:
    options = request.model_dump(mode="json", exclude={"flow", "input", "lang", "seed"})
    run = {
        "owner": owner,
        "flow": flow.name,
        "flow_version": flow.version,
        "input": request.input,
        "lang": lang,
        "seed": seed,
        "options": options,
    }
    return {"runId": run_id, "run": run}


def _failed(error: ErrorInfo) -> JsonObject:
    result = {"status": "failed", "stop_reason": error.code, "error": error.model_dump(mode="json")}
    return {"code": error.code, "message": error.message, "result": result}


def _cancelled() -> JsonObject:
    result = {"status": "cancelled", "stop_reason": "cancelled"}
    return {"code": "cancelled", "message": "The run was cancelled.", "result": result}
