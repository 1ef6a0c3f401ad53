"""A flow made ready for one run: its inputs have values, its groups are nodes. Pure."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from pydantic import Field, ValidationError

from agent_lab.contracts import JsonObject, field_problems
from agent_lab.errors import InvalidRequestError, UnknownNameError
from agent_lab.flows.graph_configs import (
    NODE_ID,
    EdgeConfig,
    FlowConfig,
    LoopConfig,
    Member,
    Name,
    NodeConfig,
)
from agent_lab.flows.inputs import InputRef, Scalar, resolve_inputs

OF_MEMBER = ("model", "strategy", "temperature", "top_p", "top_k", "max_tokens")
"""What a member may say otherwise than its group."""
MOST_ROUNDS = 1000
"""Of a loop; as much as a flow itself may say."""
MOST_NODES = 10_000
MOST_EDGES = 100_000
MOST_LOOPS = 100
"""Of a flow with all its members; more is no flow, and proving it takes longer than it is worth."""


class UnknownMemberError(UnknownNameError):
    """The group has no member of this name, and nobody described one."""

    code = "unknown_member"
    kind = "member"


class FlowTooLargeError(InvalidRequestError):
    """A flow has more nodes, edges or loops than anybody can run."""

    code = "flow_too_large"


class OwnMember(Member):
    """A member that the caller describes: as the flow's own, with its id."""

    id: Name


class FlowPlan(FlowConfig):
    """A flow without open questions: what the orchestrator runs."""

    values: dict[str, Scalar] = Field(default_factory=dict)
    """The scalar inputs."""
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """The nodes that each group became, in order."""

    @cached_property
    def aliases(self) -> dict[str, str]:
        """Node ids by their older ids."""
        return {alias: node.id for node in self.nodes for alias in node.aliases}

    @cached_property
    def names_models(self) -> bool:
        """Whether the flow chooses the model of any of its roles."""
        return any(node.model for node in self.nodes)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {i: place for group in self.groups.values() for place, i in enumerate(group)}

    def place_in_group(self, node_id: str) -> int:
        """Which member of its group a node is, from 0; 0 where it is in none."""
        return self._places.get(node_id, 0)

    def member_name(self, node_id: str, name: str) -> str:
        """What a node is called among its group: the same in every group that it takes part in.

        Args:
            node_id: The node.
            name: The group; or a node's own id, which is then its name.
        """
        if name not in self.groups:
            return node_id
        roles = {i: self.node(i).role for i in self.groups[name]}
        has_own = all(roles.values()) and len(set(roles.values())) == len(roles)
        return roles[node_id] if has_own else node_id.removesuffix(member_node("", name))

    def members_of(self, name: str) -> tuple[str, ...]:
        """The nodes that a name stands for: those of a group, else the node itself."""
        return self.groups.get(name, (self.aliases.get(name, name),))


def plan_flow(flow: FlowConfig, given: Mapping[str, Any] | None = None) -> FlowPlan:
    """Put a flow's inputs where it refers to them, and its members where it has a group.

    Args:
        flow: The flow; a plan is returned as it is.
        given: What the caller chose of the inputs.

    Raises:
        InvalidRequestError: An input is unknown or has a value that it cannot have, or a group
            has no members.
        UnknownMemberError: A group has no such member.
        FlowTooLargeError: There are too many nodes, edges or loops.
    """
    if isinstance(flow, FlowPlan):
        return flow
    values = resolve_inputs(flow.inputs, given or {}, flow.name)
    groups: dict[str, tuple[str, ...]] = {}
    nodes: list[NodeConfig] = []
    for node in flow.nodes:
        made = list(_nodes(node, values))
        if node.group is not None:
            groups[node.id] = tuple(member.id for member in made)
        nodes += made
    _check_size(flow, len(nodes), groups)
    fields = {n: getattr(flow, n) for n in FlowConfig.model_fields if n != "schema_"}
    return FlowPlan(
        **{
            **fields,
            "nodes": tuple(nodes),
            "edges": tuple(_edges(flow.edges, groups)),
            "loops": tuple(_loop(loop, values) for loop in flow.loops),
            "output": tuple(i for name in flow.output for i in groups.get(name, (name,))),
        },
        values={name: v for name, v in values.items() if not isinstance(v, (list, tuple))},
        groups=groups,
    )


def member_node(member_id: str, group: str) -> str:
    """The id of the node that a member of a group becomes."""
    return f"{member_id}_{group}"


def _check_size(flow: FlowConfig, nodes: int, groups: Mapping[str, tuple[str, ...]]) -> None:
    def width(name: str) -> int:
        return len(groups[name]) if name in groups else 1

    edges = sum(width(edge.source) * width(edge.target) for edge in flow.edges)
    sizes = (
        (nodes, MOST_NODES, "nodes"),
        (edges, MOST_EDGES, "edges"),
        (len(flow.loops), MOST_LOOPS, "loops"),
    )
    for count, most, what in sizes:
        if count > most:
            raise FlowTooLargeError(
                f"Flow `{flow.name}` has {count} {what}; at most {most} can be run.",
                hint="fewer of them, or fewer members of its groups",
            )


def _nodes(node: NodeConfig, values: Mapping[str, Any]) -> Iterator[NodeConfig]:
    config = _filled(node.config, values)
    if node.group is None:
        yield node if config == node.config else node.model_copy(update={"config": config})
        return
    for member_id, member in _chosen(node, values):
        own = {name: getattr(member, name) for name in OF_MEMBER}
        yield node.model_copy(
            update={
                **{name: value for name, value in own.items() if value is not None},
                "id": member_node(member_id, node.id),
                "name": member.name or member_id,
                "role": member.role or node.role,
                "values": {**node.values, **member.values},
                "aliases": tuple(member_node(alias, node.id) for alias in member.aliases),
                "config": config,
                "group": None,
            }
        )


def _chosen(node: NodeConfig, values: Mapping[str, Any]) -> Iterator[tuple[str, Member]]:
    group = node.group
    if group is None:
        return
    chosen = group.chosen
    wanted = values.get(chosen.input) if isinstance(chosen, InputRef) else chosen
    if not isinstance(wanted, (list, tuple)):  # an input of another type: validation says so
        wanted = ()
    if not (wanted or group.members):
        raise InvalidRequestError(f"The group `{node.id}` has no members.")
    ids = {alias: i for i, member in group.members.items() for alias in member.aliases}
    seen: set[str] = set()
    for wish in wanted or group.members:
        member_id, member = _member(wish, group.members, ids)
        if member_id in seen:
            raise InvalidRequestError(
                f"The group `{node.id}` has the member `{member_id}` twice.",
                hint="an id for each member",
            )
        seen.add(member_id)
        yield member_id, member


def _member(
    wish: str | JsonObject, members: Mapping[str, Member], ids: Mapping[str, str]
) -> tuple[str, Member]:
    if isinstance(wish, str):
        member_id = ids.get(wish, wish)
        if member_id not in members:
            raise UnknownMemberError(wish, list(members), '{"id": …, "name": …, "values": …}')
        return member_id, members[member_id]
    try:
        own = OwnMember.model_validate(wish)
    except ValidationError as error:
        raise InvalidRequestError(
            f"A member is wrong: {field_problems(error)}.",
            hint=f'"id" as {NODE_ID}, "name", "values", "model"',
        ) from error
    member_id = ids.get(own.id, own.id)
    known = members.get(member_id)
    if known is not None:  # what is not said stays as the flow has it
        own = own.model_copy(
            update={
                name: getattr(known, name)
                for name in Member.model_fields
                if name not in own.model_fields_set
            }
        )
    return member_id, own


def _edges(
    edges: tuple[EdgeConfig, ...], groups: Mapping[str, tuple[str, ...]]
) -> Iterator[EdgeConfig]:
    for edge in edges:
        for source in groups.get(edge.source, (edge.source,)):
            for target in groups.get(edge.target, (edge.target,)):
                if (source, target) == (edge.source, edge.target):
                    yield edge
                else:
                    yield edge.model_copy(update={"source": source, "target": target})


def _loop(loop: LoopConfig, values: Mapping[str, Any]) -> LoopConfig:
    bound = loop.max_rounds
    chosen = values.get(bound.input) if isinstance(bound, InputRef) else None
    if not isinstance(chosen, int):  # an input of another type: validation says so
        return loop
    # A retry's bound counts the repeats; the first time is none.
    first = int(loop.counts == "retry")
    if not 1 - first <= chosen <= MOST_ROUNDS - first:
        raise InvalidRequestError(
            f"The loop `{loop.id}` cannot take {chosen} as its bound; "
            f"it takes {1 - first} to {MOST_ROUNDS - first}.",
            hint="minimum and maximum of the input",
        )
    return loop.model_copy(update={"max_rounds": chosen + first})


def _filled(part: Any, values: Mapping[str, Any]) -> Any:
    """A configuration with the values of the inputs that it refers to."""
    if isinstance(part, dict):
        name = part.get("input")
        if len(part) == 1 and isinstance(name, str) and name in values:
            chosen = values[name]
            return list(chosen) if isinstance(chosen, tuple) else chosen
        return {key: _filled(value, values) for key, value in part.items()}
    return [_filled(item, values) for item in part] if isinstance(part, list) else part
