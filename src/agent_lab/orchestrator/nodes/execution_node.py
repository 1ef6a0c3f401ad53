"""A role's turn: builds its prompt, asks, and hands its text on."""

from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import NodeConfig
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate
from agent_lab.orchestrator.node_types import NodeFunction, node
from agent_lab.orchestrator.prompts import Prompt
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.orchestrator.turns import said, take_turn


@node(
    "execution",
    title={"en": "Role", "es": "Papel"},
    description={
        "en": "Asks a model with the node's prompt.",
        "es": "Pregunta a un modelo con la instrucción del nodo.",
    },
)
def execution_node(config: NodeConfig, flow: FlowPlan) -> NodeFunction:
    """Make the node of one role."""
    prompt = Prompt(config, flow)

    async def speak(state: AgentState, run: RunContext) -> StateUpdate:
        lost = prompt.lost_ground(state)
        if lost is not None:
            return {"failures": {config.id: lost}}
        turn = await take_turn(config, flow, state, run, prompt.messages(state, run))
        return said(config, turn)

    return speak
