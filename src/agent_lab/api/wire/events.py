"""The events of a run over HTTP: AG-UI 1.0 types, as server-sent events."""

import json
from typing import Annotated, Literal

from fastapi.sse import format_sse_event
from pydantic import ConfigDict, Field, JsonValue, TypeAdapter
from pydantic.alias_generators import to_camel

from agent_lab.api.wire.orchestrate import OrchestrateErrorBody, OrchestrateResponse
from agent_lab.contracts import (
    Contract,
    ErrorInfo,
    JsonObject,
    Language,
    Message,
    RunStatus,
    Step,
    Turn,
)
from agent_lab.contracts.baseline import Baseline
from agent_lab.deliberation.issues import Issue
from agent_lab.deliberation.votes import Vote
from agent_lab.runs.events import RunEvent, as_ag_ui


class WireEvent(Contract):
    """What every event has."""

    model_config = ConfigDict(alias_generator=to_camel)

    timestamp: int
    """Milliseconds since 1970, UTC."""


class RunHeader(Contract):
    """What is run."""

    owner: str | None
    """Whose run it is; null: whoever uses this machine without a name."""
    flow: str
    flow_version: str
    input: str
    lang: Language
    seed: int
    options: dict[str, JsonValue]
    price_table: str


class CastMember(Contract):
    """Who is going to speak."""

    role: str
    model: str
    fallback_from: str | None


class RunStarted(WireEvent):
    """The first event."""

    type: Literal["RUN_STARTED"]
    thread_id: str
    run_id: str
    protocol_version: str
    run: RunHeader
    cast: tuple[CastMember, ...]


class StepStarted(WireEvent):
    """A node begins."""

    type: Literal["STEP_STARTED"]
    step_name: str


class FinishedStep(Step):
    """One pass of one node, whether it asked a model or not."""

    vote: Vote | None = None  # type: ignore[assignment]  # the record's JSON, described
    """What it has counted: ballots, tally, agreement, changes of answers, stop rules."""


class StepFinished(WireEvent):
    """A node has ended."""

    type: Literal["STEP_FINISHED"]
    step_name: str
    step: FinishedStep


class TurnMetadata(Contract):
    """What a turn is about to be asked."""

    node: str
    round: int
    """The pass of its loop, as people count it."""
    visit: int
    """The node's own pass counter."""
    retry: int
    """How often the same answer was asked for before."""
    model: str | None
    messages: tuple[Message, ...]


class TextMessageStart(WireEvent):
    """A turn begins; a second one of the same turn voids the pieces that came after the first."""

    type: Literal["TEXT_MESSAGE_START"]
    message_id: str
    role: Literal["assistant"]
    name: str
    """The role that speaks."""
    metadata: TurnMetadata


class TextMessageContent(WireEvent):
    """A piece of a turn; it has no `id`, since it is not kept."""

    type: Literal["TEXT_MESSAGE_CONTENT"]
    message_id: str
    delta: str
    offset: int
    """Characters of the turn's answer, or of its reasoning, before this piece: whoever comes back
    within a turn is shown it from its beginning.
    """
    reasoning: bool
    """Whether the model is thinking, not answering."""


class TextMessageEnd(WireEvent):
    """A turn has ended."""

    type: Literal["TEXT_MESSAGE_END"]
    message_id: str
    turn: Turn


class ActivitySnapshot(WireEvent):
    """Something that belongs to no turn."""

    type: Literal["ACTIVITY_SNAPSHOT"]
    message_id: str
    activity_type: Literal["lab.run_resumed", "lab.run_waiting", "lab.decision"]
    """`lab.run_resumed`: another execution goes on with the run, and asks for none of the `turns`
    that it found; `lab.run_waiting`: only people can go on, by taking the `turns` that are named;
    `lab.decision`: what was decided or measured under `key`, and must not come out otherwise in
    another execution.
    """
    content: dict[str, JsonValue]


class RunResult(Contract):
    """How a run ended."""

    status: RunStatus
    stop_reason: str
    output: str = ""
    outputs: dict[str, JsonValue] = Field(default_factory=dict)
    """The flow's named outputs."""
    issues: tuple[Issue, ...] = ()
    """What was held against the drafts, and what became of it."""
    baseline: Baseline | None = None
    """What the run is compared with; null: nobody asked for that."""
    degraded: tuple[str, ...] = ()
    error: ErrorInfo | None = None


class RunFinished(WireEvent):
    """The last event of a run with an answer."""

    type: Literal["RUN_FINISHED"]
    thread_id: str
    run_id: str
    result: RunResult
    answer: OrchestrateResponse | None = None
    """What the plain answer of `POST /api/orchestrate` would have been; only its stream has it."""


class RunError(WireEvent):
    """The last event of a run without an answer."""

    type: Literal["RUN_ERROR"]
    thread_id: str
    run_id: str
    code: str
    message: str
    resumable: bool
    """Whether `POST /api/runs/{id}/resume` can go on with the run."""
    result: RunResult
    answer: OrchestrateErrorBody | None = None
    """What the plain answer of `POST /api/orchestrate` would have been; only its stream has it,
    unless its caller or the server stopped the run.
    """


RunStreamEvent: TypeAdapter[WireEvent] = TypeAdapter(
    Annotated[
        RunStarted
        | StepStarted
        | StepFinished
        | TextMessageStart
        | TextMessageContent
        | TextMessageEnd
        | ActivitySnapshot
        | RunFinished
        | RunError,
        Field(discriminator="type"),
    ]
)
"""Any event of a stream: the `data` of one server-sent event."""


SSE_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/RunStreamEvent"},
        },
        "event": {"type": "string"},
        "id": {"type": "string", "description": "Place in the run's log; pieces have none."},
        "retry": {"type": "integer", "minimum": 0},
    },
}
"""One server-sent event, as OpenAPI describes it."""


def encode(event: RunEvent) -> bytes:
    """Write an event as AG-UI's clients read it; its place in the log is the `id`."""
    text = json.dumps(as_ag_ui(event), ensure_ascii=False)
    return format_sse_event(data_str=text, id=None if event.seq is None else str(event.seq))
