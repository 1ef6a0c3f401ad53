"""Gives every provider's answer one form."""

from collections.abc import Sequence
from typing import NamedTuple

from agent_lab.contracts import Attempt, GenerationResult, Timings, Usage
from agent_lab.providers.base import TokenCounts
from agent_lab.providers.one_attempt import Found
from agent_lab.providers.registries.model_registry import ModelEntry
from agent_lab.providers.registries.strategy_registry import Strategy


class ResolvedModel(NamedTuple):
    """Which model will answer."""

    entry: ModelEntry
    fallback_from: str | None = None
    """The model key that was meant to answer, when another one will."""


def normalised(
    resolved: ResolvedModel,
    strategy: Strategy,
    found: Found,
    attempts: Sequence[Attempt],
    seconds: float,
) -> GenerationResult:
    """Give an answer the form that every provider's answers have.

    Args:
        resolved: Which model was asked, and for which.
        strategy: How it was asked.
        found: What was answered, and by whom.
        attempts: Every try; the last one gave the answer. None: it was stored.
        seconds: From the request to the answer, pauses and failed tries included.
    """
    entry, answer = found.target.entry, found.answer
    tokens = answer.tokens or TokenCounts()
    timings = answer.timings
    queue = timings.queue + found.queue
    working = attempts[-1].seconds - queue - timings.load_time if attempts else 0.0
    meant = resolved.fallback_from if entry.key == resolved.entry.key else resolved.entry.key
    return GenerationResult(
        text=answer.text,
        reasoning=answer.reasoning,
        tokens_generated=tokens.completion,
        timings=Timings(
            queue=queue,
            load_time=timings.load_time,
            prefill=timings.prefill,
            decode=timings.decode,
            inference_time=max(0.0, working),
            total=seconds,
        ),
        usage=Usage(
            prompt_tokens=tokens.prompt,
            cached_tokens=tokens.cached,
            cache_write_tokens=tokens.cache_write,
            completion_tokens=tokens.completion,
            reasoning_tokens=tokens.reasoning,
            cost_usd=found.cost_usd,
        ),
        source=answer.source or entry.provider,
        cache_hit=found.cached,
        model_warm=answer.model_warm,
        model_resolved=entry.key,
        strategy=strategy.name,
        finish_reason=answer.finish_reason,
        attempts=tuple(attempts),
        fallback_from=meant,
        dropped_params=(*found.built.dropped, *answer.dropped_params),
    )
