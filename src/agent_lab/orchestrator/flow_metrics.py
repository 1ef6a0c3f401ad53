"""Figures of a run, from its recorded turns only."""

from collections.abc import Sequence

from agent_lab.contracts import JsonObject, Turn, Usage


def build_execution_metrics(turns: Sequence[Turn], total_time: float) -> JsonObject:
    """The figures under the names that the first lab gave them.

    Args:
        turns: The turns of a run.
        total_time: Seconds from its start to its end.
    """
    known = [turn.model_warm for turn in turns if turn.model_warm is not None]
    return {
        "total_time": total_time,
        "tokens_generated": sum(turn.completion_tokens for turn in turns),
        "models_used": sorted({turn.model_resolved for turn in turns if turn.model_resolved}),
        "cache_hit": any(turn.cache_hit for turn in turns),
        "model_warm_rate": sum(known) / len(known) if known else None,
        "load_time": sum(turn.timings.load_time for turn in turns),
        "inference_time": sum(turn.timings.inference_time for turn in turns),
        "workers_executed": [turn.node_id for turn in turns],
        "retries": sum(turn.retry > 0 for turn in turns),
        "quality_score": None,
    }


def total_usage(turns: Sequence[Turn]) -> Usage:
    """Tokens and money of all turns together; the money is unknown if that of any turn is."""
    costs = [turn.cost_usd for turn in turns]
    return Usage(
        prompt_tokens=sum(turn.prompt_tokens for turn in turns),
        cached_tokens=sum(turn.cached_tokens for turn in turns),
        completion_tokens=sum(turn.completion_tokens for turn in turns),
        cost_usd=sum(cost for cost in costs if cost is not None) if None not in costs else None,
    )


def get_flow_summary(turns: Sequence[Turn], total_time: float) -> str:
    """One line for people: turns, time, tokens, and how many turns found the model loaded."""
    usage = total_usage(turns)
    failed = sum(turn.status == "failed" for turn in turns)
    warm = sum(turn.model_warm is True for turn in turns)
    parts = [
        f"{len(turns)} turns in {total_time:.1f} s" + (f", {failed} failed" if failed else ""),
        f"{usage.completion_tokens} tokens written",
        f"{warm} of {len(turns)} turns found the model loaded",
    ]
    if usage.cached_tokens:
        share = usage.cached_tokens / usage.prompt_tokens
        parts.append(f"{share:.0%} of the prompt tokens were already computed")
    if usage.cost_usd:
        parts.append(f"{usage.cost_usd:.4f} USD")
    return "; ".join(parts) + "."
