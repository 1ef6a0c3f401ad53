"""Runs: started, listed, watched, stopped, resumed, answered."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response
from pydantic import WithJsonSchema

from agent_lab.api.dependencies import IdempotencyKey, JsonOnly, LabDep, RunId, WorkDep
from agent_lab.api.run_stream import watch
from agent_lab.api.wire.empty import EmptyRequest
from agent_lab.api.wire.errors import error_responses
from agent_lab.api.wire.events import SSE_SCHEMA
from agent_lab.api.wire.runs import AnswerRequest, ListQuery, StartRequest, accepted
from agent_lab.contracts import RunRecord
from agent_lab.errors import (
    CircuitOpenError,
    IdempotencyError,
    InvalidFlowError,
    InvalidRequestError,
    JournalMismatchError,
    MissingDependencyError,
    MissingKeyError,
    ModelNotServedError,
    OverloadedError,
    ProviderError,
    ProviderUnavailableError,
    RequestOverLimitError,
    RunStateError,
    ShuttingDownError,
    StorageError,
    UnknownFlowError,
    UnknownModelError,
    UnknownRoleError,
    UnknownRunError,
    UnknownStrategyError,
    WeightsCorruptError,
    WeightsMissingError,
    WrongMediaTypeError,
)
from agent_lab.runs.listing import RunPage
from agent_lab.storage.run_queries import ENDED

router = APIRouter(prefix="/api/runs", tags=["Runs"])

MOST_PLACES = 2**53 - 1
"""JavaScript counts no further."""
Place = Annotated[int, Query(ge=0, le=MOST_PLACES)]
LastEventId = Annotated[
    int | None,
    Header(alias="Last-Event-ID", ge=0, le=MOST_PLACES),
    # No header is JSON's null, as pydantic would have it: it is there, or it is not.
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": MOST_PLACES}),
]

_BEGIN_ERRORS = (
    WrongMediaTypeError,
    InvalidRequestError,
    InvalidFlowError,
    RunStateError,
    JournalMismatchError,
    OverloadedError,
    ProviderError,
    ModelNotServedError,
    WeightsMissingError,
    WeightsCorruptError,
    MissingDependencyError,
    MissingKeyError,
    ProviderUnavailableError,
    CircuitOpenError,
    StorageError,
    ShuttingDownError,
)
"""What the beginning of an execution can end with."""
_GO_ON_RESPONSES = error_responses(
    UnknownRunError,
    *_BEGIN_ERRORS,
    statuses={400: "invalid_request", 413: "request_too_large"},
)
"""What going on with a run can end with."""


@router.post(
    "",
    summary="Start a run",
    dependencies=[JsonOnly],
    response_model=RunRecord,
    responses={
        200: {"description": "The run has ended; one without an answer has the status `failed`."},
        202: accepted("The run goes on in the background."),
        **error_responses(
            UnknownFlowError,
            UnknownModelError,
            UnknownStrategyError,
            UnknownRoleError,
            IdempotencyError,
            RequestOverLimitError,
            *_BEGIN_ERRORS,
            statuses={400: "invalid_request", 413: "request_too_large"},
        ),
    },
)
async def start_run(
    body: StartRequest, request: Request, lab: LabDep, work: WorkDep, key: IdempotencyKey = None
) -> Response:
    """Run a flow. Without `background` the answer comes with the run's end, and leaving stops it.

    The same `Idempotency-Key` with the same body means the same run, whenever it comes.
    """
    wanted = body.to_run_request()
    if not body.background:
        running = work.start(lab.runs.run(wanted, idempotency_key=key))
        return _shown(await work.finish(running, request))
    starting = work.start(lab.runs.start(wanted, idempotency_key=key))
    run_id = await work.finish(starting, request)
    return _accepted(await lab.runs.record(run_id))


@router.get("", summary="List runs", responses=error_responses(InvalidRequestError, StorageError))
async def list_runs(query: Annotated[ListQuery, Query()], lab: LabDep) -> RunPage:
    """Runs without their turns, the latest first."""
    return await lab.runs.list(query.to_filter(), after=query.after, most=query.limit)


@router.get(
    "/{run_id}",
    summary="Show a run",
    response_model=RunRecord,
    responses=error_responses(UnknownRunError, StorageError),
)
async def show_run(run_id: RunId, lab: LabDep) -> Response:
    """A run with its turns, as far as it has come."""
    return _shown(await lab.runs.record(run_id))


@router.get(
    "/{run_id}/events",
    summary="Watch a run",
    response_class=Response,
    responses={
        200: {"content": {"text/event-stream": {"schema": SSE_SCHEMA}}},
        204: {"description": "The run has ended, and all of it is known: ask no more."},
        **error_responses(UnknownRunError, RunStateError, InvalidRequestError, StorageError),
    },
)
async def watch_run(
    run_id: RunId,
    lab: LabDep,
    work: WorkDep,
    after: Place = 0,
    last_event_id: LastEventId = None,
) -> Response:
    """The events of a run, those that were and those that come; leaving changes nothing.

    Each event's `data` is a `RunStreamEvent`, and its `id` the place in the run's log. Whoever
    lost the connection gets the rest by the header `Last-Event-ID`, which counts before `after`.
    The stream ends with `RUN_FINISHED` or `RUN_ERROR`; if it ends without them, the server has
    ended, and the next one goes on.
    """
    log = await lab.runs.log(run_id)
    known = after if last_event_id is None else last_event_id
    last = log.events[-1].seq if log.events else 0
    if known > last:
        raise RunStateError(
            f"The last event of the run `{run_id}` is `{last}`; `{known}` has not happened.",
            hint="Last-Event-ID is the `id` of an event of this run",
            details={"last": last},
        )
    if known == last and log.row.status in ENDED:
        return Response(status_code=204)
    return watch(lab.runs, run_id, known, work)


@router.post(
    "/{run_id}/cancel",
    summary="Stop a run",
    dependencies=[JsonOnly],
    response_model=RunRecord,
    responses=error_responses(
        UnknownRunError,
        WrongMediaTypeError,
        InvalidRequestError,
        RunStateError,
        StorageError,
        statuses={400: "invalid_request", 413: "request_too_large"},
    ),
)
async def cancel_run(run_id: RunId, body: EmptyRequest, lab: LabDep) -> Response:
    """Stop a run for good; what it has is kept, and it can be resumed.

    One that another process executes is asked to stop, and may still be `running` in the answer.
    """
    return _shown(await lab.runs.cancel(run_id))


@router.post(
    "/{run_id}/resume",
    summary="Go on with a run",
    status_code=202,
    dependencies=[JsonOnly],
    response_model=RunRecord,
    responses={
        202: accepted("The run goes on in the background; its finished turns are not paid again."),
        **_GO_ON_RESPONSES,
    },
)
async def resume_run(
    run_id: RunId, body: EmptyRequest, request: Request, lab: LabDep, work: WorkDep
) -> Response:
    """Go on, in the background, with a run that was stopped, or whose process has died."""
    await work.finish(work.start(lab.runs.resume(run_id)), request)
    return _accepted(await lab.runs.record(run_id))


@router.post(
    "/{run_id}/answer",
    summary="Answer a run that waits for a person",
    status_code=202,
    dependencies=[JsonOnly],
    response_model=RunRecord,
    responses={
        202: accepted("The run goes on with what was said."),
        **_GO_ON_RESPONSES,
    },
)
async def answer_run(
    run_id: RunId, body: AnswerRequest, request: Request, lab: LabDep, work: WorkDep
) -> Response:
    """Say what a person has to say for whom a run is `waiting`; it goes on in the background.

    The last event of a waiting run, an `ACTIVITY_SNAPSHOT` of the type `lab.run_waiting`, names
    the turns; their `TEXT_MESSAGE_START` has what is asked.
    """
    await work.finish(work.start(lab.runs.answer(run_id, body.text, turn=body.turn)), request)
    return _accepted(await lab.runs.record(run_id))


def _shown(record: RunRecord) -> Response:
    # Already checked: FastAPI would check every turn of it a second time.
    return Response(record.model_dump_json(), media_type="application/json")


def _accepted(record: RunRecord) -> Response:
    answer = _shown(record)
    answer.status_code = 202
    answer.headers["location"] = f"{router.prefix}/{record.id}"
    return answer
