"""How much memory models can have, and whether one fits into it."""

import logging
from typing import Any, NamedTuple

import pynvml

from agent_lab.config import load_settings
from agent_lab.contracts import Contract
from agent_lab.providers.local.machine import available_ram, total_ram
from agent_lab.providers.registries.model_registry import ModelRegistry

logger = logging.getLogger(__name__)


class Gpu(Contract):
    """One graphics processor; memory is in GB (10^9 bytes)."""

    index: int
    name: str
    total_gb: float
    free_gb: float


def read_gpus(nvml: Any = pynvml) -> tuple[Gpu, ...]:
    """Read the NVIDIA GPUs of this machine; none where there is no driver.

    Args:
        nvml: The binding of NVIDIA's management library.
    """
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        logger.debug("No NVIDIA GPU can be asked: %s", error)
        return ()
    try:
        gpus = [_read(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
    finally:
        nvml.nvmlShutdown()
    return tuple(gpu for gpu in gpus if gpu is not None)


class Room(NamedTuple):
    """The memory of the device that models lie in, in bytes."""

    limit: int
    """What all models together may take."""
    free: int
    """What nobody takes, other programs included."""


def read_room(limit_gb: float | None, *, on_gpu: bool, nvml: Any = pynvml) -> Room:
    """Measure the memory that models can have.

    Several GPUs count as one: an engine spreads the layers of a model over all of them.

    Args:
        limit_gb: What the operator allows, in GB (10^9 bytes); None: all that the device has.
        on_gpu: Whether models lie in the memory of the GPUs, or in the main memory.
        nvml: The binding of NVIDIA's management library.
    """
    # Where the engine uses a GPU of another maker, the main memory is all that can be asked: on
    # Apple's machines it is the same, elsewhere `limit_gb` is what counts.
    if gpus := read_gpus(nvml) if on_gpu else ():
        total = round(1e9 * sum(gpu.total_gb for gpu in gpus))
        free = round(1e9 * sum(gpu.free_gb for gpu in gpus))
    else:
        total, free = total_ram(), available_ram()
    return Room(total if limit_gb is None else min(total, round(limit_gb * 1e9)), free)


def get_available_vram() -> float:
    """Free memory of the freest GPU in GB (10^9 bytes); 0.0 on a machine without one."""
    return max((gpu.free_gb for gpu in read_gpus()), default=0.0)


def can_load_model(key: str) -> bool:
    """Whether a model of the registry fits into the memory that is free now.

    What counts is the freer of the main memory and the freest GPU, within MAX_VRAM_USAGE_GB. A
    model that is not local needs none.

    Args:
        key: The model key.

    Raises:
        UnknownModelError: No model has this key.
    """
    settings = load_settings()
    need = ModelRegistry.load(settings.operator_models).get(key).min_vram_gb
    free = max(get_available_vram(), available_ram() / 1e9)
    return need <= min(free, settings.max_vram_usage_gb or free)


def _read(nvml: Any, index: int) -> Gpu | None:
    try:
        device = nvml.nvmlDeviceGetHandleByIndex(index)
        memory = nvml.nvmlDeviceGetMemoryInfo(device)
        name = nvml.nvmlDeviceGetName(device)
    except nvml.NVMLError as error:
        # One that has no memory of its own, or is lost, says nothing of the others.
        logger.warning("GPU %d cannot be read: %s", index, error)
        return None
    return Gpu(
        index=index,
        name=name,
        total_gb=memory.total / 1e9,
        free_gb=memory.free / 1e9,
    )
