"""What this machine has, and what of it is free. Memory is in GB (10^9 bytes)."""

import psutil

from agent_lab.contracts import Contract
from agent_lab.providers.local.gpu_guard import Gpu, read_gpus


class Cpu(Contract):
    """The processor."""

    cores: int
    """Logical cores."""
    load_1min: float
    """Processes that ran or waited for a core, averaged over the last minute."""


class Memory(Contract):
    """The main memory, in GB."""

    total_gb: float
    available_gb: float
    """What a new model could have without swapping."""
    process_gb: float
    """What this process holds, loaded models included."""


class Resources(Contract):
    """The machine at one moment."""

    cpu: Cpu
    memory: Memory
    gpus: tuple[Gpu, ...] = ()
    """NVIDIA GPUs; empty where there is none, or no driver."""
    loaded_models: tuple[str, ...] = ()
    """Keys of the models that are in memory."""


def read_resources(loaded_models: tuple[str, ...] = ()) -> Resources:
    """Measure the machine; takes milliseconds.

    Args:
        loaded_models: What the caller knows to be in memory.
    """
    memory = psutil.virtual_memory()
    return Resources(
        cpu=Cpu(cores=psutil.cpu_count() or 1, load_1min=psutil.getloadavg()[0]),
        memory=Memory(
            total_gb=memory.total / 1e9,
            available_gb=memory.available / 1e9,
            process_gb=psutil.Process().memory_info().rss / 1e9,
        ),
        gpus=read_gpus(),
        loaded_models=loaded_models,
    )
