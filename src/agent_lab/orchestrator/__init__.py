"""Runs a flow as a LangGraph graph; the only place that knows LangGraph."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent_lab.orchestrator.agent_state import AgentState
    from agent_lab.orchestrator.graph_builder import (
        GraphBuilder,
        build_routing_graph,
        get_graph_builder,
    )
    from agent_lab.orchestrator.nodes.execution_node import execution_node
    from agent_lab.orchestrator.routing_agent import run_orchestrator, run_routing_agent

_HOMES = {
    "AgentState": "agent_lab.orchestrator.agent_state",
    "GraphBuilder": "agent_lab.orchestrator.graph_builder",
    "build_routing_graph": "agent_lab.orchestrator.graph_builder",
    "execution_node": "agent_lab.orchestrator.nodes.execution_node",
    "get_graph_builder": "agent_lab.orchestrator.graph_builder",
    "run_orchestrator": "agent_lab.orchestrator.routing_agent",
    "run_routing_agent": "agent_lab.orchestrator.routing_agent",
}

__all__ = [
    "AgentState",
    "GraphBuilder",
    "build_routing_graph",
    "execution_node",
    "get_graph_builder",
    "run_orchestrator",
    "run_routing_agent",
]


def __getattr__(name: str) -> Any:
    # LangGraph loads at the first use of a name: a recorder or a figure needs none of it.
    if name not in _HOMES:
        raise AttributeError(f"module `agent_lab.orchestrator` has no attribute `{name}`")
    return getattr(importlib.import_module(_HOMES[name]), name)
