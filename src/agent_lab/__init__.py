"""AI Agent Lab: language models deliberate, and you see the debate, its cost and its worth."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent_lab.config import Settings
    from agent_lab.contracts import GenerationRequest, GenerationResult, RunRecord, RunRequest, Turn
    from agent_lab.errors import AgentLabError
    from agent_lab.lab import Lab, arun_orchestrator, build, run_orchestrator
    from agent_lab.providers.provider_gateway import ProviderGateway

_HOMES = {
    "AgentLabError": "agent_lab.errors",
    "GenerationRequest": "agent_lab.contracts",
    "GenerationResult": "agent_lab.contracts",
    "Lab": "agent_lab.lab",
    "ProviderGateway": "agent_lab.providers.provider_gateway",
    "RunRecord": "agent_lab.contracts",
    "RunRequest": "agent_lab.contracts",
    "Settings": "agent_lab.config",
    "Turn": "agent_lab.contracts",
    "arun_orchestrator": "agent_lab.lab",
    "build": "agent_lab.lab",
    "run_orchestrator": "agent_lab.lab",
}

__version__ = "0.1.0"
__all__ = [
    "AgentLabError",
    "GenerationRequest",
    "GenerationResult",
    "Lab",
    "ProviderGateway",
    "RunRecord",
    "RunRequest",
    "Settings",
    "Turn",
    "__version__",
    "arun_orchestrator",
    "build",
    "run_orchestrator",
]


def __getattr__(name: str) -> Any:
    # The heavy modules load at the first use of a name: `import agent_lab` stays light.
    if name not in _HOMES:
        raise AttributeError(f"module `agent_lab` has no attribute `{name}`")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
