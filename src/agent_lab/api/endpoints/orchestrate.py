"""Orchestrated mode: `POST /api/orchestrate`, and the first lab's path."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from agent_lab.api.dependencies import IdempotencyKey, JsonOnly, LabDep, RequestId, WorkDep
from agent_lab.api.endpoints.inference import GENERATION_ERRORS
from agent_lab.api.error_handlers import ORCHESTRATE
from agent_lab.api.run_stream import open_stream
from agent_lab.api.wire.errors import REQUEST_ID, error_responses
from agent_lab.api.wire.events import SSE_SCHEMA
from agent_lab.api.wire.orchestrate import (
    OrchestrateErrorBody,
    OrchestrateRequest,
    OrchestrateResponse,
)
from agent_lab.contracts import ErrorInfo, JsonObject, RunRecord, RunRequest
from agent_lab.errors import (
    IdempotencyError,
    InvalidFlowError,
    InvalidRequestError,
    JournalMismatchError,
    RequestOverLimitError,
    RunFailedError,
    RunStateError,
    StorageError,
    TurnLostError,
    UnknownFlowError,
    UnknownRoleError,
)
from agent_lab.flows.inputs import Inputs
from agent_lab.lab import Lab
from agent_lab.orchestrator.flow_metrics import build_api_response, build_error_response

router = APIRouter(tags=["Orchestrated mode"])

_STOPPED = ErrorInfo(
    code="cancelled",
    message="The run was cancelled before it had an answer.",
    hint="POST /api/runs/{id}/resume",
    http_status=409,
)


async def orchestrate(
    body: OrchestrateRequest,
    request: Request,
    lab: LabDep,
    work: WorkDep,
    request_id: RequestId,
    key: IdempotencyKey = None,
) -> Response:
    """Run a flow on a question and answer with the whole debate. Leaving stops the run.

    With `stream` the answer is `text/event-stream`: each event's `data` is a `RunStreamEvent`,
    and the last one, `RUN_FINISHED` or `RUN_ERROR`, carries in `answer` what the plain answer
    would have been.
    """

    def answer(record: RunRecord) -> JsonObject:
        return _answer(record, body, wanted, lab, request_id)

    wanted = body.to_run_request(_inputs(lab, body))
    if body.stream:
        _refuse_key(key)
        return await open_stream(lab.runs, wanted, work, answer)
    running = work.start(lab.runs.run(wanted, idempotency_key=key))
    record = await work.finish(running, request)
    error = _error(record)
    return JSONResponse(answer(record), 200 if error is None else error.http_status)


def _refuse_key(key: str | None) -> None:
    if key is not None:
        raise InvalidRequestError(
            "`Idempotency-Key` goes with whole answers: a `stream` cannot be given twice.",
            hint='POST /api/runs with the key and "background": true, then GET '
            "/api/runs/{id}/events",
        )


def _error(record: RunRecord) -> ErrorInfo | None:
    """Why there is no answer; None: there is one."""
    if record.status == "cancelled":
        return _STOPPED.model_copy(update={"hint": f"POST /api/runs/{record.id}/resume"})
    return record.error


def _inputs(lab: Lab, body: OrchestrateRequest) -> Inputs:
    """The inputs of the flow; an unknown flow has none, and the run says that it is unknown."""
    return lab.flows[body.flow_type].inputs if body.flow_type in lab.flows else {}


def _answer(
    record: RunRecord, body: OrchestrateRequest, wanted: RunRequest, lab: Lab, request_id: str
) -> JsonObject:
    flow, verbose = lab.runs.plan(record.flow, wanted.inputs), body.verbose
    error = _error(record)
    if error is None:
        answer = build_api_response(record, flow, verbose=verbose)
    else:
        answer = build_error_response(error, request_id, record, flow, verbose=verbose)
    dropped = {*answer["dropped_params"], *body.dropped(_inputs(lab, body))}
    return {**answer, "dropped_params": sorted(dropped)}


for path in ("/api/orchestrate", "/orchestrate", "/api/orchestrate/", "/orchestrate/"):
    router.add_api_route(
        path,
        orchestrate,
        name=ORCHESTRATE,
        summary="Run a flow on a question",
        methods=["POST"],
        dependencies=[JsonOnly],
        response_model=OrchestrateResponse,
        responses={
            200: {"content": {"text/event-stream": {"schema": SSE_SCHEMA}}},
            **error_responses(
                UnknownFlowError,
                UnknownRoleError,
                *GENERATION_ERRORS,
                InvalidFlowError,
                IdempotencyError,
                RunStateError,
                JournalMismatchError,
                RunFailedError,
                TurnLostError,
                StorageError,
                RequestOverLimitError,
                statuses={413: "request_too_large"},
                body=OrchestrateErrorBody,
                around={"success": False, "id": REQUEST_ID, "timestamp": "2026-11-24T09:30:00Z"},
            ),
        },
        deprecated=not path.startswith("/api"),
        include_in_schema=not path.endswith("/"),
    )
