"""What a run looks like from outside: answers and figures, from its recorded turns only."""

from collections.abc import Sequence
from datetime import UTC, datetime

from agent_lab.contracts import (
    BESIDE,
    ErrorInfo,
    JsonObject,
    Language,
    RunRecord,
    Step,
    Turn,
    Usage,
)
from agent_lab.deliberation.context import unfenced
from agent_lab.deliberation.flips import without_reasons
from agent_lab.deliberation.votes import ballots_of, votes_of
from agent_lab.flows.flow_plan import FlowPlan, plan_flow
from agent_lab.flows.graph_configs import NodeConfig, get_challenge_flow_config
from agent_lab.flows.prompt_templates import in_language

PREVIEW = 200
"""Characters of a node's output that an answer shows unless it is verbose."""


def build_api_response(record: RunRecord, flow: FlowPlan, *, verbose: bool = False) -> JsonObject:
    """What a caller of a finished run is answered, under the names that the first lab gave.

    Args:
        record: The run.
        flow: The flow that it ran.
        verbose: With uncut outputs, and the prompts as they were sent.
    """
    metrics, votes = record.metrics, votes_of(record.steps)
    return {
        "id": record.id,
        "timestamp": record.created_at.isoformat(),
        "success": record.status == "completed",
        "status": record.status,
        "output": record.output,
        "model": _author(record, flow),
        "flow": {
            "name": flow.name,
            "nodes": build_flow_nodes(record, flow, verbose=verbose),
            "edges": [{"source": edge.source, "target": edge.target} for edge in flow.edges],
        },
        "metrics": {**metrics, "total_time_sec": metrics["total_time"]},
        "usage": record.usage.model_dump(),
        "stop_reason": record.stop_reason,
        "degraded": list(record.degraded),
        "dropped_params": sorted({name for turn in record.turns for name in turn.dropped_params}),
        "summary": record.summary,
        "outputs": record.outputs,
        "issues": list(record.issues),
        "votes": list(votes),
        "ballots": list(ballots_of(votes)),
        "baseline": record.baseline,
    }


def build_error_response(
    error: ErrorInfo,
    request_id: str,
    record: RunRecord | None = None,
    flow: FlowPlan | None = None,
    *,
    verbose: bool = False,
) -> JsonObject:
    """What a caller is answered when there is no answer.

    Args:
        error: What went wrong.
        request_id: The request, as the logs name it.
        record: The run, if one was started: its turns show how far it came.
        flow: The flow that it ran.
        verbose: As in `build_api_response`.
    """
    body = {
        "success": False,
        "id": request_id if record is None else record.id,
        "timestamp": (datetime.now(UTC) if record is None else record.created_at).isoformat(),
        "error": {
            **error.model_dump(include={"code", "message", "hint", "details"}),
            "request_id": request_id,
        },
    }
    if record is None or flow is None:
        return body
    return {**build_api_response(record, flow, verbose=verbose), **body}


def build_flow_nodes(
    record: RunRecord, flow: FlowPlan, *, verbose: bool = False
) -> list[JsonObject]:
    """Each node of a flow with what its recorded turns show; times are seconds from the start.

    A node with several turns shows its last output, from the start of its first turn to the end
    of its last one. A node without a turn is `skipped`.
    """
    begin = record.started_at or record.created_at
    return [
        _node(
            node,
            [turn for turn in record.turns if _is_of(turn, node)],
            [step for step in record.steps if step.path == node.id],
            begin,
            record.lang,
            verbose=verbose,
        )
        for node in flow.nodes
    ]


def build_challenge_flow_nodes(record: RunRecord, *, verbose: bool = False) -> list[JsonObject]:
    """`build_flow_nodes` of a run of the `challenge` flow."""
    inputs = record.options.get("inputs", {})
    plan = plan_flow(get_challenge_flow_config(), inputs)
    return build_flow_nodes(record, plan, verbose=verbose)


def build_execution_metrics(
    turns: Sequence[Turn], total_time: float, steps: Sequence[Step] = ()
) -> JsonObject:
    """The figures under the names that the first lab gave them.

    What the run's baseline took is in all of them; its passes are none of the workers.

    Args:
        turns: The turns of a run.
        total_time: Seconds from its start to its end.
        steps: The passes of its nodes.
    """
    passes = [step for step in steps if not step.path.startswith(BESIDE)]
    scores = [
        value
        for step in passes
        for name, value in step.values.items()
        if name == f"{step.node_id}_score"
    ]
    known = [turn.model_warm for turn in turns if turn.model_warm is not None]
    return {
        "total_time": total_time,
        "tokens_generated": sum(turn.completion_tokens for turn in turns),
        "models_used": sorted({turn.model_resolved for turn in turns if turn.model_resolved}),
        "cache_hit": any(turn.cache_hit for turn in turns),
        "model_warm_rate": sum(known) / len(known) if known else None,
        "load_time": sum(turn.timings.load_time for turn in turns),
        "inference_time": sum(turn.timings.inference_time for turn in turns),
        "workers_executed": [step.path for step in passes if step.status != "skipped"]
        or [turn.path for turn in turns],
        "retries": sum(turn.retry > 0 for turn in turns),
        "quality_score": scores[-1] if scores else None,
    }


def camel_case_metrics(metrics: JsonObject, flow_type: str) -> JsonObject:
    """The same figures as the first lab's `run_orchestrator` spelt them; times in milliseconds."""
    spelt: JsonObject = {"flowType": flow_type}
    for name, value in metrics.items():
        first, *rest = name.split("_")
        in_ms = name in {"total_time", "load_time", "inference_time"}
        spelt[first + "".join(map(str.capitalize, rest))] = value * 1000 if in_ms else value
    return spelt


def total_usage(turns: Sequence[Turn]) -> Usage:
    """Tokens and money of all turns together; the money is unknown if that of any turn is."""
    costs = [turn.cost_usd for turn in turns]
    return Usage(
        prompt_tokens=sum(turn.prompt_tokens for turn in turns),
        cached_tokens=sum(turn.cached_tokens for turn in turns),
        completion_tokens=sum(turn.completion_tokens for turn in turns),
        reasoning_tokens=sum(turn.reasoning_tokens for turn in turns),
        cost_usd=sum(cost for cost in costs if cost is not None) if None not in costs else None,
    )


def get_flow_summary(turns: Sequence[Turn], total_time: float, usage: Usage | None = None) -> str:
    """One line for people: turns, time, tokens, and how many turns found the model loaded.

    Args:
        turns: The turns of a run.
        total_time: Seconds from its start to its end.
        usage: Of all turns; None: it is summed up.
    """
    usage = usage or total_usage(turns)
    failed = sum(turn.status == "failed" for turn in turns)
    warm = sum(turn.model_warm is True for turn in turns)
    beside = sum(turn.path.startswith(BESIDE) for turn in turns)
    parts = [
        f"{len(turns)} turn{'s' * (len(turns) != 1)} in {total_time:.1f} s"
        + (f", {beside} of them the baseline's" if beside else "")
        + (f", {failed} failed" if failed else ""),
        f"{usage.completion_tokens} tokens written",
    ]
    if any(turn.model_warm is not None for turn in turns):  # nobody knows it of a remote model
        parts.append(f"{warm} of {len(turns)} turns found the model loaded")
    if usage.cached_tokens and usage.prompt_tokens:
        share = usage.cached_tokens / usage.prompt_tokens
        parts.append(f"{share:.0%} of the prompt tokens were already computed")
    if usage.cost_usd:
        parts.append(f"{usage.cost_usd:.4f} USD")
    return "; ".join(parts) + "."


def _author(record: RunRecord, flow: FlowPlan) -> str:
    """The model whose text is the answer; empty if there is none, or no model has written it."""
    if not record.output:
        return ""
    spoken = {
        turn.path: turn
        for turn in record.turns
        if turn.status == "ok" and not turn.path.startswith(BESIDE)
    }
    for node_id in (i for name in flow.answer_nodes() for i in flow.members_of(name)):
        if node_id in spoken:
            return spoken[node_id].model_resolved
        if _chose(node_id, record):
            break
    for turn in spoken.values():
        text = unfenced(turn.text)
        if record.output in (text, without_reasons(text)):
            return turn.model_resolved
    return ""


def _chose(node_id: str, record: RunRecord) -> bool:
    """Whether a node has given the answer by choosing a text: of a member, or of its own draws."""
    return any(step.path == node_id and step.output for step in record.steps) or any(
        turn.path.startswith(f"{node_id}[") for turn in record.turns
    )


def _is_of(turn: Turn, node: NodeConfig) -> bool:
    """Whether a turn is a node's: it may ask several times, or run a whole flow."""
    return turn.path == node.id or turn.path.startswith((f"{node.id}[", f"{node.id}."))


def _node(
    node: NodeConfig,
    turns: Sequence[Turn],
    steps: Sequence[Step],
    begin: datetime,
    lang: Language,
    *,
    verbose: bool,
) -> JsonObject:
    name = in_language(node.name, lang) or node.id
    known = {"id": node.id, "name": name, "type": node.type, "role": node.speaker}
    if not turns:
        return {**known, **_without_turn(steps, begin, verbose=verbose)}
    first, last = turns[0], turns[-1]
    start = (last.started_at - begin).total_seconds()
    shown = {
        **known,
        "status": "completed" if last.status == "ok" else "failed",
        "start_time": (first.started_at - begin).total_seconds(),
        "end_time": start + last.seconds,
        "timestamp": last.started_at.isoformat(),
        "output": last.text if verbose else last.text[:PREVIEW],
        "full_content_length": len(last.text),
        "turns": len(turns),
        "model": last.model_resolved,
        "fallback_from": last.fallback_from,
        "strategy": last.strategy,
        "tokens_generated": sum(turn.completion_tokens for turn in turns),
        "error": None if last.error is None else last.error.message,
    }
    return {**shown, "prompt": [m.model_dump() for m in last.messages]} if verbose else shown


def _without_turn(steps: Sequence[Step], begin: datetime, *, verbose: bool) -> JsonObject:
    """A node that asked no model: it ran all the same, or it was not its turn."""
    if not steps or steps[-1].status == "skipped":
        return {"status": "skipped", "output": ""}
    first, last = steps[0], steps[-1]
    start = (last.started_at - begin).total_seconds()
    return {
        "status": "completed" if last.status == "ok" else "failed",
        "start_time": (first.started_at - begin).total_seconds(),
        "end_time": start + last.seconds,
        "timestamp": last.started_at.isoformat(),
        "output": last.output if verbose else last.output[:PREVIEW],
        "full_content_length": len(last.output),
    }
