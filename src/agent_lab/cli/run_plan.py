"""What a run is going to be: who answers, in which order, and what it can take. Asks nobody."""

from collections.abc import Iterator

from agent_lab.cli.flow_texts import counted, loops_of, ways_from, worst_case_line
from agent_lab.contracts import Contract, RunRequest
from agent_lab.flows.catalogue import Catalogue
from agent_lab.flows.flow_plan import FlowPlan, plan_flow
from agent_lab.flows.flow_validator import FlowReport, check_flow
from agent_lab.flows.graph_configs import NodeConfig
from agent_lab.flows.worst_case import NodeCost
from agent_lab.lab import Lab
from agent_lab.orchestrator.cast import strategies, wishes
from agent_lab.orchestrator.flow_runner import check_request


class Part(Contract):
    """One node, or one judge of a node, in a run that has not begun."""

    path: str
    """The node; `node.inner` in a flow within the flow."""
    role: str
    """Who speaks, as callers choose models for it; empty where nobody does."""
    type: str
    model: str | None = None
    """The model that would answer; None: nobody is asked, or nobody is here."""
    window: int | None = None
    """Tokens of prompt and answer that the model has room for."""
    strategy: str | None = None
    max_tokens: int | None = None
    """Longest text of a turn."""
    calls: int = 0
    """At the most; 0: it asks no model."""
    ways: tuple[str, ...] = ()
    """Where it leads to, each with its condition."""


class RunPlan(FlowReport):
    """A report of the flow, and who would take part."""

    cast: tuple[Part, ...] = ()
    """In the order of the nodes."""
    loops: tuple[str, ...] = ()
    """What runs again, and until when."""
    baseline: str | None = None
    """The flow with which the run would be compared; None: there is no comparison."""


def plan_run(lab: Lab, request: RunRequest) -> RunPlan:
    """Find out what a run would be, and whether it can be.

    Args:
        lab: Where it would run; its models need not be here.
        request: What would be asked.

    Raises:
        InvalidFlowError: The flow cannot run.
        InvalidRequestError: The task is empty, or an input has a value that it cannot have.
        ConfigurationError: A role, model or strategy is unknown.
    """
    flow, catalogue = lab.flows[request.flow], lab.catalogue()
    check_flow(flow, catalogue)
    plan = plan_flow(flow, request.inputs)
    check_request(request, plan, catalogue)
    for name in strategies(plan, request):
        lab.gateway.strategies.get(name)
    for _, key in wishes(plan, request, catalogue):
        if key is not None:
            lab.gateway.models.get(key)
    report = lab.check_flow(flow, request)
    costs = report.worst_case.nodes if report.worst_case else ()
    parts = tuple(
        part
        for path, node, ways in _nodes(plan, catalogue)
        for part in _parts(path, node, ways, _of(path, costs), request, catalogue)
    )
    return RunPlan(
        **dict(report), cast=parts, loops=tuple(loops_of(plan)), baseline=request.baseline
    )


def told(plan: RunPlan) -> str:
    """A plan for people."""
    lines = [_line(part) for part in plan.cast]
    lines += plan.loops
    lines += [f"{fault.severity}: {' '.join(str(fault).split())}" for fault in plan.faults]
    if plan.worst_case is not None:
        windows = [part.window for part in plan.cast if part.window is not None]
        room = f"; the smallest window has {min(windows):,}" if windows else ""
        lines.append(worst_case_line(plan.worst_case) + room)
    if plan.baseline is not None:
        lines.append(_baseline_line(plan))
    return "\n".join([f"{plan.flow}, as it would run:", *(f"  {line}" for line in lines)])


def _baseline_line(plan: RunPlan) -> str:
    """What the comparison can take beside the run."""
    worst = plan.worst_case
    most = f": in the worst case {worst.prompt_tokens + worst.completion_tokens:,}" if worst else ""
    return f"baseline: {plan.baseline}, for about as many tokens again as the run takes{most}"


def _nodes(
    plan: FlowPlan, catalogue: Catalogue, prefix: str = ""
) -> Iterator[tuple[str, NodeConfig, tuple[str, ...]]]:
    """Every node with its path and its ways, those of flows within the flow, too."""
    for node in plan.nodes:
        yield prefix + node.id, node, tuple(ways_from(plan, node.id))
        kind = catalogue.kinds.get(node.type)
        options = kind.options_or_none(node.config) if kind else None
        inner = options.subflow() if options else None
        if inner is not None:
            within = plan_flow(catalogue.flows[inner], getattr(options, "inputs", {}))
            yield from _nodes(within, catalogue, f"{prefix}{node.id}.")


def _of(path: str, costs: tuple[NodeCost, ...]) -> list[NodeCost]:
    return [cost for cost in costs if cost.node == path]


def _parts(
    path: str,
    node: NodeConfig,
    ways: tuple[str, ...],
    costs: list[NodeCost],
    request: RunRequest,
    catalogue: Catalogue,
) -> Iterator[Part]:
    known = {"path": path, "type": node.type, "ways": ways}
    role = node.speaker if node.is_role else ""
    if not costs:
        yield Part(**known, role=role)
    for cost in costs:
        facts = (catalogue.models or {}).get(cost.model or "")
        own = facts.strategy if facts else None
        yield Part(
            **known,
            role=role,
            model=cost.model,
            window=facts.context_window if facts else None,
            strategy=request.strategy or node.strategy or catalogue.default_strategy or own,
            max_tokens=cost.completion_tokens // max(1, cost.calls) or None,
            calls=cost.calls,
        )


def _line(part: Part) -> str:
    name = part.path.rpartition(".")[2]
    role = f" as {part.role}" if part.role not in ("", name) else ""
    told = [f"{part.path}{role}"]
    if part.calls:
        longest = f" of at most {part.max_tokens} tokens" if part.max_tokens else ""
        told += [part.model or "no model is here", part.strategy or "the model's own strategy"]
        told += [counted(part.calls, "call") + longest]
    else:
        told += ["asks no model"]
    return f"{' · '.join(told)} → {', '.join(part.ways)}"
