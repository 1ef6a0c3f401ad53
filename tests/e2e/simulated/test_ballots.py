"""Simulated reviewers through `consensus`: what the order of candidates and own votes do.

The four authors rank the four candidates as in `tests/deliberation/test_presentation.py`, whose
20,000 trials meet the reference numbers; here each sees the candidates as its prompt shows them.
"""

import json

import pytest

from agent_lab.deliberation.ballots.ballot import OwnVote
from agent_lab.deliberation.ballots.ties import draw
from agent_lab.deliberation.presentation import label, presented
from agent_lab.flows.graph_configs import FlowConfig, get_flow_config
from agent_lab.providers.base import ProviderCall
from tests.deliberation.test_presentation import FOUR, level_at_the_top, ranked
from tests.e2e.simulated.trials import FEW_AND_MANY, Engine, prompt_of, seed_of, share_error
from tests.orchestrator.conftest import fences

TASK = "Write a slogan for a bakery."


def slogan(author: str) -> str:
    """What an author drafts."""
    return f"Bread as fresh as a {author}."


AUTHORS = {slogan(author): author for author in FOUR}


class Reviewers:
    """Authors who review each other; quality and noise are those of the simulated ones."""

    def __init__(self, first_slot: float, self_bonus: float) -> None:
        self._first_slot = first_slot
        self._self_bonus = self_bonus

    def answer(self, trial: int, call: ProviderCall) -> str:
        """A draft; once candidates are shown, a ballot on these."""
        fenced = [fence.text for fence in fences(prompt_of(call)) if fence.kind == "candidate"]
        if not fenced:
            return slogan(call.role)
        shown = [AUTHORS[text] for text in fenced]
        _best, rankings = ranked(trial, lambda *_: shown, self._first_slot, self._self_bonus)
        ranking = [label(shown.index(author)) for author in rankings[call.role]]
        return json.dumps({"reason": "", "ranking": ranking})


def flow_with(own_vote: OwnVote) -> FlowConfig:
    """The shipped flow, told what to make of own votes."""
    flow = get_flow_config("consensus")
    nodes = tuple(
        node.model_copy(update={"config": {**node.config, "own_vote": own_vote}})
        if node.id == "vote"
        else node
        for node in flow.nodes
    )
    return flow.model_copy(update={"nodes": nodes})


def order(trial: int, reviewer: int) -> tuple[str, ...]:
    """What a reviewer should be shown."""
    return presented(FOUR, reviewer=reviewer, round=1, seed=seed_of(trial)).shown


async def winners(
    own_vote: OwnVote, trials: int, first_slot: float = 0, self_bonus: float = 0
) -> list[tuple[str, str]]:
    """By trial of the engine: the best and the elected; each trial is as the simulated one."""
    engine = Engine(
        flow_with(own_vote),
        Reviewers(first_slot, self_bonus).answer,
        TASK,
        models=[{"id": author, "role": author} for author in FOUR],
        ties=["seeded"],
    )
    found = []
    for trial in range(trials):
        best, rankings = ranked(trial, order, first_slot, self_bonus)
        tied = level_at_the_top(rankings, own_counts=own_vote != "exclude")
        ran = await engine.run(trial)
        vote = ran.vote()
        assert {ballot.voter: list(ballot.ranking or ()) for ballot in vote.ballots} == rankings
        assert vote.shown == {author: order(trial, i) for i, author in enumerate(FOUR)}
        assert sorted(vote.tally.tied) == sorted(tied)
        winner = draw(tied, seed_of(trial))
        assert (vote.tally.winner, ran.outcome.output) == (winner, slogan(winner))
        assert (ran.calls, ran.outcome.stop_reason) == (8, "completed")
        found.append((best, winner))
    return found


def assert_share(found: list[bool], reference: float) -> None:
    bound = share_error(reference, len(found))
    assert sum(found) / len(found) == pytest.approx(reference, abs=bound)


@pytest.mark.parametrize("trials", FEW_AND_MANY)
async def test_a_rotated_order_lets_the_best_win_more_often_than_a_shared_one(trials: int):
    found = await winners("exclude", trials, first_slot=2)
    assert_share([best == winner for best, winner in found], 0.591)
    assert sum(best == winner for best, winner in found) > sum(
        map(best_wins_in_a_shared_order, range(trials))
    )


def best_wins_in_a_shared_order(trial: int) -> bool:
    best, rankings = ranked(trial, lambda trial, _: order(trial, 0), 2, 0)
    tied = level_at_the_top(rankings, own_counts=False)
    return draw(tied, seed_of(trial)) == best


@pytest.mark.parametrize("trials", FEW_AND_MANY)
@pytest.mark.parametrize(("own_vote", "share"), [("auto", 0.701), ("exclude", 0.643)])
async def test_the_best_wins_as_often_as_the_reference_says(
    own_vote: OwnVote, share: float, trials: int
):
    """By default the own vote of one of four counts."""
    assert_share([best == winner for best, winner in await winners(own_vote, trials)], share)


@pytest.mark.parametrize("trials", FEW_AND_MANY)
@pytest.mark.parametrize(("own_vote", "share"), [("auto", 0.358), ("exclude", 0.247)])
async def test_who_praises_itself_wins_more_often_only_where_own_votes_count(
    own_vote: OwnVote, share: float, trials: int
):
    found = await winners(own_vote, trials, self_bonus=3)
    assert_share([winner == FOUR[0] for _best, winner in found], share)
