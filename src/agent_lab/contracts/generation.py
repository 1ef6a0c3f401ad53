"""One question to one model, and its answer.

Times are seconds, token counts are the provider's own. A number that nobody measured is None,
never a guess.
"""

from typing import Literal, Self

from pydantic import AliasChoices, Field, StrictBool

from agent_lab.contracts.base import (
    CachePolicy,
    Contract,
    DataPolicy,
    JsonObject,
    Request,
    Sample,
    Seed,
    Temperature,
    TokenLimit,
    TopK,
    TopP,
)
from agent_lab.errors import AgentLabError


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
    sample: Sample = 0
    """Which draw of the same prompt it is: five votes of one prompt are five draws."""
    cache: CachePolicy = "default"
    """Whether a stored answer will do; `default`: where the model is asked at temperature 0."""
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
    run_id: str = ""
    """The run that asks: local models serve runs in turn, and those of a running debate stay."""


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
    details: JsonObject = Field(default_factory=dict)
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
