"""One gateway to every model, local and remote."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent_lab.providers.local.gpu_guard import can_load_model, get_available_vram
    from agent_lab.providers.registries.model_registry import get_model, list_models, supports_task

_HOMES = {
    "can_load_model": "agent_lab.providers.local.gpu_guard",
    "get_available_vram": "agent_lab.providers.local.gpu_guard",
    "get_model": "agent_lab.providers.registries.model_registry",
    "list_models": "agent_lab.providers.registries.model_registry",
    "supports_task": "agent_lab.providers.registries.model_registry",
}

__all__ = ["can_load_model", "get_available_vram", "get_model", "list_models", "supports_task"]


def __getattr__(name: str) -> Any:
    # Loaded at the first use of a name: importing one part of this package loads no other.
    if name not in _HOMES:
        raise AttributeError(f"module `agent_lab.providers` has no attribute `{name}`")
    return getattr(importlib.import_module(_HOMES[name]), name)
