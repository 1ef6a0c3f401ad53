"""The machine's figures are measured, in the units that they are documented in."""

import os

import psutil

from agent_lab.contracts import GenerationRequest
from agent_lab.lab import Lab
from agent_lab.providers.resources import read_resources
from tests.loaded import loaded_model


def test_the_figures_are_those_of_this_machine():
    coming = loaded_model("c").model_copy(update={"state": "loading"})
    read = read_resources((loaded_model("a"), loaded_model("b"), coming))
    assert read.cpu.cores == os.cpu_count()
    assert read.cpu.load_1min >= 0
    assert 0 < read.memory.available_gb <= read.memory.total_gb
    assert read.memory.total_gb * 1e9 <= psutil.virtual_memory().total * 1.001
    assert 0 < read.memory.process_gb < read.memory.total_gb
    assert all(0 <= gpu.free_gb <= gpu.total_gb for gpu in read.gpus)
    assert read.loaded_models == ("a", "b")
    assert [model.key for model in read.local_models] == ["a", "b", "c"]


async def test_a_gateway_that_answered_from_a_script_has_loaded_nothing(scripted_lab: Lab):
    await scripted_lab.gateway.generate(GenerationRequest(prompt="hi", role="creator"))
    assert scripted_lab.gateway.resources().loaded_models == ()
