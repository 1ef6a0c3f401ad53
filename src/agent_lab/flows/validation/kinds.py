"""Rules of the nodes: known types, a `config` that the type understands, flows within flows."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from agent_lab.errors import AgentLabError
from agent_lab.flows.catalogue import Catalogue, NodeKind
from agent_lab.flows.flow_plan import plan_flow
from agent_lab.flows.graph_configs import FlowConfig, NodeConfig
from agent_lab.flows.validation.faults import (
    Fault,
    Subject,
    field_of,
    input_refs,
    near,
    quoted,
)
from agent_lab.flows.validation.wrong_json import is_unknown, misfits, sentences

_OF_EVERY_NODE = frozenset({*NodeConfig.model_fields, "model_hint"}) - {"id", "config", "type"}


def kinds(subject: Subject) -> Iterator[Fault]:
    """Every node has a known type, and a `config` that this type understands."""
    seen: set[str] = set()
    for node in subject.plan.nodes:
        name = subject.written(node.id)
        if name in seen:
            continue
        seen.add(name)
        kind = subject.catalogue.kinds.get(node.type)
        if kind is None:
            reason = f"The node type `{node.type}` is unknown."
            fix = near(node.type, subject.catalogue.kinds)
            yield Fault(code="unknown_type", node=name, field="type", reason=reason, fix=fix)
        else:
            yield from _config(kind, node, name)
            yield from _named_nodes(subject, kind, node, name)
            yield from _subflow(subject, kind, node, name)


def _config(kind: NodeKind, node: NodeConfig, name: str) -> Iterator[Fault]:
    known = () if kind.options is None else tuple(kind.options.model_fields)
    understands = f"`{kind.name}` understands {quoted(known) if known else 'nothing'} in `config`."
    open_refs = {field for field, _ in input_refs(node.config, "config")}
    try:
        kind.options_of(node.config)
    except ValidationError as error:
        for place, wrongs in misfits(node.config, error):
            field = field_of(["config", *place])
            reason, fix = sentences(wrongs), understands
            if is_unknown(wrongs):
                reason = f"`{place[-1]}` in `config` would be ignored."
                fix = near(str(place[-1]), known) if known and len(place) == 1 else understands
                if len(place) == 1 and place[0] in _OF_EVERY_NODE:
                    fix = f"Write it as `{place[0]}` of the node itself."
            if field not in open_refs:  # that such an input lacks is said elsewhere
                yield Fault(code="wrong_config", node=name, field=field, reason=reason, fix=fix)


def _named_nodes(subject: Subject, kind: NodeKind, node: NodeConfig, name: str) -> Iterator[Fault]:
    options = kind.options_or_none(node.config)
    for field, named in options.nodes_named().items() if options else ():
        # A field that takes one name takes the text of one node: no group, and no older id.
        is_one = isinstance(getattr(options, field, None), str)
        known = subject.plan_ids if is_one else subject.node_names
        for other in named:
            if other in known:
                continue
            made = subject.plan.members_of(other)
            reason, fix = f"`{other}` is no node.", near(other, known)
            if made != (other,):
                reason = f"`{other}` stands for {quoted(made)}; here stands the id of one node."
                fix = f"Name {quoted(made)}."
            yield Fault(
                code="unknown_node", node=name, field=f"config.{field}", reason=reason, fix=fix
            )


def _subflow(subject: Subject, kind: NodeKind, node: NodeConfig, name: str) -> Iterator[Fault]:
    options, flows = kind.options_or_none(node.config), subject.catalogue.flows
    inner = options.subflow() if options else None
    if inner is None or options is None:
        return
    if inner not in flows and inner != subject.flow.name:
        reason = f"The flow `{inner}` is unknown."
        yield Fault(
            code="unknown_flow",
            node=name,
            field="config.flow",
            reason=reason,
            fix=near(inner, flows),
        )
        return
    inputs = getattr(options, "inputs", {})
    circle = _circle(inner, inputs, subject.catalogue, (subject.flow.name,), set())
    if circle:
        chain = " → ".join(f"`{flow}`" for flow in circle)
        reason = f"Flows run each other without an end: {chain}."
        fix = "A flow cannot be part of itself."
        yield Fault(code="endless_subflow", node=name, field="config.flow", reason=reason, fix=fix)
        return
    try:
        plan_flow(flows[inner], inputs)
    except AgentLabError as error:
        yield Fault(
            code="wrong_input",
            node=name,
            field="config.inputs",
            reason=error.message,
            fix=error.hint,
        )


def _circle(
    flow: str,
    inputs: Mapping[str, Any],
    catalogue: Catalogue,
    path: tuple[str, ...],
    known: set[str],
) -> tuple[str, ...]:
    """The flows that lead from one back to itself, within a flow; empty: none does.

    Args:
        flow: The flow.
        inputs: What it is given.
        catalogue: With the flows.
        path: The flows that it is part of, the outermost first.
        known: Flows and inputs that were looked at already; those that are now are added.
    """
    if flow in path:
        return (*path[path.index(flow) :], flow)
    key = f"{flow} {inputs!r}"
    if key in known or flow not in catalogue.flows:
        return ()
    known.add(key)
    within = (
        _circle(inner, given, catalogue, (*path, flow), known)
        for _, inner, given in subflows(catalogue.flows[flow], inputs, catalogue)
    )
    return next((circle for circle in within if circle), ())


def subflows(
    flow: FlowConfig, inputs: Mapping[str, Any], catalogue: Catalogue
) -> Iterator[tuple[NodeConfig, str, Mapping[str, Any]]]:
    """The nodes of a flow that run flows: the node, the flow that it runs, what it gives to it."""
    try:
        plan = plan_flow(flow, inputs)
    except AgentLabError:
        return  # whoever asks for this flow is told
    for node in plan.nodes:
        kind = catalogue.kinds.get(node.type)
        options = kind.options_or_none(node.config) if kind else None
        inner = options.subflow() if options else None
        if inner is not None:
            yield node, inner, getattr(options, "inputs", {})
