"""One run of a flow: what is asked of it, its turns, and its record. Points in time are UTC."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, JsonValue, StrictBool

from agent_lab.contracts.base import (
    CachePolicy,
    Contract,
    DataPolicy,
    JsonObject,
    Language,
    Request,
    Seed,
    Temperature,
    TokenLimit,
)
from agent_lab.contracts.generation import Attempt, ErrorInfo, Message, Timings, Usage

RunStatus = Literal["queued", "running", "waiting", "completed", "failed", "cancelled"]
TurnStatus = Literal["ok", "failed"]
BESIDE = "@"
"""Begins the paths of what a run has done beside its flow: its baseline. No node's id begins so."""


class Turn(Contract):
    """One call of one role, with everything that was sent and that came back."""

    seq: int = 0
    """Place in the run's event log."""
    node_id: str
    path: str
    """The node's id; `node[i]` for parallel samples; `node.inner` in a flow within the flow."""
    role: str
    round: int = 1
    """The pass of the loop, as people count it."""
    sample: int = 0
    visit: int = 0
    """The node's own pass counter."""
    retry: int = 0
    from_run: str | None = None
    status: TurnStatus
    model_key: str | None = None
    """What the flow or the caller asked for; None: the default model."""
    model_resolved: str = ""
    strategy: str = ""
    source: str = ""
    messages: tuple[Message, ...] = ()
    """As they were sent."""
    sampling: JsonObject = Field(default_factory=dict)
    """max_tokens, temperature and seed, as they were asked of the gateway."""
    text: str = ""
    reasoning: str = ""
    finish_reason: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float | None = None
    started_at: datetime
    seconds: float = 0.0
    timings: Timings = Timings()
    cache_hit: bool = False
    model_warm: bool | None = None
    attempts: tuple[Attempt, ...] = ()
    fallback_from: str | None = None
    dropped_params: tuple[str, ...] = ()
    context_cut: JsonObject | None = None
    error: ErrorInfo | None = None


class Step(Contract):
    """One pass of one node, whether it asked a model or not."""

    node_id: str
    path: str
    visit: int = 0
    retry: int = 0
    started_at: datetime
    seconds: float = 0.0
    status: Literal["ok", "failed", "skipped"] = "ok"
    """`skipped`: what it was to work on had failed."""
    output: str = ""
    """What a node gave that asks no model; a turn's text is the turn's."""
    values: JsonObject = Field(default_factory=dict)
    """What it found out, as `<node>_<name>`; long texts are cut."""
    vote: JsonObject | None = None
    """What it has counted: ballots, tally, agreement, changes of answers, stop rules."""
    next: tuple[str, ...] = ()
    """The nodes to which an edge, or a loop's way back, was taken."""


class Attachment(Contract):
    """A document that every role sees beside the task."""

    name: str
    text: str


class FlowBudget(Contract):
    """What all turns of a run together may take; None: no limit.

    A call whose worst case does not fit is refused before it is made.
    """

    calls: Annotated[int, Field(ge=0, strict=True)] | None = None
    """Calls of models, each attempt counted."""
    tokens: Annotated[int, Field(ge=0, strict=True)] | None = None
    """Tokens read and written."""
    seconds: Annotated[float, Field(gt=0, strict=True)] | None = None
    """From the start of the run; a call that is being answered then is cut off."""
    cost_usd: Annotated[float, Field(ge=0, strict=True)] | None = None
    """US dollars."""


class Budget(FlowBudget):
    """What a caller wants a run to take at the most."""

    allow_unpriced: StrictBool = False
    """Whether models whose price is unknown may answer; their calls count as free."""


class RunRequest(Request):
    """What a caller asks of a run."""

    flow: str
    input: str
    inputs: Mapping[str, JsonValue] = {}
    """Values of the flow's named inputs; what is not given has its default."""
    attachments: tuple[Attachment, ...] = ()
    model: str | None = None
    """For every role that has no model of its own."""
    models: Mapping[str, str] = {}
    """Role to model key; overrides the flow."""
    strategy: str | None = None
    max_tokens: TokenLimit | None = None
    temperature: Temperature | None = None
    seed: Seed | None = None
    lang: Language | None = None
    """None: the language of the input."""
    budget: Budget | None = None
    data_policy: DataPolicy | None = None
    """Whether text may leave this machine; None: as the flow and the configuration say."""
    cache: CachePolicy = "default"
    """Whether stored answers will do; `default`: where a model is asked at temperature 0."""
    baseline: Literal["self_consistency"] | None = None
    """What the run is compared with: votes of its best single member, for as many tokens."""


class RunRecord(Contract):
    """A whole run: what `--json`, Python and the saved file show."""

    id: str
    parent: JsonObject | None = None
    owner: str | None = None
    flow: str
    flow_version: str
    """Digest of the flow's definition."""
    status: RunStatus
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    input: str
    lang: Language
    seed: int
    options: JsonObject = Field(default_factory=dict)
    output: str = ""
    outputs: JsonObject = Field(default_factory=dict)
    """The flow's named outputs."""
    summary: str = ""
    stop_reason: str = ""
    degraded: tuple[str, ...] = ()
    """What went wrong on the way to an answer all the same."""
    steps: tuple[Step, ...] = ()
    """The path: every pass of every node, in the order in which they ended."""
    turns: tuple[Turn, ...] = ()
    issues: tuple[JsonObject, ...] = ()
    ballots: tuple[JsonObject, ...] = ()
    usage: Usage = Usage()
    """Of all turns, those of a baseline included."""
    price_table: str = ""
    """Name and version of the table that prices came from; empty: the registry's own figures."""
    metrics: JsonObject = Field(default_factory=dict)
    baseline: JsonObject | None = None
    receipt: JsonObject | None = None
    error: ErrorInfo | None = None
    """Why the run failed."""
