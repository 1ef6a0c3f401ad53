"""What this machine has, and what of it is free. Memory is in GB (10^9 bytes)."""

from contextlib import suppress

import psutil

from agent_lab.contracts import Contract, LoadedModel
from agent_lab.providers.local.gpu_guard import Gpu, read_gpus
from agent_lab.providers.local.machine import available_ram, total_ram


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
    """What this process holds, and those in which its models are loaded."""


class Resources(Contract):
    """The machine at one moment."""

    cpu: Cpu
    memory: Memory
    gpus: tuple[Gpu, ...] = ()
    """NVIDIA GPUs; empty where there is none, or no driver."""
    loaded_models: tuple[str, ...] = ()
    """Keys of the models that are in memory."""
    local_models: tuple[LoadedModel, ...] = ()
    """The same, with what each takes and what it is doing; those that come and go, too."""


def read_resources(models: tuple[LoadedModel, ...] = ()) -> Resources:
    """Measure the machine; takes milliseconds.

    Args:
        models: What the caller knows to take memory.
    """
    return Resources(
        cpu=Cpu(cores=psutil.cpu_count() or 1, load_1min=psutil.getloadavg()[0]),
        memory=Memory(
            total_gb=total_ram() / 1e9,
            available_gb=available_ram() / 1e9,
            process_gb=_held_bytes() / 1e9,
        ),
        gpus=read_gpus(),
        loaded_models=tuple(model.key for model in models if model.state == "ready"),
        local_models=models,
    )


def _held_bytes() -> int:
    own = psutil.Process()
    held = own.memory_info().rss
    for child in own.children(recursive=True):
        with suppress(psutil.Error):  # it may have ended meanwhile
            held += child.memory_info().rss
    return held


def total_memory_gb() -> float:
    """Main memory that this process could have, in GB."""
    return total_ram() / 1e9
