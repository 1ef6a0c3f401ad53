"""Gives every provider's answer one form."""

import time
from typing import NamedTuple

from agent_lab.contracts import Attempt, GenerationResult, Timings
from agent_lab.providers.base import ProviderAnswer
from agent_lab.providers.registries.model_registry import ModelEntry
from agent_lab.providers.registries.strategy_registry import Strategy


class ResolvedModel(NamedTuple):
    """Which model will answer."""

    entry: ModelEntry
    fallback_from: str | None = None
    """The model key that was meant to answer, when another one will."""


def attempt_since(entry: ModelEntry, outcome: str, started: float, error: str = "") -> Attempt:
    """Describe one try that began at `started` (`time.perf_counter()`) and ends now."""
    return Attempt(
        model_key=entry.key,
        provider=entry.provider,
        outcome=outcome,
        seconds=time.perf_counter() - started,
        error=error,
    )


def normalised(
    resolved: ResolvedModel,
    strategy: Strategy,
    answer: ProviderAnswer,
    attempt: Attempt,
    dropped: tuple[str, ...],
) -> GenerationResult:
    """Give an answer the form that every provider's answers have.

    Args:
        resolved: Which model answered, and for which.
        strategy: How it was asked.
        answer: What it answered.
        attempt: The try that gave the answer.
        dropped: Parameters that were not sent.
    """
    entry, usage, timings = resolved.entry, answer.usage, answer.timings
    cost = entry.cost_usd(usage.prompt_tokens, usage.completion_tokens)
    working = attempt.seconds - timings.queue - timings.load_time
    return GenerationResult(
        text=answer.text,
        reasoning=answer.reasoning,
        tokens_generated=usage.completion_tokens,
        timings=Timings(
            queue=timings.queue,
            load_time=timings.load_time,
            prefill=timings.prefill,
            decode=timings.decode,
            inference_time=max(0.0, working),
            total=attempt.seconds,
        ),
        usage=usage if usage.cost_usd is not None else usage.model_copy(update={"cost_usd": cost}),
        source=answer.source or entry.provider,
        model_warm=answer.model_warm,
        model_resolved=entry.key,
        strategy=strategy.name,
        finish_reason=answer.finish_reason,
        attempts=(attempt,),
        fallback_from=resolved.fallback_from,
        dropped_params=(*dropped, *answer.dropped_params),
    )
