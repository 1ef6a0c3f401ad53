"""The types of node that there are, found by name."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from agent_lab.flows.catalogue import NodeKind, NodeOptions
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import NodeConfig
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.plugins import Registry

NodeFunction = Callable[[AgentState, RunContext], Awaitable[StateUpdate]]
NodeFactory = Callable[[NodeConfig, FlowPlan], NodeFunction]


class NodeType(NamedTuple):
    """A type of node: what it is, and what makes its nodes."""

    kind: NodeKind
    factory: NodeFactory

    def __call__(self, config: NodeConfig, flow: FlowPlan) -> NodeFunction:
        """Make a node."""
        return self.factory(config, flow)


NODES: Registry[NodeType] = Registry(
    "node", ("agent_lab.orchestrator.nodes",), "_node", "agent_lab.nodes"
)


def node(
    name: str,
    *,
    options: type[NodeOptions] | None = NodeOptions,
    values: Mapping[str, str] | None = None,
    **kind: Any,
) -> Callable[[NodeFactory], NodeType]:
    """Decorator: makes a function the maker of the nodes of one type.

    Args:
        name: The type's name; the module is `<name>_node.py`.
        options: Checks a node's `config`.
        values: What its nodes find out, with the meaning of each.
        kind: Further fields of `NodeKind`.
    """

    def decorate(factory: NodeFactory) -> NodeType:
        described = NodeKind(name, options=options, values=values or {}, **kind)
        return NODES.register(name)(NodeType(described, factory))

    return decorate
