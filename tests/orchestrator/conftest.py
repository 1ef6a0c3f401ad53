"""What the tests of the orchestrator stand on: states, contexts, small flows, a clock of their own.

Nothing here sleeps: pauses are noted, and virtual time jumps to the next thing that is due.
"""

import asyncio
import hmac
import os
import re
import selectors
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
from typing_extensions import override

from agent_lab.contracts import ErrorInfo, JsonObject, Language, RunRequest, Turn
from agent_lab.deliberation.context import shared_head
from agent_lab.deliberation.issues import Issue
from agent_lab.errors import AgentLabError, ProviderError
from agent_lab.flows.flow_plan import FlowPlan, plan_flow
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate, new_state, updated
from agent_lab.orchestrator.flow_runner import run_flow
from agent_lab.orchestrator.graph_builder import GraphBuilder
from agent_lab.orchestrator.history import EarlierRun
from agent_lab.orchestrator.node_types import NODES
from agent_lab.orchestrator.outcome import FlowOutcome
from agent_lab.orchestrator.run_context import Place, RunContext
from agent_lab.orchestrator.run_recorder import AskedTurn, Collector, EventType
from agent_lab.providers.local.scripted_provider import Script, ScriptedProvider, ScriptedReply
from agent_lab.providers.provider_gateway import ProviderGateway
from tests.conftest import FIXED_SECRET

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
TASK = "Compute the mean of a list."
TAREA = "Calcula la media de una lista."
SNAPSHOTS = Path(__file__).parent / "snapshots"
Result = TypeVar("Result")


class Log(Collector):
    """Keeps all that happened: turns, steps, events, and what was shown of each turn."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[EventType, JsonObject]] = []
        self._deltas: dict[str, list[str]] = {}

    @override
    async def record(self, event_type: EventType, payload: JsonObject) -> None:
        self.events.append((event_type, payload))

    @override
    async def begin_turn(self, asked: AskedTurn) -> Turn | None:
        await self.record("TEXT_MESSAGE_START", asked.event())
        return None

    @override
    def publish_delta(self, turn: str, delta: str, *, reasoning: bool) -> None:
        self._deltas.setdefault(turn, []).append(delta)

    @property
    def shown(self) -> dict[str, str]:
        """By turn: what was shown of it as it came."""
        return {turn: "".join(deltas) for turn, deltas in self._deltas.items()}


class Stage(NamedTuple):
    """A run's surroundings, with all that can be looked at afterwards."""

    run: RunContext
    provider: ScriptedProvider
    log: Log
    pauses: list[float]
    """Seconds of each pause that was asked for; none was made."""

    @property
    def turns(self) -> list[Turn]:
        return list(self.log.turns)

    @property
    def roles(self) -> list[str]:
        """Who was asked, in order: calls that really reached a provider."""
        return [call.role for call in self.provider.calls]

    @property
    def path(self) -> list[str]:
        return [step.path for step in self.log.steps]

    @property
    def keys(self) -> list[tuple[str, int, int]]:
        """The key of every turn, in order."""
        return [(turn.path, turn.visit, turn.retry) for turn in self.turns]

    def prompts(self, path: str) -> list[str]:
        """The last message of each turn of a path."""
        return [turn.messages[-1].content for turn in self.turns if turn.path == path]

    def prompt(self, path: str) -> str:
        """The last message of the only turn of a path."""
        [prompt] = self.prompts(path)
        return prompt


class Earlier:
    """A history that somebody else keeps; notes who asked for how much."""

    def __init__(self, *runs: EarlierRun, error: Exception | None = None) -> None:
        self.runs, self.error = runs, error
        self.asked: list[tuple[str | None, int]] = []

    async def earlier(self, owner: str | None, *, most: int) -> Sequence[EarlierRun]:
        self.asked.append((owner, most))
        if self.error is not None:
            raise self.error
        return self.runs


def earlier(question: str, answer: str, run_id: str = "run") -> EarlierRun:
    return EarlierRun(run_id, "linear", question, answer, START)


def staged(
    script: Script | ScriptedProvider,
    *,
    gateway: Callable[[ScriptedProvider], Any] = ProviderGateway.scripted,
    request: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Stage:
    """A context whose turns are scripted: fixed clock, fixed secret, pauses that are only noted.

    Args:
        script: See `ScriptedProvider`.
        gateway: Makes the gateway of the provider.
        request: Fields of the request.
        fields: Further fields of the context.
    """
    provider = script if isinstance(script, ScriptedProvider) else ScriptedProvider(script)
    log, pauses = fields.pop("recorder", Log()), list[float]()

    async def note(seconds: float) -> None:
        pauses.append(seconds)

    run = RunContext(
        gateway=gateway(provider),
        request=RunRequest.model_validate({"flow": "test", "input": TASK, **(request or {})}),
        seed=1,
        secret=FIXED_SECRET,
        recorder=log,
        **{"now": lambda: START, "sleep": note, **fields},
    )
    return Stage(run, provider, log, pauses)


def planned(*nodes: Mapping[str, Any], edges: str = "", **fields: Any) -> FlowPlan:
    """The plan of a small flow; see `flow_of`."""
    return plan_flow(flow_of(*nodes, edges=edges, **fields), fields.get("given"))


def flow_of(*nodes: Mapping[str, Any], edges: str = "", **fields: Any) -> FlowConfig:
    """A small flow.

    Args:
        nodes: Its nodes; the first one is the entry.
        edges: Such as `a-b b-c`.
        fields: Further fields of the flow.
    """
    pairs = (edge.split("-") for edge in edges.split())
    content = {
        "name": "test",
        "entry_point": nodes[0]["id"],
        "nodes": nodes,
        "edges": [{"source": source, "target": target} for source, target in pairs],
        **{name: value for name, value in fields.items() if name != "given"},
    }
    return FlowConfig.model_validate(content)


def speaker(node_id: str, prompt: str = "Speak.", **fields: Any) -> JsonObject:
    """A node of the type `execution`."""
    return {"id": node_id, "prompt_template": prompt, **fields}


DEBATE = (
    speaker("creator", "Draft."),
    {
        "id": "challenger",
        "type": "critique",
        "prompt_template": "{draft}\n\n{settled_issues}",
        "config": {"drafts": ["refiner", "creator"]},
    },
    {
        "id": "refiner",
        "type": "refine",
        "prompt_template": "{draft}\n\n{open_issues}",
        "config": {"drafts": ["refiner", "creator"]},
    },
)
"""The nodes of a debate with prompts of our own, since those of the shipped flow may change."""


def debate(**fields: Any) -> FlowPlan:
    edges = "creator-challenger challenger-refiner"
    return planned(*DEBATE, edges=edges, output=("refiner", "creator"), **fields)


async def worked(
    plan: FlowPlan, node_id: str, state: AgentState, stage: Stage, place: Place | None = None
) -> StateUpdate:
    """What a node of a plan returns; nothing else runs."""
    config = plan.node(node_id)
    work = NODES.get(config.type)(config, plan)
    return await work(state, replace(stage.run, place=place or Place()))


async def ran(
    flow: FlowConfig, stage: Stage, *, lang: Language = "en", builder: GraphBuilder | None = None
) -> FlowOutcome:
    """Run a flow through the real graph."""
    return await run_flow(flow, stage.run, lang=lang, request_id="the run", builder=builder)


def builder_of(*flows: FlowConfig) -> GraphBuilder:
    """A builder whose flows can run these within them."""
    return GraphBuilder(flows={flow.name: flow for flow in flows})


# ------------------------------------------------------------------ states


def begun(text: str = TASK, lang: Language = "en", **changes: Any) -> AgentState:
    """A run in which nobody has spoken; with further keys as they are given."""
    head = shared_head(text, (), lang, FIXED_SECRET)
    state = new_state(request_id="run", flow_type="test", user_input=text, lang=lang, head=head)
    return updated(state, changes)


def spoke(state: AgentState, **texts: str) -> AgentState:
    """The state after these nodes have given these texts."""
    return updated(
        state,
        {
            "outputs": texts,
            "failures": dict.fromkeys(texts),
            "models": dict.fromkeys(texts, "scripted"),
            "degraded": dict.fromkeys(texts, ""),
            "visits": {node_id: state["visits"].get(node_id, 0) + 1 for node_id in texts},
        },
    )


def lost(state: AgentState, *nodes: str, code: str = "provider_unavailable") -> AgentState:
    """The state after these nodes have failed."""
    return updated(
        state,
        {
            "failures": {i: ErrorInfo(code=code, message=f"`{i}` is gone.") for i in nodes},
            "visits": {node_id: state["visits"].get(node_id, 0) + 1 for node_id in nodes},
        },
    )


OPEN = Issue(id="C1", claim="It fails on an empty list.", quote="sum(x)", severity="high")
DRAFT = "mean = sum(x) / len(x)"


@pytest.fixture
def fresh() -> AgentState:
    """Nobody has spoken."""
    return begun()


@pytest.fixture
def drafted() -> AgentState:
    """The creator has spoken."""
    return spoke(begun(), creator=DRAFT)


@pytest.fixture
def disputed(drafted: AgentState) -> AgentState:
    """An issue of the creator's draft is open."""
    return updated(spoke(drafted, challenger="[high] it fails"), {"issues": (OPEN,)})


@pytest.fixture
def retried() -> AgentState:
    """An answer did not pass its checks, and is asked for again."""
    rejected = spoke(begun(), answer="TODO", validator="It did not pass.")
    return updated(
        rejected,
        {
            "score": 0.0,
            "accepted": False,
            "values": {"validator_feedback": "Write the rest.", "validator_score": 0.0},
            "rounds": {"retries": 1},
        },
    )


@pytest.fixture
def spanish() -> AgentState:
    """Nobody has spoken, in Spanish."""
    return begun(TAREA, "es")


# ------------------------------------------------------------------ fences

_OPENING = re.compile(r'<(?P<kind>[a-z][a-z0-9_]*) id="(?P<tag>[0-9a-f]{8})">\n')


class Fence(NamedTuple):
    """A fence that nobody without the secret can have made."""

    kind: str
    text: str
    start: int
    end: int


def fences(prompt: str) -> Iterator[Fence]:
    """The genuine fences of a prompt, in order; what stands in one is only its text."""
    at = 0
    while opening := _OPENING.search(prompt, at):
        kind, at = opening["kind"], opening.end()
        closing = f"\n</{kind}>"
        end = prompt.find(closing, opening.end() - 1)
        text = prompt[opening.end() : max(end, opening.end())]
        tag = hmac.new(FIXED_SECRET, text.encode(), "sha256").hexdigest()[:8]
        if end >= 0 and tag == opening["tag"]:
            at = end + len(closing)
            assert not re.search(rf"<\s*/\s*{kind}", text, re.IGNORECASE), text
            yield Fence(kind, text, opening.start(), at)


def fenced_in(prompt: str, kind: str) -> str:
    """The text of the only fence of a kind."""
    [text] = [fence.text for fence in fences(prompt) if fence.kind == kind]
    return text


def outside_fences(prompt: str) -> str:
    """What stands in a prompt that is not in a genuine fence."""
    parts, at = list[str](), 0
    for fence in fences(prompt):
        parts.append(prompt[at : fence.start])
        at = fence.end
    return "".join([*parts, prompt[at:]])


# ------------------------------------------------------------------ time


class _Jump(selectors.DefaultSelector):
    """Waits no time for a timer: time moves on to it, unless a thread has still work to do."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0
        self.threads_at_work = 0

    @override
    def select(self, timeout: float | None = None) -> Any:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if self.threads_at_work:
            return super().select(None)
        self.time += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time moves only when all tasks wait for it."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    @override
    def time(self) -> float:
        return self._jump.time

    @override
    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        def ended(_: Any) -> None:
            self._jump.threads_at_work -= 1

        future = super().run_in_executor(executor, func, *args)
        self._jump.threads_at_work += 1
        future.add_done_callback(ended)
        return future


def in_virtual_time(work: Callable[[], Coroutine[Any, Any, Result]]) -> tuple[Result, float]:
    """Run async work to its end; the seconds that it thinks it took are no real ones."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        result = runner.run(work())
        return result, runner.get_loop().time()


def virtual_now() -> datetime:
    """The time by the running loop's clock."""
    return START + timedelta(seconds=asyncio.get_running_loop().time())


def timed(script: Script | ScriptedProvider, **fields: Any) -> Stage:
    """As `staged`, with clock and pauses of the event loop: for `in_virtual_time`."""
    return staged(script, **{"now": virtual_now, "sleep": asyncio.sleep, **fields})


def slow(text: str, seconds: float) -> ScriptedReply:
    """An answer that takes so long; of several words each."""
    return ScriptedReply(text, delay_s=seconds)


# ------------------------------------------------------------------ errors, snapshots


def kinds_of(error: type[AgentLabError]) -> Iterator[type[AgentLabError]]:
    """An error class of the lab's own, and all below it."""
    if error.__module__.startswith("agent_lab.errors."):
        yield error
        for kind in error.__subclasses__():
            yield from kinds_of(kind)


PROVIDER_ERRORS = sorted(set(kinds_of(ProviderError)), key=lambda kind: kind.code)


def kept(name: str, text: str) -> str:
    """What is kept of a text: `SNAPSHOTS=write pytest tests/orchestrator` renews it first."""
    path = SNAPSHOTS / name
    if os.environ.get("SNAPSHOTS") == "write":
        path.write_text(text, "utf-8")
    return path.read_text("utf-8")
