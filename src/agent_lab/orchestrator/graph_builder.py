"""Turns a flow into a LangGraph graph."""

import secrets
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias
from zlib import crc32

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from agent_lab.contracts import RunRequest
from agent_lab.errors import ConfigurationError
from agent_lab.flows.conditions import Value, holds
from agent_lab.flows.flow_validator import validate
from agent_lab.flows.graph_configs import (
    EdgeConfig,
    FlowConfig,
    NodeConfig,
    get_challenge_flow_config,
    get_flow_config,
)
from agent_lab.observability.logger import log_context
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate, failures_of
from agent_lab.orchestrator.any_gateway import as_gateway
from agent_lab.orchestrator.run_context import (
    NODES,
    SEEDS,
    Gateway,
    NodeFactory,
    NodeFunction,
    RunContext,
)

FlowGraph: TypeAlias = CompiledStateGraph[AgentState, RunContext, AgentState, AgentState]


class GraphBuilder:
    """Builds graphs, with the node types of this package and those registered here.

    A graph is run as `await graph.ainvoke(state, context=run)`. Without a context its turns are
    answered by the builder's gateway, and nobody records them.

    Args:
        gateway: As `set_gateway` takes it; None: every graph is run with a context.
    """

    def __init__(self, gateway: Any = None) -> None:
        self._own_types: dict[str, NodeFactory] = {}
        self._secret = secrets.token_bytes(32)
        self.gateway: Gateway | None = None
        if gateway is not None:
            self.set_gateway(gateway)

    def set_gateway(self, gateway: Any) -> None:
        """Choose who answers in graphs that are run without a context of their own.

        Args:
            gateway: A `ProviderGateway`, or any object with `generate`; see `as_gateway`.

        Raises:
            ConfigurationError: It cannot generate.
        """
        self.gateway = as_gateway(gateway)

    def register_node(self, node_type: str, factory: NodeFactory) -> None:
        """Add a type of node for the graphs of this builder."""
        self._own_types[node_type] = factory

    def build_challenge_flow_graph(self) -> FlowGraph:
        """Build the graph of the `challenge` flow."""
        return self.build_graph_from_config(get_challenge_flow_config())

    def build_graph_from_config(self, flow: FlowConfig) -> FlowGraph:
        """Build the graph of a flow.

        Raises:
            InvalidFlowError: The flow cannot run; every fault is named.
        """
        validate(flow, NODES.names() | set(self._own_types))
        graph = StateGraph(AgentState, context_schema=RunContext)
        joins = _joins(flow)
        for config in flow.nodes:
            # A join waits for every branch, also for one that was not taken.
            work = self._create_configurable_execution_node(config, flow)
            graph.add_node(config.id, self._step(config, work), defer=config.id in joins)
        graph.add_edge(START, flow.entry_point)
        terminals = self._find_terminal_nodes(flow)
        for config in flow.nodes:
            ends = [END] if config.id in terminals else []
            _connect(graph, config.id, flow.edges_from(config.id), ends)
        return graph.compile()

    @staticmethod
    def _find_terminal_nodes(flow: FlowConfig) -> list[str]:
        """Nodes after which the flow can end."""
        return flow.terminal_nodes()

    def _create_configurable_execution_node(
        self, config: NodeConfig, flow: FlowConfig
    ) -> NodeFunction:
        """Make what a node does, by its type."""
        factory = self._own_types.get(config.type) or NODES.get(config.type)
        return factory(config, flow)

    def _step(self, config: NodeConfig, work: NodeFunction) -> Callable[..., Any]:
        """Frame a node: its events, its place in the logs, and the check of what it returns."""

        async def step(state: AgentState, runtime: Runtime[RunContext | None]) -> StateUpdate:
            run = runtime.context or self._own_context(state)
            with log_context(node=config.id):
                await run.recorder.record("STEP_STARTED", {"stepName": config.id})
                update = await work(state, run)
                _refuse_undeclared(config, update)
                await run.recorder.record("STEP_FINISHED", {"stepName": config.id})
            return update

        return step

    def _own_context(self, state: AgentState) -> RunContext:
        if self.gateway is None:
            raise ConfigurationError(
                "The graph has nobody to ask: neither a context nor a gateway was given.",
                hint="GraphBuilder(gateway), set_gateway(gateway), or ainvoke(…, context=run)",
            )
        return RunContext(
            gateway=self.gateway,
            request=RunRequest(flow=state["flow_type"], input=state["user_input"]),
            # One seed for all turns of a run, although each node asks anew.
            seed=crc32(state["request_id"].encode()) % SEEDS,
            secret=self._secret,
        )


@cache
def get_graph_builder() -> GraphBuilder:
    """The builder that a whole program can share: a convenience for scripts and notebooks."""
    return GraphBuilder()


def build_routing_graph(flow_type: str = "challenge", gateway: Any = None) -> FlowGraph:
    """Build the graph of a shipped flow.

    Args:
        flow_type: The flow's name.
        gateway: As `GraphBuilder` takes it.

    Raises:
        UnknownFlowError: There is no such flow.
        ConfigurationError: The gateway cannot generate.
    """
    return GraphBuilder(gateway).build_graph_from_config(get_flow_config(flow_type))


def _joins(flow: FlowConfig) -> set[str]:
    sources = Counter(edge.target for edge in flow.edges)
    return {target for target, count in sources.items() if count > 1}


def _refuse_undeclared(config: NodeConfig, update: StateUpdate) -> None:
    declared = StateUpdate.__annotations__
    undeclared = sorted(set(update) - set(declared))
    if undeclared:
        raise ConfigurationError(
            f"Node `{config.id}` returned `{undeclared[0]}`, which no node may change; "
            f"nodes may return {', '.join(f'`{key}`' for key in declared)}."
        )


def _connect(graph: Any, source: str, edges: list[EdgeConfig], ends: list[str]) -> None:
    conditional = [edge for edge in edges if edge.condition is not None]
    otherwise = [edge.target for edge in edges if edge.condition is None] + ends
    if not conditional:
        for target in otherwise:
            graph.add_edge(source, target)
        return

    def route(state: AgentState) -> list[str]:
        values = condition_values(state)
        for edge in conditional:
            if edge.condition is not None and holds(edge.condition, values):
                return [edge.target]
        return otherwise

    graph.add_conditional_edges(source, route, [*(e.target for e in conditional), *otherwise])


def condition_values(state: AgentState) -> dict[str, Value]:
    """What the conditions of edges can read, by name."""
    values: dict[str, Value] = {
        "user_input": state["user_input"],
        "lang": state["lang"],
        "request_id": state["request_id"],
        "flow_type": state["flow_type"],
        "round": max(state["visits"].values(), default=0),
    }
    failed = failures_of(state)
    for node_id, visits in state["visits"].items():
        values[f"{node_id}_visits"] = visits
        values[f"{node_id}_status"] = "failed" if node_id in failed else "ok"
        values[f"{node_id}_output"] = state["outputs"].get(node_id)
    return values
