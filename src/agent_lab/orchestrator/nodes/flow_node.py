"""Runs another flow as one node; its answer is the node's text."""

from dataclasses import replace
from typing import Any

from pydantic import Field
from typing_extensions import override

from agent_lab.errors import ConfigurationError
from agent_lab.flows.catalogue import NodeOptions
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import NodeConfig
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate
from agent_lab.orchestrator.cast import inner_request
from agent_lab.orchestrator.node_types import NodeFunction, node
from agent_lab.orchestrator.outcome import hard_stops_within, seen_from_around
from agent_lab.orchestrator.prompts import Prompt
from agent_lab.orchestrator.run_context import Place, RunContext
from agent_lab.orchestrator.turns import strictest


class SubflowOptions(NodeOptions):
    """Which flow is run, and with what."""

    flow: str
    """The flow's name."""
    inputs: dict[str, Any] = Field(default_factory=dict)
    """Values of its inputs; `{"input": NAME}` hands on one of this flow's."""

    @override
    def subflow(self) -> str | None:
        """The flow's name."""
        return self.flow


@node(
    "flow",
    title={"en": "Flow", "es": "Flujo"},
    description={
        "en": "Runs another flow; the prompt, if there is one, is that flow's task.",
        "es": "Ejecuta otro flujo; la instrucción, si la hay, es la tarea de ese flujo.",
    },
    options=SubflowOptions,
    prompt="optional",
)
def flow_node(config: NodeConfig, flow: FlowPlan) -> NodeFunction:
    """Make the node."""
    options = SubflowOptions.model_validate(config.config)
    prompt = Prompt(config, flow)

    async def run_it(state: AgentState, run: RunContext) -> StateUpdate:
        lost = prompt.lost_ground(state)
        if lost is not None:
            return {"failures": {config.id: lost}}
        if run.subflows is None:
            raise ConfigurationError(f"Node `{config.id}` has nobody to run its flow.")
        task = prompt.own_part(state, run) if config.prompt_template else state["user_input"]
        inner = replace(
            run,
            request=inner_request(config, run.request).model_copy(
                update={
                    "input": task,
                    "data_policy": strictest(flow.data_policy, run.request.data_policy),
                }
            ),
            prefix=f"{run.prefix}{_pass(config, run.place)}.",
        )
        outcome = await run.subflows.run_subflow(options.flow, options.inputs, state, inner)
        if outcome.error is not None:
            return {"failures": {config.id: seen_from_around(outcome.error, options.flow)}}
        return {
            "outputs": {config.id: outcome.output},
            # The run's budget is shared: that it is used up ends the loops out here, too.
            "failures": {config.id: None, **hard_stops_within(config.id, options.flow, outcome)},
            "degraded": {config.id: " ".join(outcome.degraded)},
        }

    return run_it


def _pass(config: NodeConfig, place: Place) -> str:
    """The node's id; in later passes with visit and retry, since the turns within count anew."""
    visit = f"[{place.visit}]" if place.visit or place.retry else ""
    return f"{config.id}{visit}" + (f"[{place.retry}]" if place.retry else "")
