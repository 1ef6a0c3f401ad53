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
    SIMULATED,
    Engine,
    elected,
    said,
    seed_of,
    share_error,
)

FLOW = get_flow_config("self_consistency")
TRUTH = "42"
TRIALS = 100
"""Of the engine, for each case."""


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


async def voted(solver: Solver, samples: int) -> float:
    """As `simulated`, by the engine; each of its trials is as the simulation's."""
    engine = Engine(FLOW, solver.answer, samples=samples, stop="none")
    right = 0
    for trial in range(TRIALS):
        ran = await engine.run(trial)
        keys = solver.draws(trial, 0, samples)
        winner = elected(keys, trial)
        vote = ran.vote()
        assert list(vote.positions.values()) == keys
        assert vote.tally.winner == ran.outcome.outputs["winner"] == winner
        assert ran.outcome.output == said(winner)
        assert (ran.calls, ran.outcome.stop_reason) == (samples, "completed")
        right += winner == TRUTH
    return right / TRIALS


async def assert_reference_met(solver: Solver, samples: int, share: float) -> None:
    """The engine does as the simulation does, and the simulation as the reference says."""
    assert simulated(solver, samples) == pytest.approx(share, abs=share_error(share, SIMULATED))
    assert await voted(solver, samples) == pytest.approx(share, abs=share_error(share, TRIALS))


@pytest.mark.parametrize(("p", "samples", "share"), CASES)
async def test_a_vote_of_draws_is_right_as_often_as_condorcet_says(
    p: float, samples: int, share: float
):
    await assert_reference_met(Solver(p), samples, share)


@pytest.mark.parametrize(
    ("beta", "share"), [((7, 3), 0.7972), ((1.4, 0.6), 0.7388), ((0.7, 0.3), 0.7186)]
)
async def test_a_vote_gains_less_where_items_differ(beta: tuple[float, float], share: float):
    await assert_reference_met(Solver(beta), 5, share)


@pytest.mark.parametrize(
    ("p", "wrong", "share"), [(0.4, 3, 0.5094), (0.4, 9, 0.6315), (0.25, 3, 0.25)]
)
async def test_answers_are_counted_and_not_whether_they_are_right(
    p: float, wrong: int, share: float
):
    """A majority of right and wrong, whatever the answers are, would give less of the first two."""
    await assert_reference_met(Solver(p, wrong), 5, share)


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
    return sum(comb(throws, k) for k in range(first + 1)) * 100 >= 95 * 2**throws


RULES = {5: ("unassailable_lead", is_unassailable), 15: ("posterior", is_likely)}
"""By the number of samples: what ends the drawing."""


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


@pytest.mark.parametrize(("samples", "p", "calls"), SAVINGS)
async def test_drawing_stops_as_soon_as_drawing_one_by_one_would(
    samples: int, p: float, calls: float
):
    solver = Solver(p, wrong=4)
    expected = [one_by_one(solver.draws(trial, 0, samples), trial) for trial in range(SIMULATED)]
    taken = [each.calls for each in expected]
    error = stdev(taken)
    assert mean(taken) == pytest.approx(calls, abs=4 * error / SIMULATED**0.5)
    engine = Engine(FLOW, solver.answer, samples=samples, stop="auto")
    found = []
    for trial in range(TRIALS):
        ran = await engine.run(trial)
        assert ran.outcome.outputs["samples"] == ran.calls
        found.append(Stopped(ran.calls, ran.vote().tally.winner or "", ran.outcome.stop_reason))
    assert found == expected[:TRIALS]
    assert mean(each.calls for each in found) == pytest.approx(calls, abs=4 * error / TRIALS**0.5)


@pytest.mark.parametrize("p", [0.55, 0.7, 0.9])
async def test_a_lead_that_nobody_can_catch_up_with_saves_draws_and_changes_no_winner(p: float):
    solver = Solver(p, wrong=4)
    all_drawn, stopped = (Engine(FLOW, solver.answer, samples=5, stop=s) for s in ("none", "auto"))
    calls = 0
    for trial in range(TRIALS):
        whole, cut = await all_drawn.run(trial), await stopped.run(trial)
        assert cut.vote().tally.winner == whole.vote().tally.winner
        assert cut.outcome.output == whole.outcome.output
        calls += whole.calls - cut.calls
    assert calls > 0
