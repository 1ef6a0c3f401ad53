"""Lets any object that can `generate` stand where the provider gateway stands."""

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from agent_lab.contracts import GenerationRequest, GenerationResult, Timings, Usage
from agent_lab.errors import (
    AgentLabError,
    ConfigurationError,
    ProviderError,
    ProviderTimeoutError,
    TruncatedAnswerError,
)
from agent_lab.orchestrator.run_context import Gateway
from agent_lab.providers.provider_gateway import GenerationChunk
from agent_lab.providers.resilience.budget import NOTHING, BudgetKeeper

logger = logging.getLogger(__name__)


def as_gateway(gateway: Any) -> Gateway:
    """Return a gateway as nodes need it.

    Args:
        gateway: A `ProviderGateway`, or any object whose `generate` takes a `GenerationRequest`,
            as a plain or an `async` method, and returns a `GenerationResult`, a text, or a
            mapping in the first lab's form (`output`, `success`, `error`, `timings_ms`, …).

    Raises:
        ConfigurationError: It cannot generate.
    """
    if inspect.isasyncgenfunction(getattr(gateway, "stream", None)):
        streaming: Gateway = gateway
        return streaming
    if not callable(getattr(gateway, "generate", None)):
        raise ConfigurationError(
            f"`{type(gateway).__name__}` is no gateway: it has no method `generate`.",
            hint="agent_lab.ProviderGateway.from_settings(), or an object with "
            "`async def generate(self, request)`",
        )
    return _WholeAnswers(gateway)


class _WholeAnswers:
    """Streams each answer as one piece."""

    def __init__(self, gateway: Any) -> None:
        self._generate = gateway.generate

    async def stream(
        self, request: GenerationRequest, *, budget: BudgetKeeper | None = None
    ) -> AsyncGenerator[GenerationChunk, None]:
        """Ask; what the object raises becomes a failed turn, not the end of the run."""
        held = NOTHING
        if budget is not None:  # nobody knows what it can cost
            held = budget.hold(request.model_key or "the gateway's model", None)
        try:
            async with asyncio.timeout_at(request.deadline):
                result = _as_result(await self._ask(request), request)
        except AgentLabError:
            raise
        except TimeoutError as error:
            raise ProviderTimeoutError(f"The gateway did not answer in time: {error!r}.") from error
        except Exception as error:
            logger.exception("The gateway failed")
            raise ProviderError(f"The gateway failed: {error!r}.") from error
        if budget is not None:
            used = result.usage
            budget.settle(held, used.cost_usd or 0.0, used.prompt_tokens + used.completion_tokens)
        if not result.text.strip():
            raise TruncatedAnswerError("The gateway answered without any text.")
        yield GenerationChunk(result.text)
        yield GenerationChunk(result=result)

    async def _ask(self, request: GenerationRequest) -> Any:
        if inspect.iscoroutinefunction(self._generate):
            return await self._generate(request)
        # A plain method may take long: in a thread it holds nobody else up.
        answer = await asyncio.to_thread(self._call, request)
        return await answer if inspect.isawaitable(answer) else answer

    def _call(self, request: GenerationRequest) -> Any:
        try:
            return self._generate(request)
        except StopIteration as error:
            # No future can carry this one: who waits for it would wait for ever.
            raise RuntimeError("the gateway has no answer left") from error


def _as_result(answer: Any, request: GenerationRequest) -> GenerationResult:
    if isinstance(answer, GenerationResult):
        return answer
    if isinstance(answer, str):
        return _from_first_lab({"output": answer}, request)
    if isinstance(answer, Mapping):
        return _from_first_lab(answer, request)
    raise ProviderError(
        f"The gateway answered with `{type(answer).__name__}`; a `GenerationResult`, a text or a "
        "mapping with `output` can be used."
    )


def _from_first_lab(answer: Mapping[str, Any], request: GenerationRequest) -> GenerationResult:
    """Read a result in the first lab's form; its times are milliseconds."""
    if not answer.get("success", True) or not answer.get("output"):
        raise ProviderError(f"The gateway failed: {answer.get('error') or 'no output'}.")
    metrics, times = answer.get("metrics") or {}, answer.get("timings_ms") or {}
    tokens = int(_figure(metrics, "tokens_generated"))
    return GenerationResult(
        text=str(answer["output"]),
        tokens_generated=tokens,
        usage=Usage(completion_tokens=tokens),
        timings=Timings(
            load_time=_figure(times, "load_time_ms") / 1000,
            inference_time=_figure(times, "inference_time_ms") / 1000,
            total=_figure(times, "total_time_ms") / 1000,
        ),
        source=str(answer.get("source") or "gateway"),
        model_resolved=str(answer.get("model_used") or request.model_key or "unknown"),
        strategy=str(answer.get("strategy_used") or request.strategy or ""),
        finish_reason="stop",
    )


def _figure(figures: Mapping[str, Any], name: str) -> float:
    """A number; 0 for what is none: an answer is worth more than its figures."""
    value = figures.get(name)
    return value if isinstance(value, (int, float)) else 0
