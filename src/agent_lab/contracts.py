"""The frozen models that cross layers: requests, results, turns and the run record.

Times are seconds, points in time are UTC, token counts are the provider's own. A number that
nobody measured is None, never a guess.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from agent_lab.errors import AgentLabError, InvalidRequestError

JsonObject = dict[str, Any]
Language = Literal["en", "es"]
DataPolicy = Literal["local", "any"]
RunStatus = Literal["queued", "running", "waiting", "completed", "failed", "cancelled"]
TurnStatus = Literal["ok", "failed"]

MOST_TOKENS = 2**31 - 1
"""Of one answer; engines count in 32 bits."""


def _no_stand_in(value: Any) -> Any:
    if isinstance(value, (bool, str)):
        raise PydanticCustomError("whole_number", "this is no whole number")
    return value


# As JSON has numbers: 1 and 1.0 are one, true and "1" are none.
TokenLimit = Annotated[int, Field(gt=0, le=MOST_TOKENS), BeforeValidator(_no_stand_in)]
TopK = Annotated[int, Field(ge=0, le=MOST_TOKENS), BeforeValidator(_no_stand_in)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 2), BeforeValidator(_no_stand_in)]
Temperature = Annotated[float, Field(ge=0, le=2, strict=True)]
TopP = Annotated[float, Field(gt=0, le=1, strict=True)]


class Contract(BaseModel):
    """A frozen model that takes no unknown field: nothing is silently ignored."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


def field_problems(error: ValidationError) -> str:
    """What is wrong with which field, in one line."""
    return "; ".join(f"`{'.'.join(map(str, e['loc']))}`: {problem(e)}" for e in error.errors())


def problem(error: Mapping[str, Any]) -> str:
    """What is wrong with one field: pydantic's words, but for those that only a coder knows."""
    return "no such field" if error["type"] == "extra_forbidden" else str(error["msg"])


class Request(Contract):
    """What somebody asks of us; a wrong field is their error, with a message for them."""

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        """Build the request from fields that nobody has checked yet.

        Raises:
            InvalidRequestError: A field is unknown or has a value that it cannot have.
        """
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise InvalidRequestError(
                f"The request is wrong: {field_problems(error)}.",
                hint=f"the fields {', '.join(cls.model_fields)}",
            ) from error


class Message(Contract):
    """One message as a provider gets it."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


class RequestContext(Contract):
    """What a caller of direct mode adds around the prompt."""

    history: tuple[Message, ...] = ()
    """Earlier messages of the conversation, oldest first."""
    system: str | None = None
    """The system prompt."""
    tools: tuple[JsonObject, ...] = ()
    """Tool definitions; no shipped model takes them yet, so they are listed as dropped."""


class Constraints(Contract):
    """Limits that the chosen model must keep."""

    vram_gb: float | None = Field(
        None, gt=0, strict=True, validation_alias=AliasChoices("vram_gb", "vram")
    )
    max_tokens: TokenLimit | None = None
    latency_budget_s: float | None = Field(
        None,
        ge=0.1,
        strict=True,
        validation_alias=AliasChoices("latency_budget_s", "latency_budget"),
    )
    """Becomes the call's time limit when it is below the strategy's; no model needs less."""
    cost_budget_usd: float | None = Field(
        None, ge=0, strict=True, validation_alias=AliasChoices("cost_budget_usd", "cost_budget")
    )
    allow_unpriced: StrictBool = False
    """Whether a model whose price is unknown may answer in spite of a cost budget."""
    distinct_from: tuple[str, ...] = ()
    """Model keys that may not be chosen."""


class GenerationRequest(Request):
    """One question to one model.

    Either `messages`, or `prompt` (with `context`) is given; sampling that is None comes from
    the strategy.
    """

    prompt: str = ""
    model_key: str | None = None
    """None: the default model."""
    strategy: str | None = None
    """None: DEFAULT_STRATEGY, else the model's own."""
    max_tokens: TokenLimit | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_k: TopK | None = None
    task_type: str | None = None
    """What kind of question it is, as the task analyzer says; no model is chosen by it yet."""
    context: RequestContext = RequestContext()
    constraints: Constraints = Constraints()
    messages: tuple[Message, ...] = ()
    stop: tuple[str, ...] = ()
    """Texts that end the answer; they are not part of it."""
    seed: Seed | None = None
    """Makes sampling repeatable where engine and load allow; local engines do not promise it."""
    response_schema: JsonObject | None = None
    deadline: float | None = None
    """Seconds on the event loop's clock (`loop.time()`) after which nobody waits any more."""
    cache: Literal["default", "off"] = "default"
    """Whether a stored answer will do; there is no answer cache yet."""
    data_policy: DataPolicy | None = None
    """Whether the text may leave this machine; None: it may not, unless a remote model was named
    or DEFAULT_PROVIDER is remote.
    """
    midstream: Literal["fail", "restart"] = "fail"
    """What becomes of an answer that breaks after its first piece was shown: the call fails, or
    it begins anew, here or at a fallback, and a stream says so with a chunk that has `restarted`.
    """
    role: str = ""
    """The flow's role that asks; for logs and for scripted answers."""


class Usage(Contract):
    """Tokens and money of one call."""

    prompt_tokens: int = 0
    """All tokens of the prompt, `cached_tokens` among them."""
    cached_tokens: int = 0
    """Tokens of the prompt that the provider did not need to compute again."""
    cache_write_tokens: int = 0
    """Tokens of the prompt that the provider stored, at a price of its own, for later prompts."""
    completion_tokens: int = 0
    """All generated tokens, `reasoning_tokens` among them."""
    reasoning_tokens: int = 0
    cost_usd: float | None = None
    """None: unknown."""


class Timings(Contract):
    """Where the seconds of one call went."""

    queue: float = 0.0
    load_time: float = 0.0
    """Loading the model; 0 when it was loaded already."""
    prefill: float | None = None
    """Reading the prompt, as the engine measured it."""
    decode: float | None = None
    """Writing the answer, as the engine measured it."""
    inference_time: float = 0.0
    total: float = 0.0


class Attempt(Contract):
    """One try of the gateway to get an answer."""

    model_key: str
    provider: str
    outcome: str
    """`ok`, or the `code` of the error."""
    seconds: float
    """From its start, the wait for a rate limit included."""
    error: str = ""
    status_code: int | None = None
    """What the provider answered, if it answered with an error in HTTP."""
    waited: float = 0.0
    """Seconds of pause before it, after the attempt before."""


class GenerationResult(Contract):
    """One answer, in the same form from every provider."""

    text: str
    reasoning: str = ""
    """What the model thought before it answered; never shown to other roles."""
    tokens_generated: int = 0
    timings: Timings = Timings()
    usage: Usage = Usage()
    source: str
    """`local`, `scripted`, `openai`, `anthropic` or a host's name."""
    cache_hit: bool = False
    """The answer came from the answer cache."""
    model_warm: bool | None = None
    """No load was needed; None where the provider does not say."""
    model_resolved: str
    strategy: str
    finish_reason: str
    """`stop`, or `length` when `max_tokens` or the window cut the answer."""
    attempts: tuple[Attempt, ...] = ()
    fallback_from: str | None = None
    """The model key that was meant to answer, when another one did."""
    dropped_params: tuple[str, ...] = ()
    """Parameters that the model does not take and that were therefore not sent."""


class ErrorInfo(Contract):
    """An error as records, events and APIs carry it."""

    code: str
    message: str
    hint: str = ""
    details: JsonObject = {}
    exit_code: int = 1
    http_status: int = 502
    """What a server answers when this error is why there is no answer."""

    @classmethod
    def of(cls, error: AgentLabError) -> Self:
        """Describe an error."""
        return cls(
            code=error.code,
            message=error.message,
            hint=error.hint,
            details=error.details,
            exit_code=error.exit_code,
            http_status=error.http_status,
        )


class Turn(Contract):
    """One call of one role, with everything that was sent and that came back."""

    seq: int = 0
    """Place in the run's event log."""
    node_id: str
    path: str
    """The node's id; `node[i]` for parallel samples."""
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
    sampling: JsonObject = {}
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


class Attachment(Contract):
    """A document that every role sees beside the task."""

    name: str
    text: str


class Budget(Contract):
    """What a run may cost."""

    cost_usd: float = Field(ge=0, strict=True)
    """US dollars for all turns together; a call whose worst case does not fit is refused."""
    allow_unpriced: StrictBool = False
    """Whether models whose price is unknown may answer; their calls count as free."""


class RunRequest(Request):
    """What a caller asks of a run."""

    flow: str
    input: str
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
    options: JsonObject = {}
    output: str = ""
    summary: str = ""
    stop_reason: str = ""
    degraded: tuple[str, ...] = ()
    """What went wrong on the way to an answer all the same."""
    turns: tuple[Turn, ...] = ()
    issues: tuple[JsonObject, ...] = ()
    ballots: tuple[JsonObject, ...] = ()
    usage: Usage = Usage()
    price_table: str = ""
    """Name and version of the table that prices came from; empty: the registry's own figures."""
    metrics: JsonObject = {}
    baseline: JsonObject | None = None
    receipt: JsonObject | None = None
    error: ErrorInfo | None = None
    """Why the run failed."""


class PullProgress(NamedTuple):
    """How far a pull is."""

    source: str
    """The source string being read; empty while it waits for another process."""
    done: int
    """Bytes in the partial file."""
    total: int
    """Bytes of the file; 0: unknown."""
    phase: str
    """`waiting` for another process, `verify` what is here already, or `download`."""
