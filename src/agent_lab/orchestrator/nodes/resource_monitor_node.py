"""Measures the machine, so that conditions can choose by it and the record can say it."""

from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import NodeConfig
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate
from agent_lab.orchestrator.node_types import NodeFunction, node
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.orchestrator.run_recorder import decided


@node(
    "resource_monitor",
    title={"en": "Resources", "es": "Recursos"},
    description={
        "en": "Measures free memory and cores; conditions can choose a way by them.",
        "es": "Mide memoria y núcleos libres; las condiciones pueden elegir camino según ellos.",
    },
    prompt="none",
    values={
        "memory_gb": "main memory that a new model could have, in GB (10^9 bytes)",
        "vram_gb": "free memory of the freest GPU, in GB; 0 without one",
        "cores": "logical cores",
        "loaded": "how many models are in memory",
    },
)
def resource_monitor_node(config: NodeConfig, flow: FlowPlan) -> NodeFunction:
    """Make the node."""

    async def measure(state: AgentState, run: RunContext) -> StateUpdate:
        key = run.place.key(run.prefix + config.id, "resources")
        found = await decided(run.recorder, key, lambda: _measured(run))
        return {
            "outputs": {config.id: ", ".join(f"{name} {value}" for name, value in found.items())},
            "values": {f"{config.id}_{name}": value for name, value in found.items()},
        }

    return measure


async def _measured(run: RunContext) -> dict[str, float]:
    machine = run.resources()
    return {
        "memory_gb": round(machine.memory.available_gb, 2),
        "vram_gb": round(max((gpu.free_gb for gpu in machine.gpus), default=0.0), 2),
        "cores": machine.cpu.cores,
        "loaded": len(machine.loaded_models),
    }
