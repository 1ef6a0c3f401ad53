"""What one run hands to every node beside the state: with whom it talks, and on which terms."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from agent_lab.contracts import GenerationRequest, RunRequest
from agent_lab.flows.graph_configs import FlowConfig, NodeConfig
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate
from agent_lab.orchestrator.run_recorder import NoRecorder, RunRecorder
from agent_lab.plugins import Registry
from agent_lab.providers.provider_gateway import GenerationChunk
from agent_lab.providers.resilience.budget import BudgetKeeper


class Gateway(Protocol):
    """What nodes see of the providers."""

    def stream(
        self, request: GenerationRequest, *, budget: BudgetKeeper | None = None
    ) -> AsyncGenerator[GenerationChunk, None]:
        """Answer a request piece by piece; the last chunk carries the result."""


SEEDS = 2**31
"""How many seeds there are: every engine takes these."""


def utc_now() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class RunContext:
    """One run's surroundings; the same object for all its nodes."""

    gateway: Gateway
    request: RunRequest
    """What the caller asked for: models by role, sampling, limits."""
    seed: int
    secret: bytes
    """The installation's secret, for the tags of fences."""
    recorder: RunRecorder = field(default_factory=NoRecorder)
    models: Mapping[str | None, str] = field(default_factory=dict)
    """The model that is going to answer for each wish, as far as it is known; None: no wish."""
    budget: BudgetKeeper | None = None
    """What the run may still spend; the same object for all its turns."""
    now: Callable[[], datetime] = utc_now


def wished_model(node: NodeConfig, request: RunRequest) -> str | None:
    """The model key for a node: the caller's for its role, the flow's own, the caller's for all.

    None: the default model.
    """
    return request.models.get(node.speaker) or node.model or request.model


NodeFunction = Callable[[AgentState, RunContext], Awaitable[StateUpdate]]
NodeFactory = Callable[[NodeConfig, FlowConfig], NodeFunction]

NODES: Registry[NodeFactory] = Registry(
    "node", ("agent_lab.orchestrator.nodes",), "_node", "agent_lab.nodes"
)


def node(name: str) -> Callable[[NodeFactory], NodeFactory]:
    """Decorator: makes a function the maker of the nodes of one type."""
    return NODES.register(name)
