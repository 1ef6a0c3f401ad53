"""Says what kind of task it is and what it explicitly asks for; asks no model."""

from agent_lab.deliberation.tasks import analyze_task, requirements_text
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import NodeConfig
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate
from agent_lab.orchestrator.node_types import NodeFunction, node
from agent_lab.orchestrator.run_context import RunContext


@node(
    "task_analyzer",
    title={"en": "Task analysis", "es": "Análisis de la tarea"},
    description={
        "en": "Names the kind of task and lists what it explicitly asks for.",
        "es": "Nombra el tipo de tarea y lista lo que pide expresamente.",
    },
    prompt="none",
    values={
        "task_type": "code, math, translation, summary, plan, writing, data, question or other",
        "demanding": "whether the machine is worth a look before the task is begun",
    },
)
def task_analyzer_node(config: NodeConfig, flow: FlowPlan) -> NodeFunction:
    """Make the node."""

    async def analyze(state: AgentState, run: RunContext) -> StateUpdate:
        analysis = analyze_task(state["user_input"], state["lang"])
        requirements = requirements_text(analysis, state["lang"])
        return {
            "outputs": {config.id: f"{analysis.task_type}\n{requirements}"},
            "values": {
                f"{config.id}_task_type": analysis.task_type,
                f"{config.id}_demanding": analysis.demanding,
            },
            "task_type": analysis.task_type,
            "requirements": requirements,
            "demanding": analysis.demanding,
        }

    return analyze
