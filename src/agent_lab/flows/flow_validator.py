"""Proves a flow before it runs: every fault at once, each with node, field and reason."""

from collections import Counter
from collections.abc import Collection, Iterator

from agent_lab.errors import InvalidFlowError
from agent_lab.flows.conditions import variables
from agent_lab.flows.graph_configs import FlowConfig, NodeConfig
from agent_lab.flows.prompt_templates import placeholders

STATE_NAMES = frozenset({"user_input", "lang", "request_id", "flow_type", "round"})
"""Names that every prompt and condition may use, beside `<node>_output` and its like."""

_OF_NODE = ("output", "status", "visits")


def known_names(flow: FlowConfig) -> frozenset[str]:
    """Every name that a condition of this flow can read."""
    return STATE_NAMES | {f"{node.id}_{what}" for node in flow.nodes for what in _OF_NODE}


def validate(flow: FlowConfig, node_types: Collection[str]) -> None:
    """Check a flow without running anything.

    Args:
        flow: The flow.
        node_types: The types of node that exist.

    Raises:
        InvalidFlowError: With every fault.
    """
    faults = [*_graph_faults(flow)]
    # A graph with dangling edges has no paths that are worth following.
    faults = faults or [*_path_faults(flow)]
    faults += [*_node_faults(flow, node_types), *_prompt_faults(flow), *_condition_faults(flow)]
    if faults:
        raise InvalidFlowError(flow.name, faults)


def _graph_faults(flow: FlowConfig) -> Iterator[str]:
    ids = [node.id for node in flow.nodes]
    listed = _quoted(ids)
    for node_id, count in Counter(ids).items():
        if count > 1:
            yield f"{count} nodes are called `{node_id}`; ids must differ."
    if flow.entry_point not in ids:
        yield f"The entry point `{flow.entry_point}` is no node; nodes are {listed}."
    for edge in flow.edges:
        for end in dict.fromkeys((edge.source, edge.target)):
            if end not in ids:
                yield f"The edge `{edge.source}` → `{edge.target}` names `{end}`, which is no " + (
                    f"node; nodes are {listed}."
                )


def _node_faults(flow: FlowConfig, node_types: Collection[str]) -> Iterator[str]:
    ids = [node.id for node in flow.nodes]
    for node in flow.nodes:
        if node.type not in node_types:
            yield f"Node `{node.id}` has the unknown type `{node.type}`; known are " + (
                f"{_quoted(node_types)}."
            )
    for name in flow.output:
        if name not in ids:
            yield f"`output` names `{name}`, which is no node; nodes are {_quoted(ids)}."


def _path_faults(flow: FlowConfig) -> Iterator[str]:
    ways = {n.id: {edge.target for edge in flow.edges_from(n.id)} for n in flow.nodes}
    reached = _reachable({flow.entry_point}, ways)
    for node in flow.nodes:
        if node.id not in reached:
            yield f"Node `{node.id}` cannot be reached from `{flow.entry_point}`."
    endless = reached - _ending(flow)
    loop = [node_id for node_id in endless if node_id in _reachable(ways[node_id], ways)]
    if loop:
        yield f"The loop of {_quoted(loop)} has no way out; give one edge a condition."


def _ending(flow: FlowConfig) -> set[str]:
    """Nodes after which the flow can end: at once, by a condition, or by all that must follow."""
    ending = set(flow.terminal_nodes())
    while True:
        more = {
            node.id
            for node in flow.nodes
            if any(e.condition is not None and e.target in ending for e in flow.edges_from(node.id))
            or all(e.condition is not None or e.target in ending for e in flow.edges_from(node.id))
        }
        if more <= ending:
            return ending
        ending |= more


def _prompt_faults(flow: FlowConfig) -> Iterator[str]:
    known = STATE_NAMES | {f"{node.id}_output" for node in flow.nodes}
    for node in flow.nodes:
        for language, template in _templates(node):
            for name in sorted(placeholders(template) - known):
                yield f"Node `{node.id}`, prompt_template{language}: `{{{name}}}` is unknown; " + (
                    f"known are {_quoted(known)}."
                )


def _condition_faults(flow: FlowConfig) -> Iterator[str]:
    known = known_names(flow)
    for edge in flow.edges:
        if edge.condition is not None:
            for name in sorted(variables(edge.condition) - known):
                yield f"The edge `{edge.source}` → `{edge.target}` reads `{name}`, which is " + (
                    f"unknown; known are {_quoted(known)}."
                )


def _templates(node: NodeConfig) -> list[tuple[str, str]]:
    template = node.prompt_template
    if isinstance(template, str):
        return [("", template)]
    return [(f".{language}", text) for language, text in template.items()]


def _reachable(start: set[str], ways: dict[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    frontier = set(start)
    while frontier:
        reached |= frontier
        frontier = {end for node in frontier for end in ways[node]} - reached
    return reached


def _quoted(names: Collection[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
