"""The resource monitor: measures once, invents nothing."""

import pytest

from agent_lab.orchestrator.agent_state import AgentState, updated
from agent_lab.orchestrator.condition_values import condition_values
from agent_lab.providers.local.gpu_guard import Gpu
from agent_lab.providers.resources import Cpu, Memory, Resources
from tests.orchestrator.conftest import planned, staged, worked

PLAN = planned({"id": "monitor", "type": "resource_monitor"})


def machine(*free_vram_gb: float, loaded: tuple[str, ...] = ()) -> Resources:
    """A machine of which everything is known."""
    return Resources(
        cpu=Cpu(cores=8, load_1min=0.5),
        memory=Memory(total_gb=32.0, available_gb=12.3456, process_gb=0.1),
        gpus=tuple(
            Gpu(index=i, name="a card", total_gb=80.0, free_gb=free)
            for i, free in enumerate(free_vram_gb)
        ),
        loaded_models=loaded,
    )


@pytest.mark.parametrize(
    ("free", "vram"), [((), 0.0), ((3.14159,), 3.14), ((1.0, 70.5, 2.0), 70.5)], ids=str
)
async def test_the_figures_are_those_of_the_machine(
    fresh: AgentState, free: tuple[float, ...], vram: float
):
    stage = staged({}, resources=lambda: machine(*free, loaded=("a", "b")))
    update = await worked(PLAN, "monitor", fresh, stage)
    assert update["values"] == {
        "monitor_memory_gb": 12.35,
        "monitor_vram_gb": vram,
        "monitor_cores": 8,
        "monitor_loaded": 2,
    }
    assert update["outputs"] == {
        "monitor": f"memory_gb 12.35, vram_gb {vram}, cores 8, loaded 2",
    }


async def test_conditions_can_choose_a_way_by_them(fresh: AgentState):
    stage = staged({}, resources=lambda: machine(5.0))
    update = await worked(PLAN, "monitor", fresh, stage)
    assert condition_values(updated(fresh, update))["monitor_vram_gb"] == 5.0


async def test_no_model_is_asked_and_the_machine_is_measured_once(fresh: AgentState):
    measured: list[int] = []

    def measure() -> Resources:
        measured.append(1)
        return machine()

    stage = staged({}, resources=measure)
    await worked(PLAN, "monitor", fresh, stage)
    assert measured == [1]
    assert stage.roles == []
