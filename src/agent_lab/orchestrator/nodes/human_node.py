"""Asks a person: the run waits, for days if need be, and goes on with what they say."""

from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import NodeConfig
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate
from agent_lab.orchestrator.node_types import NodeFunction, node
from agent_lab.orchestrator.prompts import Prompt
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.orchestrator.turns import ask_person, said


@node(
    "human",
    title={"en": "Person", "es": "Persona"},
    description={
        "en": "Shows a person the node's prompt, and waits for what they say.",
        "es": "Muestra a una persona la instrucción del nodo y espera su respuesta.",
    },
    asks="person",
)
def human_node(config: NodeConfig, flow: FlowPlan) -> NodeFunction:
    """Make the node."""
    prompt = Prompt(config, flow)

    async def ask(state: AgentState, run: RunContext) -> StateUpdate:
        lost = prompt.lost_ground(state)
        if lost is not None:
            return {"failures": {config.id: lost}}
        return said(config, await ask_person(config, run, prompt.messages(state, run)))

    return ask
