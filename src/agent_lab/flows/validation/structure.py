"""Rules of the flow as it is written: ids, members, inputs."""

from collections import Counter
from collections.abc import Iterator

from agent_lab.flows.flow_plan import FlowPlan, member_node
from agent_lab.flows.graph_configs import FlowConfig, GroupConfig, NodeConfig
from agent_lab.flows.inputs import InputConfig, InputRef, InputType, unfit
from agent_lab.flows.validation.faults import Fault, input_refs, near


def ids(flow: FlowConfig) -> Iterator[Fault]:
    """Every id is there once, and every name of a node means one."""
    names = [node.id for node in flow.nodes]
    if isinstance(flow, FlowPlan):
        names += flow.groups
    others = Counter(name for node in flow.nodes for name in _others(node))
    for node_id, count in (Counter(names) + others).items():
        if count > 1:
            reason = f"{count} nodes are called `{node_id}`; ids must differ."
            fix = "Give all but one of them another id."
            if node_id in others:
                fix = "Ids of groups' members and older ids count, too: change one of them."
            yield Fault(code="duplicate_node", node=node_id, field="id", reason=reason, fix=fix)
    known = set(names)
    for field, what, name in _named(flow):
        if name not in known:
            reason = f"{what} names `{name}`, which is no node."
            yield Fault(code="unknown_node", field=field, reason=reason, fix=near(name, known))


def _others(node: NodeConfig) -> Iterator[str]:
    """The names that a node has beside its id, and those of the nodes that a group becomes."""
    yield from node.aliases
    for member_id, member in node.group.members.items() if node.group else ():
        yield from (member_node(name, node.id) for name in (member_id, *member.aliases))


def _named(flow: FlowConfig) -> Iterator[tuple[str, str, str]]:
    """Every place that names a node: field, what it is, the name."""
    yield "entry_point", "The entry point", flow.entry_point
    for index, edge in enumerate(flow.edges):
        for end in dict.fromkeys((edge.source, edge.target)):
            yield f"edges[{index}]", f"The edge `{edge.source}` → `{edge.target}`", end
    for name in flow.output:
        yield "output", "`output`", name
    for index, loop in enumerate(flow.loops):
        for name in dict.fromkeys((loop.first, loop.last)):
            yield f"loops[{index}]", f"The loop `{loop.id}`", name


def members(flow: FlowConfig) -> Iterator[Fault]:
    """A group has members, and those that take part by default are among them."""
    for node in flow.nodes:
        group = node.group
        if group is None:
            continue
        known = {*group.members, *(a for member in group.members.values() for a in member.aliases)}
        field, chosen = _chosen(flow, group)
        if not known and not chosen:
            reason = f"The group `{node.id}` has no members: nobody would take part."
            fix = 'Describe some: "members": {"ID": {"name": …, "values": …}}.'
            yield Fault(
                code="empty_group", node=node.id, field="group.members", reason=reason, fix=fix
            )
        for name in chosen:
            if name not in known:
                reason = f"The group `{node.id}` has no member `{name}`."
                fix = near(name, known)
                yield Fault(
                    code="unknown_member", node=node.id, field=field, reason=reason, fix=fix
                )


def _chosen(flow: FlowConfig, group: GroupConfig) -> tuple[str, list[str]]:
    """Where it is written who takes part by default, and the ids that stand there."""
    chosen = group.chosen
    if not isinstance(chosen, InputRef):
        return "group.chosen", list(chosen)
    config = flow.inputs.get(chosen.input)
    wishes = config.default if config is not None and isinstance(config.default, tuple) else ()
    return "group.chosen", [wish for wish in wishes if isinstance(wish, str)]


def inputs(flow: FlowConfig) -> Iterator[Fault]:
    """Every reference means an input of the right type, every default is one that it takes."""
    for name, config in flow.inputs.items():
        wrong = unfit(config, config.default)
        if wrong:
            reason = f"The default of the input `{name}` {wrong}."
            fix = "Change the default, or what the input takes."
            yield Fault(code="wrong_input", field=f"inputs.{name}.default", reason=reason, fix=fix)
    for node, field, name, wanted in _references(flow):
        if name not in flow.inputs:
            reason = f"`{name}` is no input of the flow."
            fix = near(name, flow.inputs)
            yield Fault(code="unknown_input", node=node, field=field, reason=reason, fix=fix)
        else:
            yield from _of_type(flow.inputs[name], name, wanted, node, field)


def _of_type(
    config: InputConfig, name: str, wanted: InputType | None, node: str, field: str
) -> Iterator[Fault]:
    if wanted is not None and config.type != wanted:
        reason = f"The input `{name}` is of the type `{config.type}`; here stands `{wanted}`."
        fix = f"Name an input of the type `{wanted}`."
        yield Fault(code="wrong_input", node=node, field=field, reason=reason, fix=fix)


def _references(flow: FlowConfig) -> Iterator[tuple[str, str, str, InputType | None]]:
    """Every reference to an input: node, field, name, and the type that it must have."""
    for node in flow.nodes:
        for field, name in input_refs(node.config, "config"):
            yield node.id, field, name, None
        if node.group is not None and isinstance(node.group.chosen, InputRef):
            yield node.id, "group.chosen", node.group.chosen.input, "members"
    for index, loop in enumerate(flow.loops):
        if isinstance(loop.max_rounds, InputRef):
            yield "", f"loops[{index}].max_rounds", loop.max_rounds.input, "integer"
