"""Direct mode: one question to one model."""

from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field, JsonValue

from agent_lab.api.wire.examples import INFERENCE, INFERENCE_ANSWER
from agent_lab.api.wire.names import ModelKey, Prompt, StrategyName
from agent_lab.contracts import (
    Attempt,
    CachePolicy,
    Constraints,
    Contract,
    DataPolicy,
    GenerationRequest,
    GenerationResult,
    RequestContext,
    Sample,
    Seed,
    Temperature,
    Timings,
    TokenLimit,
    TopK,
    TopP,
    Usage,
)


class InferenceRequest(Contract):
    """What is asked of one model; what is left out comes from the strategy."""

    model_config = ConfigDict(json_schema_extra={"examples": [INFERENCE]})

    prompt: Prompt
    model: ModelKey | None = None
    """None: the default model."""
    strategy: StrategyName | None = None
    """How the model is sampled and bounded; None: the model's own."""
    max_tokens: TokenLimit | None = None
    """Longest answer, in tokens."""
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_k: TopK | None = None
    seed: Seed | None = None
    stop: tuple[str, ...] = Field((), max_length=16)
    """Texts that end the answer; they are not part of it."""
    context: RequestContext = RequestContext()
    """The system prompt and earlier messages."""
    constraints: Constraints = Constraints()
    response_schema: dict[str, JsonValue] | None = None
    """JSON Schema that the answer must satisfy, where the model can be bound to one."""
    cache: CachePolicy = "default"
    """Whether a stored answer will do. `default`: where the model is asked at temperature 0; `on`:
    at any; `off`: at none, and this answer is not stored either.
    """
    sample: Sample = 0
    """Which draw of the same question it is: with `cache`, five draws are five answers."""
    data_policy: DataPolicy | None = None
    """`local`: the text may not leave this machine; None: it may, if a remote model is named."""

    def to_generation_request(self) -> GenerationRequest:
        """What the gateway is asked."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        fields["model_key"] = fields.pop("model")
        return GenerationRequest.parse(fields)


class InferenceMetrics(Contract):
    """What the answer took; times are seconds."""

    total_time: float
    tokens_generated: int
    cache_hit: bool
    model_warm: bool | None
    """Whether the model was loaded already; null where nobody knows."""
    load_time: float
    inference_time: float


class InferenceResponse(Contract):
    """One answer."""

    model_config = ConfigDict(json_schema_extra={"examples": [INFERENCE_ANSWER]})

    id: str
    timestamp: datetime
    success: Literal[True] = True
    model: str
    """The model that answered."""
    strategy: str
    prompt: str
    output: str
    reasoning: str
    """What the model thought before it answered."""
    finish_reason: str
    """`stop`, or `length` when the answer was cut."""
    source: str
    metrics: InferenceMetrics
    usage: Usage
    timings: Timings
    attempts: tuple[Attempt, ...]
    fallback_from: str | None = None
    """The model that was meant to answer, when another one did."""
    dropped_params: tuple[str, ...]
    """Parameters that the model does not take and that were not sent."""

    @classmethod
    def of(
        cls, result: GenerationResult, prompt: str, request_id: str, now: datetime
    ) -> "InferenceResponse":
        """Put an answer of the gateway into the form of the wire."""
        shared: dict[str, Any] = {
            name: getattr(result, name)
            for name in set(cls.model_fields) & set(GenerationResult.model_fields)
        }
        return cls(
            id=request_id,
            timestamp=now,
            model=result.model_resolved,
            prompt=prompt,
            output=result.text,
            metrics=InferenceMetrics(
                total_time=result.timings.total,
                tokens_generated=result.tokens_generated,
                cache_hit=result.cache_hit,
                model_warm=result.model_warm,
                load_time=result.timings.load_time,
                inference_time=result.timings.inference_time,
            ),
            **shared,
        )


class FirstLabModel(Contract):
    """A model as the first lab's `GET /inference/models` listed it."""

    key: str
    name: str
    available: bool
    loaded: bool
