"""What reviewers are shown, and what order and own votes do to a Borda count.

The simulated reviewers are four authors who rank all four candidates. Quality and noise are N(0, 1)
each; the first that a reviewer sees gains a bonus. The reference numbers were drawn as well: they
are met within .015, of 20,000 trials a share has a standard error of at most .0035.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.deliberation.ballots.ballot import Ballot, Policy
from agent_lab.deliberation.ballots.counting import count
from agent_lab.deliberation.presentation import Presentation, distinct_peers, label, presented

FOUR = ("kestrel", "heron", "merlin", "osprey")


def shown(reviewer: int, seed: int = 1, round_: int = 0) -> tuple[str, ...]:
    return presented(FOUR, reviewer=reviewer, round=round_, seed=seed).shown


# Order and labels


def test_each_candidate_stands_once_in_each_position():
    orders = [shown(reviewer) for reviewer in range(4)]
    for column in (*zip(*orders, strict=True), *orders):
        assert sorted(column) == sorted(FOUR)


def test_reviewers_beyond_the_candidates_begin_again():
    assert shown(4) == shown(0)


def test_each_base_order_is_as_likely_as_any_other():
    found = Counter(shown(0, seed) for seed in range(24_000))
    assert set(found) == set(permutations(FOUR))
    # 1,000 expected of each, standard error 31: five of them to either side.
    assert all(845 < number < 1_155 for number in found.values())


def test_names_change_from_round_to_round():
    assert len({shown(0, round_=round_) for round_ in range(20)}) > 10


def test_the_order_in_which_candidates_are_given_has_no_effect():
    given_in = presented(FOUR[::-1], reviewer=2, round=0, seed=1)
    assert given_in.shown == shown(2)


@pytest.mark.parametrize(
    ("position", "expected"),
    [(0, "A"), (1, "B"), (25, "Z"), (26, "AA"), (27, "AB"), (51, "AZ"), (52, "BA"), (702, "AAA")],
)
def test_labels_go_on_after_z(position: int, expected: str):
    assert label(position) == expected


def test_labels_lead_to_candidates_and_back():
    seen = Presentation(shown=("heron", "kestrel"))
    assert seen.by_label() == {"A": "heron", "B": "kestrel"}
    assert seen.label_of("kestrel") == "B"
    with pytest.raises(ValueError, match="not in tuple"):
        seen.label_of("merlin")


@given(st.lists(st.text(), unique=True, max_size=30), st.integers(0, 99), st.integers(0, 9))
def test_every_candidate_has_one_label_that_says_nothing_of_it(
    candidates: list[str], reviewer: int, round_: int
):
    seen = presented(candidates, reviewer=reviewer, round=round_, seed=7)
    assert sorted(seen.by_label().values()) == sorted(candidates)
    assert list(seen.by_label()) == [label(i) for i in range(len(candidates))]


# Peers as a set


TEXTS = {"ada": "it is 42", "bob": "so 42", "cyd": "41!", "dan": "forty-two: 42", "eve": "hm"}
KEYS = {"ada": "42", "bob": "42", "cyd": "41", "dan": "42", "eve": None}


def peers(own: str, seed: int = 1, round_: int = 1) -> tuple[str, ...]:
    return distinct_peers(TEXTS, KEYS, own=own, seed=seed, round=round_)


def test_peers_show_one_text_for_each_key_and_those_without():
    for seed in range(20):
        keys = sorted(str(KEYS[member]) for t in peers("ada", seed) for member in by_text(t))
        assert keys == ["41", "42", "None"]


def by_text(text: str) -> list[str]:
    return [member for member, said in TEXTS.items() if said == text]


def test_its_own_text_is_left_out_and_that_of_one_who_agrees_is_not():
    for seed in range(20):
        assert TEXTS["ada"] not in peers("ada", seed)
        assert len(set(peers("ada", seed)) & {TEXTS["bob"], TEXTS["dan"]}) == 1


def test_how_many_gave_an_answer_cannot_be_seen():
    fewer = distinct_peers(
        {"ada": "42", "bob": "42", "cyd": "41"},
        {"ada": "42", "bob": "42"},
        own="cyd",
        seed=1,
        round=1,
    )
    assert fewer == ("42",)
    same = distinct_peers({"ada": "hm", "bob": "hm", "cyd": "x"}, {}, own="cyd", seed=1, round=1)
    assert same == ("hm",)


def test_who_speaks_for_a_key_is_drawn_not_the_first():
    spoke = Counter(by_text(text)[0] for seed in range(3_000) for text in peers("cyd", seed))
    # 1,000 expected of each of three, standard error 26.
    assert all(870 < spoke[member] < 1_130 for member in ("ada", "bob", "dan"))
    assert spoke["eve"] == 3_000


def test_the_order_of_peers_differs_between_readers_and_rounds():
    texts = {member: member for member in "abcdef"}
    firsts = Counter(
        distinct_peers(texts, texts, own=own, seed=seed, round=1)[0]
        for own in "ab"
        for seed in range(2_000)
    )
    assert all(firsts[member] > 400 for member in "cdef")
    orders = {distinct_peers(texts, texts, own="a", seed=1, round=n) for n in range(20)}
    assert len(orders) > 10
    seen_by = [distinct_peers(texts, texts, own=own, seed=1, round=1) for own in "abcdef"]
    assert len({order[0] for order in seen_by}) > 3


def test_who_has_said_nothing_sees_all_and_who_is_alone_nobody():
    assert len(peers("zoe")) == 3
    assert distinct_peers({"ada": "42"}, {"ada": "42"}, own="ada", seed=1, round=1) == ()


# What order and own votes do

TRIALS = 20_000
WITHIN = 0.015
Order = Callable[[int, int], Sequence[str]]
Rankings = Mapping[str, Sequence[str]]
"""By voter: the candidates, best first."""


class Shares(NamedTuple):
    """Over all trials."""

    best_wins: float
    ties: float
    """Trials in which some were level at the top."""
    first_wins: float
    """Trials that the first author wins."""


def rotated(trial: int, reviewer: int) -> Sequence[str]:
    return presented(FOUR, reviewer=reviewer, round=0, seed=trial).shown


def shared(trial: int, reviewer: int) -> Sequence[str]:
    return presented(FOUR, reviewer=0, round=0, seed=trial).shown


def independent(trial: int, reviewer: int) -> Sequence[str]:
    return presented(FOUR, reviewer=0, round=reviewer, seed=trial).shown


def level_at_the_top(rankings: Rankings, *, own_counts: bool) -> list[str]:
    """Who has the most Borda points."""
    points = dict.fromkeys(FOUR, 0)
    for voter, ranking in rankings.items():
        ranked = [candidate for candidate in ranking if own_counts or candidate != voter]
        for behind, candidate in enumerate(reversed(ranked)):
            points[candidate] += behind
    return [candidate for candidate in FOUR if points[candidate] == max(points.values())]


def ranked(
    trial: int, order: Order | None, first_slot: float, self_bonus: float
) -> tuple[str, Rankings]:
    """The best of the candidates, and how the authors rank them; the first may favour its own."""
    noise = random.Random(trial)  # noqa: S311 - a simulation
    quality = {candidate: noise.gauss(0, 1) for candidate in FOUR}
    rankings = {}
    for reviewer, voter in enumerate(FOUR):
        score = {candidate: quality[candidate] + noise.gauss(0, 1) for candidate in FOUR}
        if order:
            score[order(trial, reviewer)[0]] += first_slot
        score[voter] += self_bonus if reviewer == 0 else 0
        rankings[voter] = sorted(FOUR, key=score.__getitem__, reverse=True)
    return max(FOUR, key=quality.__getitem__), rankings


def simulated(
    order: Order | None = None,
    *,
    own_counts: bool,
    first_slot: float = 0,
    self_bonus: float = 0,
) -> Shares:
    best_wins = ties = first_wins = 0
    for trial in range(TRIALS):
        best, rankings = ranked(trial, order, first_slot, self_bonus)
        tied = level_at_the_top(rankings, own_counts=own_counts)
        winner = random.Random(f"tie {trial}").choice(tied)  # noqa: S311 - a simulation
        best_wins += winner == best
        ties += len(tied) > 1
        first_wins += winner == FOUR[0]
    return Shares(best_wins / TRIALS, ties / TRIALS, first_wins / TRIALS)


@pytest.mark.parametrize("own_counts", [True, False])
def test_the_simulated_count_is_that_of_the_ballots(own_counts: bool):
    policy = Policy(
        method="borda",
        own_vote="count" if own_counts else "exclude",
        authors={author: (author,) for author in FOUR},
    )
    for trial in range(200):
        _best, rankings = ranked(trial, rotated, first_slot=2, self_bonus=3)
        ballots = [Ballot(voter=voter, ranking=tuple(r)) for voter, r in rankings.items()]
        tied = level_at_the_top(rankings, own_counts=own_counts)
        assert count(ballots, FOUR, FOUR, policy).tied == tuple(tied)


def test_a_rotated_order_lets_the_best_win_more_often_than_a_shared_one():
    found = [
        simulated(order, own_counts=False, first_slot=2).best_wins
        for order in (shared, independent, rotated)
    ]
    assert found == pytest.approx([0.459, 0.550, 0.591], abs=WITHIN)
    assert found == sorted(found)


def test_without_own_votes_a_count_ties_more_and_cannot_be_won_by_praising_oneself():
    counted, excluded = simulated(own_counts=True), simulated(own_counts=False)
    assert (counted.best_wins, excluded.best_wins) == pytest.approx((0.701, 0.643), abs=WITHIN)
    assert (counted.ties, excluded.ties) == pytest.approx((0.12, 0.22), abs=WITHIN)
    vain = [simulated(own_counts=own, self_bonus=3).first_wins for own in (True, False)]
    assert vain == pytest.approx([0.358, 0.247], abs=WITHIN)
