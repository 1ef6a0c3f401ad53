"""Takes a run's way again by its journal alone: nobody is asked, nothing is written."""

from collections.abc import Callable, Sequence

from typing_extensions import override

from agent_lab.contracts import Contract, RunRecord, Step, Turn
from agent_lab.errors import JournalMismatchError
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.orchestrator.flow_runner import run_flow
from agent_lab.orchestrator.graph_builder import GraphBuilder
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.orchestrator.run_recorder import UNDECIDED, AskedTurn, NoRecorder, RunRecorder
from agent_lab.runs.log import RunLog
from agent_lab.runs.mismatch import difference


class ReplayReport(Contract):
    """What came of taking a run's way again."""

    turns: int
    """How many turns the journal answered."""
    calls: int = 0
    """How often a model was asked: never."""
    same_output: bool
    """Whether it ended as it did: of a run that broke off, whether it came as far."""
    differences: tuple[str, ...] = ()
    """What is not as it was; empty: nothing."""


class _NotInJournalError(JournalMismatchError):
    """The journal ends here."""


class _Sealed(NoRecorder):
    """Answers from a journal, and refuses what is not in it."""

    def __init__(self, log: RunLog) -> None:
        self._log = log
        self._decisions = log.decisions()
        self._steps = {(step.path, step.visit, step.retry): step for step in log.steps()}
        self._answered: list[Turn] = []

    @property
    @override
    def turns(self) -> Sequence[Turn]:
        return self._answered

    @override
    async def ask_person(self, asked: AskedTurn) -> Turn:
        return await self.begin_turn(asked)

    @override
    async def begin_turn(self, asked: AskedTurn) -> Turn:
        known = self._log.turns.get((asked.path, asked.visit, asked.retry))
        if known is None or not known.ended:
            raise _NotInJournalError(f"The turn `{asked.message_id}` is not in the journal.")
        if known.request_hash != asked.request_hash():
            raise JournalMismatchError(
                f"The turn `{asked.message_id}`: {difference(known.asked, asked)}."
            )
        self._answered.append(known.asked)
        return known.asked

    @override
    async def record_step(self, step: Step) -> bool:
        known = self._steps.get((step.path, step.visit, step.retry))
        if known is None:
            raise _NotInJournalError(f"The pass of node `{step.path}` is not in the journal.")
        if known.next != step.next:
            raise JournalMismatchError(
                f"Node `{step.path}` leads to {list(step.next)}; it led to {list(known.next)}."
            )
        return False

    @override
    def decided(self, key: str) -> object:
        known = self._decisions.get(key, UNDECIDED)
        if known is UNDECIDED:
            raise _NotInJournalError(f"The decision `{key}` is not in the journal.")
        return known


async def replay(
    log: RunLog,
    flow: FlowConfig,
    context: Callable[[RunRecorder], RunContext],
    builder: GraphBuilder,
) -> ReplayReport:
    """Execute a run again with nobody to ask.

    Args:
        log: What is kept of it.
        flow: Its flow, as it was when the run was started.
        context: Makes the run's surroundings around a recorder.
        builder: Builds the graph.
    """
    record, sealed = log.record(), _Sealed(log)
    output, found = "", list[str]()
    try:
        outcome = await run_flow(
            flow, context(sealed), lang=log.header.lang, request_id=log.header.id, builder=builder
        )
        output = outcome.output
        found += _differences(record, output, outcome.stop_reason)
    except _NotInJournalError as error:
        # A run that broke off goes no further than this.
        found += [] if record.status != "completed" else [error.message]
    except JournalMismatchError as error:
        found.append(error.message)
    return ReplayReport(turns=len(sealed.turns), same_output=not found, differences=tuple(found))


def _differences(record: RunRecord, output: str, stop_reason: str) -> list[str]:
    if record.status != "completed":
        return []
    found = []
    if output != record.output:
        found.append("The answer is another one.")
    if stop_reason != record.stop_reason:
        found.append(f"It ends by `{stop_reason}`; it ended by `{record.stop_reason}`.")
    return found
