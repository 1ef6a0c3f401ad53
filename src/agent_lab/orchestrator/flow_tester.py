"""Runs the tests that a flow carries: real graph, real gateway, scripted turns."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from typing_extensions import override

from agent_lab.contracts import Contract, RunRequest, Step, Turn
from agent_lab.errors import AgentLabError, ConfigurationError, ProviderError
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.flow_tests import Expectation, FlowTest, ScriptedTurn, TextRule
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.orchestrator.flow_runner import run_flow
from agent_lab.orchestrator.graph_builder import GraphBuilder
from agent_lab.orchestrator.outcome import FlowOutcome
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.orchestrator.run_recorder import AskedTurn, Collector, spoken
from agent_lab.providers.provider_gateway import ProviderGateway

SECRET = b"flow tests: equal texts have equal fences"
SHOWN = 300
"""Characters of a text that a failure shows."""


class CaseReport(Contract):
    """What came of one test."""

    name: str
    failures: tuple[str, ...] = ()
    """What was expected and what was there, one sentence each; empty: the test passed."""
    path: tuple[str, ...] = ()
    """The nodes that ran, in the order in which they ended."""
    edges: tuple[str, ...] = ()
    """The edges that were taken, as `source → target`."""


class FlowTestReport(Contract):
    """What came of all tests of a flow."""

    flow: str
    cases: tuple[CaseReport, ...]
    unreached_nodes: tuple[str, ...]
    """Nodes that no test reaches, by the default inputs."""
    untaken_edges: tuple[str, ...]
    """Edges that no test takes."""
    node_coverage: float
    """Share of the nodes that a test reaches, from 0 to 1."""
    edge_coverage: float
    """Share of the edges, and of the loops' ways back, that a test takes."""

    @property
    def failed(self) -> int:
        """How many tests failed."""
        return sum(bool(case.failures) for case in self.cases)


class _Run(NamedTuple):
    """One test's run."""

    plan: FlowPlan
    outcome: FlowOutcome
    steps: Sequence[Step]
    turns: Sequence[Turn]


async def run_flow_tests(flow: FlowConfig, builder: GraphBuilder | None = None) -> FlowTestReport:
    """Run every test of a flow.

    Args:
        flow: The flow.
        builder: With further types of node.

    Raises:
        InvalidFlowError: The flow cannot run.
    """
    builder = builder or GraphBuilder()
    plan, _ = builder.prepare(flow)
    cases, edges = [], set[str]()
    for test in flow.tests:
        run = await _run(flow, test, builder)
        taken = tuple(_edges(run))
        edges |= set(taken)
        cases.append(
            CaseReport(
                name=test.name,
                failures=tuple(_failures(test.expect, run)),
                path=tuple(_walked(run)),
                edges=taken,
            )
        )
    reached = {path for case in cases for path in case.path}
    nodes = [node.id for node in plan.nodes]
    ways = list(_ways(plan))
    unreached = tuple(i for i in nodes if i not in reached)
    untaken = tuple(way for way in ways if way not in edges)
    return FlowTestReport(
        flow=flow.name,
        cases=tuple(cases),
        unreached_nodes=unreached,
        untaken_edges=untaken,
        node_coverage=1 - len(unreached) / len(nodes),
        edge_coverage=1 - len(untaken) / len(ways) if ways else 1.0,
    )


class _Stage(Collector):
    """Keeps what happens; the script speaks for people, too."""

    def __init__(self, gateway: ProviderGateway) -> None:
        super().__init__()
        self._gateway = gateway

    @override
    async def ask_person(self, asked: AskedTurn) -> Turn:
        said = await self._gateway.generate(asked.request)
        turn = spoken(asked, said.text, asked.started_at)
        await self.record_turn(turn)
        return turn


async def _run(flow: FlowConfig, test: FlowTest, builder: GraphBuilder) -> _Run:
    gateway = ProviderGateway.scripted(_script(test))
    collector = _Stage(gateway)
    context = RunContext(
        gateway=gateway,
        request=RunRequest(flow=flow.name, input=test.input, inputs=test.inputs),
        seed=1,
        secret=SECRET,
        recorder=collector,
        sleep=_no_time,
    )
    outcome = await run_flow(flow, context, lang=test.lang, request_id="test", builder=builder)
    plan, _ = builder.prepare(flow, test.inputs)
    return _Run(plan, outcome, collector.steps, collector.turns)


async def _no_time(seconds: float) -> None:
    """Pauses take no time in tests."""


def _script(test: FlowTest) -> Mapping[str, str | Exception | list[str | Exception]]:
    return {
        role: [_reply(turn) for turn in turns] if isinstance(turns, tuple) else _reply(turns)
        for role, turns in test.script.items()
    }


def _reply(turn: ScriptedTurn | str) -> str | Exception:
    if isinstance(turn, str):
        return turn
    if turn.error is None:
        return turn.text
    known = {kind.code: kind for kind in _kinds(ProviderError)}
    if turn.error not in known:
        raise ConfigurationError(
            f"No provider fails with `{turn.error}`; use one of "
            + ", ".join(f"`{code}`" for code in sorted(known))
            + "."
        )
    return known[turn.error](f"Scripted: {turn.error}.")


def _kinds(error: type[AgentLabError]) -> Iterator[type[AgentLabError]]:
    yield error
    for kind in error.__subclasses__():
        yield from _kinds(kind)


def _failures(expect: Expectation, run: _Run) -> Iterator[str]:
    outcome = run.outcome
    status = "completed" if outcome.error is None else "failed"
    reason = outcome.stop_reason if outcome.error is None else outcome.error.code
    plain = (
        ("status", expect.status, status),
        ("calls", expect.calls, len(run.turns)),
        ("stop_reason", expect.stop_reason, reason),
        ("degraded", expect.degraded, bool(outcome.degraded)),
    )
    for name, wanted, found in plain:
        if wanted is not None and wanted != found:
            why = outcome.degraded if name == "degraded" else outcome.error
            yield f"{name}: {wanted!r} was expected, it is {found!r}" + f" ({why})" * bool(why)
    if expect.path is not None:
        yield from _path(expect.path, _walked(run))
    for node, rule in expect.prompts.items():
        yield from _text(f"prompt of {node}", rule, _prompt(node, run.turns))
    if expect.output is not None:
        wanted_text = expect.output
        rule = TextRule(equals=wanted_text) if isinstance(wanted_text, str) else wanted_text
        yield from _text("output", rule, outcome.output)
    for name, value in expect.outputs.items():
        if outcome.outputs.get(name) != value:
            yield f"outputs.{name}: {value!r} was expected, it is {outcome.outputs.get(name)!r}"


def _path(wanted: Sequence[str | tuple[str, ...]], found: Sequence[str]) -> Iterator[str]:
    left, fits = list(found), True
    for step in wanted:
        together = {step} if isinstance(step, str) else set(step)
        fits = fits and set(left[: len(together)]) == together
        left = left[len(together) :]
    if left or not fits:
        yield f"path: {_shown(wanted)} was expected, it is {_shown(found)}"


def _shown(path: Sequence[str | tuple[str, ...]]) -> str:
    return " → ".join(s if isinstance(s, str) else f"[{', '.join(s)}]" for s in path) or "nothing"


def _prompt(node: str, turns: Sequence[Turn]) -> str | None:
    """The last message of a node's last turn, or of its n-th: `node#2`."""
    node_id, sign, number = node.partition("#")
    sent = [turn.messages[-1].content for turn in turns if turn.path == node_id]
    if sign:
        index = int(number) - 1 if number.isdigit() else len(sent)
        return sent[index] if 0 <= index < len(sent) else None
    return sent[-1] if sent else None


def _text(what: str, rule: TextRule, text: str | None) -> Iterator[str]:
    if text is None:
        yield f"{what}: it was never sent"
        return
    cut = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    if rule.equals is not None and text != rule.equals:
        yield f"{what}: {rule.equals!r} was expected, it is {cut!r}"
    for part in rule.contains:
        if part not in text:
            yield f"{what}: it lacks {part!r}: {cut!r}"
    for part in rule.lacks:
        if part in text:
            yield f"{what}: it must not hold {part!r}"


def _ways(plan: FlowPlan) -> Iterator[str]:
    yield from (f"{edge.source} → {edge.target}" for edge in plan.edges)
    for loop in plan.loops:
        yield from (f"{loop.last} → {first}" for first in plan.members_of(loop.first))


def _edges(run: _Run) -> list[str]:
    """The ways that a run took."""
    ways = (f"{step.path} → {after}" for step in _own_steps(run) for after in step.next)
    return list(dict.fromkeys(ways))


def _walked(run: _Run) -> list[str]:
    return [step.path for step in _own_steps(run)]


def _own_steps(run: _Run) -> list[Step]:
    """The passes of the flow's own nodes; those of the flows within it have tests of their own."""
    return [step for step in run.steps if "." not in step.path]
