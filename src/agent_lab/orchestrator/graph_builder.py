"""Turns a flow into a LangGraph graph."""

import secrets
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeAlias, cast
from zlib import crc32

from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command

from agent_lab.contracts import RunRequest
from agent_lab.deliberation.context import shared_head
from agent_lab.errors import ConfigurationError, UnknownFlowError
from agent_lab.flows.catalogue import Catalogue, NodeKind
from agent_lab.flows.course import Course
from agent_lab.flows.flow_plan import FlowPlan, plan_flow
from agent_lab.flows.flow_validator import check_flow
from agent_lab.flows.graph_configs import (
    FLOW_CONFIGS,
    FlowConfig,
    NodeConfig,
    get_flow_config,
)
from agent_lab.observability.logger import log_context
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate, new_state
from agent_lab.orchestrator.any_gateway import as_gateway
from agent_lab.orchestrator.budgets import bounded_within
from agent_lab.orchestrator.node_types import NODES, NodeFactory, NodeFunction, NodeType
from agent_lab.orchestrator.outcome import FlowOutcome, outcome_of
from agent_lab.orchestrator.routers import ROUTERS
from agent_lab.orchestrator.run_context import SEEDS, Gateway, RunContext
from agent_lab.orchestrator.step import Step

FlowGraph: TypeAlias = CompiledStateGraph[AgentState, RunContext, AgentState, AgentState]

MOST_GRAPHS = 256
"""Built graphs that a builder keeps."""


class GraphBuilder:
    """Builds graphs, with the node types of this package and those registered here.

    A graph is run as `await graph.ainvoke(state, context=run)`. Without a context its turns are
    answered by the builder's gateway, and nobody records them.

    Args:
        gateway: As `set_gateway` takes it; None: every graph is run with a context.
        flows: What nodes of the type `flow` can run.
    """

    def __init__(self, gateway: Any = None, flows: Mapping[str, FlowConfig] = FLOW_CONFIGS) -> None:
        self._own_types: dict[str, NodeType] = {}
        self._flows = flows
        self._graphs: dict[str, tuple[FlowPlan, FlowGraph]] = {}
        self._catalogue: Catalogue | None = None
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

    def register_node(
        self, node_type: str, factory: NodeFactory | NodeType, kind: NodeKind | None = None
    ) -> None:
        """Add a type of node for the graphs of this builder.

        Args:
            node_type: Its name in flows.
            factory: Makes a node from its configuration and its flow.
            kind: What it takes, gives and finds out; None: what `@node` said, else any
                configuration, and a text.
        """
        if isinstance(factory, NodeType):
            kind, factory = kind or factory.kind, factory.factory
        kind = kind or NodeKind(node_type, options=None, prompt="optional")
        self._own_types[node_type] = NodeType(kind, factory)
        self._graphs.clear()
        self._catalogue = None

    def catalogue(self) -> Catalogue:
        """What flows can be made of here; models and strategies are the gateway's to say."""
        if self._catalogue is None:
            self._catalogue = self._look_around()
        return self._catalogue

    def _look_around(self) -> Catalogue:
        kinds = {name: NODES.get(name).kind for name in sorted(NODES.names())}
        kinds |= {name: own.kind for name, own in self._own_types.items()}
        routers = {name: ROUTERS.get(name).routes for name in sorted(ROUTERS.names())}
        return Catalogue(kinds=kinds, routers=routers, flows=self._flows)

    def build_linear_flow_graph(self) -> FlowGraph:
        """Build the graph of the `linear` flow."""
        return self.build_graph_from_config(get_flow_config("linear"))

    def build_challenge_flow_graph(self) -> FlowGraph:
        """Build the graph of the `challenge` flow."""
        return self.build_graph_from_config(get_flow_config("challenge"))

    def build_graph_from_config(
        self, flow: FlowConfig, inputs: Mapping[str, Any] | None = None
    ) -> FlowGraph:
        """Build the graph of a flow.

        Args:
            flow: The flow.
            inputs: Values of its inputs; what is not given has its default.

        Raises:
            InvalidFlowError: The flow cannot run; every fault is named.
            InvalidRequestError: An input has a value that it cannot have.
        """
        return self._graph(plan_flow(flow, inputs))

    def prepare(
        self, flow: FlowConfig, inputs: Mapping[str, Any] | None = None
    ) -> tuple[FlowPlan, FlowGraph]:
        """As `build_graph_from_config`, with the plan; built once for equal flows and inputs."""
        key = f"{flow.version} {sorted((inputs or {}).items())!r}"
        if key not in self._graphs:
            plan = plan_flow(flow, inputs)
            if len(self._graphs) >= MOST_GRAPHS:
                self._graphs.pop(next(iter(self._graphs)))
            self._graphs[key] = (plan, self._graph(plan))
        return self._graphs[key]

    async def run_subflow(
        self, name: str, inputs: Mapping[str, Any], state: AgentState, run: RunContext
    ) -> FlowOutcome:
        """Run a flow within a run.

        Args:
            name: The flow.
            inputs: Values of its inputs.
            state: Of the flow around it; only the task, the language and the id are taken.
            run: The surroundings of the node that runs it.

        Raises:
            UnknownFlowError: There is no such flow.
        """
        if name not in self._flows:
            raise UnknownFlowError(name, list(self._flows), "agent-lab flows list")
        plan, graph = self.prepare(self._flows[name], inputs)
        request, lang = run.request, state["lang"]
        begin = new_state(
            request_id=state["request_id"],
            flow_type=plan.name,
            user_input=request.input,
            lang=lang,
            head=shared_head(request.input, request.attachments, lang, run.secret),
            inputs=plan.values,
        )
        final = await graph.ainvoke(begin, context=bounded_within(plan, run))
        return outcome_of(plan, cast(AgentState, final))

    def _graph(self, plan: FlowPlan) -> FlowGraph:
        check_flow(plan, self.catalogue())
        course = Course(plan)
        graph = StateGraph(AgentState, context_schema=RunContext)
        for config in plan.nodes:
            work = self._create_configurable_execution_node(config, plan)
            graph.add_node(config.id, self._step(config, plan, course, work))
        for entry in course.entries:
            graph.add_edge(START, entry)
        return graph.compile().with_config({"recursion_limit": course.most_steps})

    @staticmethod
    def _find_terminal_nodes(flow: FlowConfig) -> list[str]:
        """Nodes after which the flow can end."""
        return flow.terminal_nodes()

    def _create_configurable_execution_node(
        self, config: NodeConfig, flow: FlowPlan
    ) -> NodeFunction:
        """Make what a node does, by its type."""
        made = self._own_types.get(config.type) or NODES.get(config.type)
        return made.factory(config, flow)

    def _step(
        self, config: NodeConfig, plan: FlowPlan, course: Course, work: NodeFunction
    ) -> Callable[..., Any]:
        """Frame a node for LangGraph, which is told after each pass where to go."""
        step = Step(config, plan, course, work, self)

        async def take_step(
            state: AgentState, runtime: Runtime[RunContext | None]
        ) -> Command[str] | StateUpdate:
            if not course.is_ready(config.id, state["routes"]):
                return {}
            run = runtime.context or self._own_context(state)
            with log_context(node=config.id):
                update, targets = await step.take(state, run)
            return Command(update=update, goto=targets)

        return take_step

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
