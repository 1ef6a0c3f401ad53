"""What one run hands to every node beside the state: with whom it talks, and on which terms."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from agent_lab.contracts import GenerationRequest, RunRequest
from agent_lab.flows.graph_configs import NodeConfig
from agent_lab.orchestrator.agent_state import AgentState
from agent_lab.orchestrator.history import HistoryReader, NoHistory
from agent_lab.orchestrator.outcome import FlowOutcome
from agent_lab.orchestrator.run_recorder import NoRecorder, RunRecorder
from agent_lab.providers.provider_gateway import GenerationChunk
from agent_lab.providers.resilience.budget import BudgetKeeper
from agent_lab.providers.resources import Resources, read_resources


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


class Place(NamedTuple):
    """Where in its loops a node is; with the node's path this is the key of its turn."""

    round: int = 1
    """The pass of the loop, as people count it."""
    visit: int = 0
    """The node's own pass counter, retries not counted."""
    retry: int = 0

    def key(self, path: str, name: str) -> str:
        """Of a decision in this pass of the node of this path."""
        return f"{path}:{self.visit}:{self.retry}:{name}"


class KnownModel(NamedTuple):
    """What tells one model from another."""

    family: str = ""
    """Models of one family favour each other's texts."""
    parameters_b: float = 0.0
    """Billions of parameters; 0: unknown."""


class Subflows(Protocol):
    """Runs flows within a run."""

    async def run_subflow(
        self, name: str, inputs: Mapping[str, Any], state: AgentState, run: "RunContext"
    ) -> FlowOutcome:
        """Run a flow of this name on the task of `state`; its turns are recorded as the run's."""


@dataclass(frozen=True)
class RunContext:
    """One run's surroundings; the same for all its nodes but for `place`."""

    gateway: Gateway
    request: RunRequest
    """What the caller asked for: models by role, sampling, limits."""
    seed: int
    secret: bytes
    """The installation's secret, for the tags of fences."""
    recorder: RunRecorder = field(default_factory=NoRecorder)
    models: Mapping[str | None, str] = field(default_factory=dict)
    """The model that is going to answer for each wish, as far as it is known; None: no wish."""
    known: Mapping[str, KnownModel] = field(default_factory=dict)
    """By model key: what the registry says of it."""
    budget: BudgetKeeper | None = None
    """What the run may still spend; the same object for all its turns."""
    deadline: float | None = None
    """Seconds on the event loop's clock after which no call is waited for."""
    deadline_of: str = ""
    """The flow within the run whose time is over then; empty: the run's is."""
    elapsed_s: float = 0.0
    """Seconds of the run's time that earlier executions of it took."""
    owner: str | None = None
    """Whose run it is."""
    history: HistoryReader = field(default_factory=NoHistory)
    resources: Callable[[], Resources] = read_resources
    """Measures the machine."""
    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    """How pauses pass."""
    prefix: str = ""
    """Path of the node whose flow this is, with a dot; empty: the run's own flow."""
    place: Place = Place()
    subflows: Subflows | None = None
    """Who runs flows within this one; whoever built the graph."""


def wished_model(node: NodeConfig, request: RunRequest) -> str | None:
    """The model key for a node: the caller's for its role, the flow's own, the caller's for all.

    None: the default model.
    """
    for name in (node.speaker, *node.aliases):
        if name in request.models:
            return request.models[name]
    return node.model or request.model
