"""Two counts of the same ballots agree."""

from collections import Counter
from random import Random

import pytest

from agent_lab.deliberation.ballots.ballot import Policy
from agent_lab.deliberation.ballots.counting import count
from agent_lab.deliberation.ballots.method_kinds import METHODS
from tests.deliberation.ballots.electorates import electorate, options_of
from tests.deliberation.ballots.profiles import tally_of, voters
from tests.deliberation.ballots.second_count import runoff_views, runoff_winners, winners

ELECTORATES = 500
METHOD_NAMES = sorted(METHODS.names())


@pytest.mark.parametrize("recused", [0, 0.25])
@pytest.mark.parametrize("method", METHOD_NAMES)
def test_two_counts_agree(method: str, recused: float):
    random = Random(f"{method} {recused}")  # noqa: S311 - it makes no secret
    sizes: Counter[int] = Counter()
    for _ in range(ELECTORATES):
        options = options_of(method, random.randint(1, 5))
        ballots = electorate(random, method, options, random.randint(0, 7), recused=recused)
        policy = Policy(method=method, quorum=0, ties=("none",))
        tally = count(ballots, options, voters(8), policy)
        expected = winners(method, ballots, options)
        won = () if tally.reason == "below_threshold" else tally.tied
        assert set(won) == expected, ballots
        assert len(set(tally.tied)) == len(tally.tied)
        sizes[len(expected)] += 1
    # Wins, ties and counts without a result are all among them.
    assert {0, 1, 2} <= set(sizes)
    assert sizes[1] > ELECTORATES / 6


def test_a_runoff_with_draws_ends_as_some_order_of_dropping_does():
    random = Random(7)  # noqa: S311 - it makes no secret
    open_ended = 0
    for _ in range(ELECTORATES):
        options = options_of("instant_runoff", random.randint(2, 5))
        ballots = electorate(random, "instant_runoff", options, random.randint(1, 9))
        views = runoff_views(ballots, options)
        if not views:
            continue
        possible = runoff_winners(views, frozenset(options), every_order=True)
        found = {
            frozenset(tally_of(ballots, options, "instant_runoff", ties=["seeded"], seed=seed).tied)
            for seed in range(4)
        }
        assert found <= possible, ballots
        open_ended += len(possible) > 1
    assert open_ended > ELECTORATES / 20
