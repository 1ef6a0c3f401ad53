"""Many runs of a shipped flow that differ in their seeds: real graph, real gateway, real nodes.

A trial is compared with its direct simulation, one by one; simulations of many more trials are
compared with the reference numbers, which come from enumeration or from simulations of others.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from math import sqrt
from typing import NamedTuple

import pytest
from pydantic import JsonValue

from agent_lab.contracts import RunRequest
from agent_lab.deliberation.ballots.ties import draw
from agent_lab.deliberation.votes import Vote
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.orchestrator.flow_runner import run_flow
from agent_lab.orchestrator.graph_builder import GraphBuilder
from agent_lab.orchestrator.outcome import FlowOutcome
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.providers.base import ProviderCall
from agent_lab.providers.local.scripted_provider import ScriptedProvider
from agent_lab.providers.provider_gateway import ProviderGateway
from tests.conftest import FIXED_SECRET

TASK = "How many apples are 6 bags of 7 apples?"
FEW_AND_MANY = (50, pytest.param(400, marks=pytest.mark.heavy))
"""Trials of the engine for each case."""
SIMULATED = 20_000
"""Trials of a simulation that is compared with a reference number."""
Member = Callable[[int, ProviderCall], str]
"""Called with the trial's number; says what it answers to a call."""


class Ran(NamedTuple):
    """One trial of the engine."""

    outcome: FlowOutcome
    calls: int

    def votes(self, node: str) -> tuple[Vote, ...]:
        """What a node has counted, by pass."""
        assert self.outcome.state is not None
        return self.outcome.state["votes"].get(node, ())

    def vote(self, node: str = "vote") -> Vote:
        """The last count of a node."""
        return self.votes(node)[-1]


class Engine:
    """Runs trials of one flow; the run's id tells the members which trial a call is of."""

    def __init__(
        self, flow: FlowConfig, member: Member, task: str = TASK, **inputs: JsonValue
    ) -> None:
        self._flow = flow
        self._request = RunRequest(flow=flow.name, input=task, inputs=inputs)
        self._builder = GraphBuilder()
        self._calls = Counter[str]()
        self._member = member
        self._gateway = ProviderGateway.scripted(ScriptedProvider(self._answer))

    async def run(self, trial: int) -> Ran:
        """Run one trial; the flow ends undegraded."""
        run = RunContext(
            gateway=self._gateway,
            request=self._request,
            seed=seed_of(trial),
            secret=FIXED_SECRET,
        )
        outcome = await run_flow(
            self._flow, run, lang="en", request_id=f"{trial}", builder=self._builder
        )
        assert (outcome.error, outcome.degraded) == (None, ())
        return Ran(outcome, self._calls.pop(f"{trial}"))

    def _answer(self, call: ProviderCall) -> str:
        self._calls[call.run_id] += 1
        return self._member(int(call.run_id), call)


def seed_of(trial: int) -> int:
    """The seed of a trial's run; the seeds of its draws follow it, and reach no other trial's."""
    return trial * 1_000


def said(number: str) -> str:
    """A text that gives a number as its answer."""
    return f"Row by row I count {number}.\nANSWER: {number}"


def elected(keys: Sequence[str], trial: int) -> str:
    """The commonest key; one of several such is drawn."""
    counted = Counter(keys)
    level = [key for key, votes in counted.items() if votes == max(counted.values())]
    return draw(level, seed_of(trial))


def share_error(share: float, trials: int) -> float:
    """Four standard errors of a share."""
    return 4 * sqrt(share * (1 - share) / trials)


def prompt_of(call: ProviderCall) -> str:
    """What a member is asked."""
    return call.messages[-1].content
