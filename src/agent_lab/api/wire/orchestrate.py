"""Orchestrated mode: a flow on a question, with the first lab's field names."""

from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, StrictBool
from pydantic_core import PydanticCustomError

from agent_lab.api.wire.errors import ErrorDetail
from agent_lab.api.wire.examples import BALLOT, BASELINE, ORCHESTRATE, ORCHESTRATE_ANSWER, VOTE
from agent_lab.api.wire.names import FlowName, Prompt
from agent_lab.api.wire.votes import CountedBallot
from agent_lab.api.wire.wishes import Wishes
from agent_lab.contracts import (
    Contract,
    Message,
    RunRequest,
    RunStatus,
    Usage,
)
from agent_lab.contracts.baseline import Baseline
from agent_lab.deliberation.issues import Issue
from agent_lab.deliberation.votes import Vote
from agent_lab.flows.inputs import Inputs, unfit


def _refuse_retrieval(value: object) -> object:
    if value:
        raise PydanticCustomError(
            "no_retrieval",
            "this lab retrieves no documents; send them with the question, as `attachments`",
        )
    return value


NoRetrieval = Annotated[
    dict[str, JsonValue],
    AfterValidator(_refuse_retrieval),
    Field(json_schema_extra={"maxProperties": 0}, deprecated=True),
]
NoRetriever = Annotated[
    str | None,
    AfterValidator(_refuse_retrieval),
    Field(json_schema_extra={"enum": ["", None]}, deprecated=True),
]


class _Switch(NamedTuple):
    """What a switch of the first lab is today."""

    input: str
    values: dict[bool, Any]
    """What on and off make of the input; None: its default."""


FIRST_LAB_INPUTS = {
    "enable_history": _Switch("read_history", {True: True, False: False}),
    "retry_on_error": _Switch("retries", {True: None, False: 0}),
}


class OrchestrateRequest(Wishes):
    """What is asked of a flow. Only `prompt` is required; unknown fields are refused."""

    model_config = ConfigDict(json_schema_extra={"examples": [ORCHESTRATE]})

    prompt: Prompt
    flow_type: FlowName = "challenge"
    stream: StrictBool = False
    """Answer with the events of the run as they happen (`text/event-stream`)."""
    verbose: StrictBool = False
    """With uncut outputs, and the prompts as they were sent."""
    agents: list[JsonValue] = Field(default_factory=list, deprecated=True)
    """Of the first lab: a flow names its roles; listed in `dropped_params`."""
    tools: list[JsonValue] = Field(default_factory=list, deprecated=True)
    """Of the first lab: no flow takes tools; listed in `dropped_params`."""
    enable_history: StrictBool | None = Field(None, deprecated=True)
    """Of the first lab: sets the input `read_history`, where the flow has one that `inputs` leaves
    open; else true is listed in `dropped_params`.
    """
    retry_on_error: StrictBool | None = Field(None, deprecated=True)
    """Of the first lab: false sets the input `retries` to 0 and true leaves its default, where the
    flow has one that `inputs` leaves open; else true is listed in `dropped_params`.
    """
    rag_config: NoRetrieval = Field(default_factory=dict)
    """Of the first lab: refused unless it is empty."""
    retrieval_config: NoRetrieval = Field(default_factory=dict)
    """Of the first lab: refused unless it is empty."""
    embedding_model: NoRetriever = None
    """Of the first lab: refused unless it is empty."""
    vector_store: NoRetriever = None
    """Of the first lab: refused unless it is empty."""

    def to_run_request(self, inputs: Inputs) -> RunRequest:
        """What the lab is asked to run.

        Args:
            inputs: Those of the flow.
        """
        taken = set(type(self).model_fields) & set(RunRequest.model_fields)
        fields = {name: getattr(self, name) for name in taken}
        fields["inputs"] = {**self._of_the_first_lab(inputs), **self.inputs}
        return RunRequest.parse({"flow": self.flow_type, "input": self.prompt, **fields})

    def dropped(self, inputs: Inputs) -> list[str]:
        """The first lab's fields that were given and change nothing."""
        given = self.model_dump(include={"agents", "tools", *FIRST_LAB_INPUTS})
        return [
            field
            for field, value in given.items()
            if value and not self._is_input(field, inputs, value)
        ]

    def _of_the_first_lab(self, inputs: Inputs) -> dict[str, Any]:
        """The inputs that the first lab's fields stand for."""
        given = self.model_dump(include=set(FIRST_LAB_INPUTS), exclude_none=True)
        chosen = {
            FIRST_LAB_INPUTS[field].input: FIRST_LAB_INPUTS[field].values[wish]
            for field, wish in given.items()
            if self._is_input(field, inputs, wish)
        }
        return {name: value for name, value in chosen.items() if value is not None}

    def _is_input(self, field: str, inputs: Inputs, wish: Any) -> bool:
        """Whether a field of the first lab stands for an input that the caller has left open."""
        if field not in FIRST_LAB_INPUTS:
            return False
        name, values = FIRST_LAB_INPUTS[field]
        if name in self.inputs or name not in inputs:
            return False
        return values[wish] is None or not unfit(inputs[name], values[wish])


class NodeView(Contract):
    """What a node of the flow did; times are seconds from the start of the run."""

    id: str
    name: str
    type: str
    role: str
    status: Literal["completed", "failed", "skipped"]
    """`skipped`: it was not this node's turn."""
    start_time: float = 0.0
    end_time: float = 0.0
    timestamp: datetime | None = None
    """When its last turn began."""
    output: str
    """Its last text; the first 200 characters unless `verbose`."""
    full_content_length: int = 0
    """Characters of the whole text."""
    turns: int = 0
    model: str = ""
    fallback_from: str | None = None
    strategy: str = ""
    tokens_generated: int = 0
    error: str | None = None
    prompt: tuple[Message, ...] = ()
    """The messages as they were sent; only with `verbose`."""


class EdgeView(Contract):
    """A way from one node to another."""

    source: str
    target: str


class FlowRunView(Contract):
    """The flow as it was run."""

    name: str
    nodes: tuple[NodeView, ...]
    edges: tuple[EdgeView, ...]


class RunMetrics(Contract):
    """Figures of the whole run, its baseline included; times are seconds, summed over its turns."""

    total_time: float
    total_time_sec: float = Field(deprecated=True)
    """The first lab's second name of `total_time`."""
    tokens_generated: int
    models_used: tuple[str, ...]
    cache_hit: bool
    model_warm_rate: float | None
    """Share of the turns that found their model loaded; null where nobody knows."""
    load_time: float
    inference_time: float
    workers_executed: tuple[str, ...]
    """Nodes of the flow, in the order in which their passes ended."""
    retries: int
    quality_score: float | None = None
    """A validator's score; null where the flow has none."""


class OrchestrateResponse(Contract):
    """A finished run."""

    model_config = ConfigDict(json_schema_extra={"examples": [ORCHESTRATE_ANSWER]})

    id: str
    """The run's id: its record is saved under this name."""
    timestamp: datetime
    success: bool
    status: RunStatus
    output: str
    model: str
    """The model whose text is the answer."""
    flow: FlowRunView
    metrics: RunMetrics
    usage: Usage
    """Of all turns, those of the baseline included."""
    stop_reason: str
    """Why the run ended; `completed` where no rule stopped it."""
    outputs: dict[str, JsonValue]
    """The flow's named outputs."""
    issues: tuple[Issue, ...]
    """What was held against the drafts, and what became of it."""
    votes: tuple[Vote, ...] = Field((), examples=[[VOTE]])
    """What the nodes of the flow have counted, each pass once."""
    ballots: tuple[CountedBallot, ...] = Field((), examples=[[BALLOT]])
    """The ballots of all votes."""
    baseline: Baseline | None = Field(None, examples=[BASELINE])
    """What the run is compared with; null: nobody asked for that."""
    degraded: tuple[str, ...]
    """What went wrong on the way to an answer all the same."""
    dropped_params: tuple[str, ...]
    """What was asked for and changed nothing."""
    summary: str


class OrchestrateErrorBody(Contract):
    """No answer: why, and how far the run came if one was started."""

    success: Literal[False]
    id: str
    """The run's id, or that of the request if no run was started."""
    timestamp: datetime
    error: ErrorDetail
    status: RunStatus | None = None
    output: str = ""
    model: str = ""
    flow: FlowRunView | None = None
    metrics: RunMetrics | None = None
    usage: Usage | None = None
    stop_reason: str = ""
    outputs: dict[str, JsonValue] = Field(default_factory=dict)
    issues: tuple[Issue, ...] = ()
    votes: tuple[Vote, ...] = ()
    ballots: tuple[CountedBallot, ...] = ()
    baseline: Baseline | None = None
    degraded: tuple[str, ...] = ()
    dropped_params: tuple[str, ...] = ()
    summary: str = ""
