"""Votes of simulated draws through `self_consistency`, against what theory says of such votes.

Condorcet's jury, items of different difficulty, wrong answers that differ among themselves, and
what stop rules save. The reference numbers are met within four standard errors.
"""

import random
from collections.abc import Sequence
from functools import cache
from math import comb
from statistics import mean, stdev
from typing import NamedTuple

import pytest

from agent_lab.flows.graph_configs import get_flow_config
from agent_lab.providers.base import ProviderCall
from tests.deliberation.ballots.test_condorcet import CASES
from tests.deliberation.simulated_members import chances
from tests.e2e.simulated.trials import (
    FEW_AND_MANY,
    SIMULATED,
    Engine,
    elected,
    said,
    seed_of,
    share_error,
)

FLOW = get_flow_config("self_consistency")
TRUTH = "42"


class Solver(NamedTuple):
    """A model whose draws are independent; where it errs, its wrong answers are equally likely."""

    accuracy: float | tuple[float, float]
    """The same for all items, or the parameters of the beta distribution of it over the items."""
    wrong: int = 1
    """How many wrong answers there are."""

    def draws(self, trial: int, first: int, number: int) -> list[str]:
        """So many answers to the item of a trial, from one of them on."""
        accuracy = self._accuracy(trial)
        return [
            TRUTH if right < accuracy else str(43 + int(which * self.wrong))
            for right, which, *_spare in (chances(trial, first + i, 0) for i in range(number))
        ]

    def answer(self, trial: int, call: ProviderCall) -> str:
        """What it says to a call: the seed tells which draw it is."""
        [key] = self.draws(trial, call.params["seed"] - seed_of(trial), 1)
        return said(key)

    def _accuracy(self, trial: int) -> float:
        if not isinstance(self.accuracy, tuple):
            return self.accuracy
        return random.Random(trial).betavariate(*self.accuracy)  # noqa: S311 - a simulation


@cache
def simulated(solver: Solver, samples: int) -> float:
    """The share of trials in which the vote is right."""
    right = (elected(solver.draws(trial, 0, samples), trial) == TRUTH for trial in range(SIMULATED))
    return sum(right) / SIMULATED


async def voted(solver: Solver, samples: int, trials: int) -> float:
    """As `simulated`, by the engine; each of its trials is as the simulation's."""
    engine = Engine(FLOW, solver.answer, samples=samples, stop="none")
    right = 0
    for trial in range(trials):
        ran = await engine.run(trial)
        keys = solver.draws(trial, 0, samples)
        winner = elected(keys, trial)
        vote = ran.vote()
        assert list(vote.positions.values()) == keys
        assert vote.tally.winner == ran.outcome.outputs["winner"] == winner
        assert ran.outcome.output == said(winner)
        assert (ran.calls, ran.outcome.stop_reason) == (samples, "completed")
        right += winner == TRUTH
    return right / trials


async def assert_reference_met(solver: Solver, samples: int, share: float, trials: int) -> None:
    """The engine does as the simulation does, and the simulation as the reference says."""
    assert simulated(solver, samples) == pytest.approx(share, abs=share_error(share, SIMULATED))
    found = await voted(solver, samples, trials)
    assert found == pytest.approx(share, abs=share_error(share, trials))


@pytest.mark.parametrize("trials", FEW_AND_MANY)
@pytest.mark.parametrize(("p", "samples", "share"), CASES)
async def test_a_vote_of_draws_is_right_as_often_as_condorcet_says(
    p: float, samples: int, share: float, trials: int
):
    await assert_reference_met(Solver(p), samples, share, trials)


@pytest.mark.parametrize("trials", FEW_AND_MANY)
@pytest.mark.parametrize(
    ("beta", "share"), [((7, 3), 0.7972), ((1.4, 0.6), 0.7388), ((0.7, 0.3), 0.7186)]
)
async def test_a_vote_gains_less_where_items_differ(
    beta: tuple[float, float], share: float, trials: int
):
    await assert_reference_met(Solver(beta), 5, share, trials)


@pytest.mark.parametrize("trials", FEW_AND_MANY)
@pytest.mark.parametrize(
    ("p", "wrong", "share"), [(0.4, 3, 0.5094), (0.4, 9, 0.6315), (0.25, 3, 0.25)]
)
async def test_answers_are_counted_and_not_whether_they_are_right(
    p: float, wrong: int, share: float, trials: int
):
    await assert_reference_met(Solver(p, wrong), 5, share, trials)
    # The same draws as right or wrong: there a majority would be needed.
    assert simulated(Solver(p), 5) < simulated(Solver(p, wrong), 5)


# What stop rules save: four wrong answers


class Stopped(NamedTuple):
    """A vote that ends as soon as it is settled."""

    calls: int
    winner: str
    reason: str


def is_unassailable(first: int, second: int, left: int) -> bool:
    return first > second + left


def is_likely(first: int, second: int, left: int) -> bool:
    """P(Beta(first + 1, second + 1) > ½) is at least .95."""
    throws = first + second + 1
    return 100 * sum(comb(throws, k) for k in range(first + 1)) >= 95 * (1 << throws)


RULES = {5: ("unassailable_lead", is_unassailable), 15: ("posterior", is_likely)}
"""By the number of samples: what ends the drawing."""
MAY_CHANGE = {5: 0, 15: 0.01}
"""The share of the winners that may be others than those of all draws."""


def one_by_one(keys: Sequence[str], trial: int) -> Stopped:
    """Draw one answer after the other, and look after each whether there must be more."""
    reason, settled = RULES[len(keys)]
    for drawn in range(1, len(keys)):
        votes = [keys[:drawn].count(key) for key in set(keys[:drawn])]
        first, second, *_rest = sorted([*votes, 0], reverse=True)
        if settled(first, second, len(keys) - drawn):
            return Stopped(drawn, elected(keys[:drawn], trial), reason)
    return Stopped(len(keys), elected(keys, trial), "completed")


SAVINGS = [
    (samples, p, calls)
    for samples, reference in ((5, (4.416, 3.997, 3.323)), (15, (12.230, 9.084, 5.324)))
    for p, calls in zip((0.55, 0.7, 0.9), reference, strict=True)
]


@pytest.mark.parametrize("trials", FEW_AND_MANY)
@pytest.mark.parametrize(("samples", "p", "calls"), SAVINGS)
async def test_a_settled_vote_saves_draws_and_hardly_changes_a_winner(
    samples: int, p: float, calls: float, trials: int
):
    """Drawing ends where drawing one by one would; a lead that is certain changes no winner."""
    solver = Solver(p, wrong=4)
    expected = [one_by_one(solver.draws(trial, 0, samples), trial) for trial in range(SIMULATED)]
    taken = [each.calls for each in expected]
    error = 4 * stdev(taken)
    assert mean(taken) == pytest.approx(calls, abs=error / SIMULATED**0.5)
    assert mean(taken[:trials]) == pytest.approx(calls, abs=error / trials**0.5)
    all_drawn, stopped = (
        Engine(FLOW, solver.answer, samples=samples, stop=stop) for stop in ("none", "auto")
    )
    changed = 0
    for trial, should in enumerate(expected[:trials]):
        whole, cut = await all_drawn.run(trial), await stopped.run(trial)
        winner = cut.vote().tally.winner
        assert Stopped(cut.calls, winner or "", cut.outcome.stop_reason) == should
        assert cut.outcome.outputs["samples"] == cut.calls
        assert whole.calls == samples
        changed += winner != whole.vote().tally.winner
    assert changed <= MAY_CHANGE[samples] * trials
