from collections.abc import Mapping
from statistics import pstdev
from typing import Any

import pytest

from agent_lab.deliberation.ballots.ballot import Ballot
from agent_lab.deliberation.ballots.method_kinds import METHODS
from tests.deliberation.ballots.profiles import cast, chosen, ranked, tally_of

FOUR = "3 BCDA, 2 CDAB, 4 ACBD, 3 DBAC"
FIVE = "1 EADBC, 2 CEBDA, 1 BDACE"
CYCLE = "1 ABC, 1 BCA, 1 CAB"
SHIPPED = {
    *("approval", "borda", "instant_runoff", "judge", "median", "plurality"),
    *("schulze", "score", "threshold", "unanimity", "weighted"),
}


def test_every_method_is_found_and_described():
    assert METHODS.names() == SHIPPED
    for name in SHIPPED:
        method = METHODS.get(name)
        assert method.name == name
        assert method.payloads
        for told in (method.title, method.description):
            assert set(told) == {"en", "es"}
            assert all(told.values())
    assert {name for name in SHIPPED if not METHODS.get(name).monotone} == {
        "instant_runoff",
        "score",
    }
    assert {name for name in SHIPPED if METHODS.get(name).condorcet} == {"schulze"}


# --- one profile, four winners


def first_choices(ballots: list[Ballot]) -> list[Ballot]:
    return chosen(ballot.ranking[0] for ballot in ballots if ballot.ranking)


def test_plurality_elects_the_most_chosen():
    tally = tally_of(first_choices(ranked(FOUR)), "ABCD", "plurality")
    assert (tally.winner, tally.tied, tally.valid) == ("A", ("A",), 12)
    assert tally.scores == {"A": 4, "B": 3, "C": 2, "D": 3}
    assert tally.order == ("A", "B", "D", "C")
    assert tally.margin == pytest.approx(1 / 12)


def test_borda_elects_the_most_points():
    tally = tally_of(ranked(FOUR), "ABCD", "borda")
    assert (tally.winner, tally.tied) == ("C", ("C",))
    assert tally.scores == {"A": 17, "B": 19, "C": 20, "D": 16}
    assert tally.margin == pytest.approx(1 / 36)


def test_schulze_elects_the_option_that_no_path_beats():
    tally = tally_of(ranked(FOUR), "ABCD", "schulze")
    assert (tally.winner, tally.tied) == ("B", ("B",))
    assert {tuple(row["pair"]): row["votes"] for row in tally.counts} == {
        ("A", "B"): [6, 6],
        ("A", "C"): [7, 5],
        ("A", "D"): [4, 8],
        ("B", "C"): [6, 6],
        ("B", "D"): [7, 5],
        ("C", "D"): [9, 3],
    }
    assert tally_of(ranked(FIVE), "ABCDE", "schulze").tied == ("C",)


def test_instant_runoff_logs_every_count():
    tally = tally_of(ranked(FOUR), "ABCD", "instant_runoff")
    assert (tally.winner, tally.tied) == ("D", ("D",))
    assert [(row["votes"], row["dropped"]) for row in tally.counts] == [
        ({"A": 4, "B": 3, "C": 2, "D": 3}, ["C"]),
        ({"A": 4, "B": 3, "D": 5}, ["B"]),
        ({"A": 4, "D": 8}, ["A"]),
        ({"D": 12}, []),
    ]
    assert tally.scores == {"C": 0, "B": 1, "A": 2, "D": 3}
    assert tally.order == ("D", "A", "B", "C")
    assert tally.margin == pytest.approx(4 / 12)


@pytest.mark.parametrize("method", ["borda", "schulze", "instant_runoff"])
def test_a_cycle_ties_all(method: str):
    tally = tally_of(ranked(CYCLE), "ABC", method, ties=["none"])
    assert (tally.tied, tally.winner, tally.reason) == (("A", "B", "C"), None, "tie")
    assert tally.margin == 0


def test_instant_runoff_can_punish_support():
    before = tally_of(ranked("6 ABC, 5 CAB, 4 BCA, 2 BAC"), "ABC", "instant_runoff")
    after = tally_of(ranked("6 ABC, 5 CAB, 4 BCA, 2 ABC"), "ABC", "instant_runoff")
    assert (before.winner, after.winner) == ("A", "C")


def test_score_puts_every_voter_on_one_scale():
    low = tally_of(scored({"A": 4, "B": 2, "C": 3}, {"A": 0, "B": 6, "C": 1}), "ABC", "score")
    high = tally_of(scored({"A": 9, "B": 2, "C": 3}, {"A": 0, "B": 6, "C": 1}), "ABC", "score")
    assert (low.winner, high.winner) == ("A", "B")
    first, second = pstdev([4, 2, 3]), pstdev([0, 6, 1])
    assert low.scores == pytest.approx(
        {"A": 1 / first - 7 / 3 / second, "B": 11 / 3 / second - 1 / first, "C": -4 / 3 / second}
    )


# --- what each method counts


def scored(*scores: Mapping[str, float]) -> list[Ballot]:
    return cast(*({"scores": one} for one in scores))


def test_plurality_counts_heads_whatever_they_weigh():
    ballots = cast({"choice": "A", "weight": 9}, {"choice": "B"}, {"choice": "B"})
    assert tally_of(ballots, "AB", "plurality").scores == {"A": 1, "B": 2}


def test_weights_are_added_up_as_they_are_written():
    ballots = cast(
        {"choice": "A", "weight": 0.1},
        {"choice": "A", "weight": 0.2},
        {"choice": "B", "weight": 0.3},
        {"choice": "C", "weight": 0},
    )
    tally = tally_of(ballots, "ABC", "weighted")
    assert tally.tied == ("A", "B")
    assert tally.scores == {"A": 0.3, "B": 0.3, "C": 0}
    assert (tally.valid, tally.abstained) == (3, 1)
    assert tally_of(ballots[:1] + ballots[2:], "ABC", "weighted").margin == pytest.approx(0.5)


def test_weights_too_large_to_add_up_are_still_counted():
    ballots = cast(*({"choice": choice, "weight": 1.5e308} for choice in "AAB"))
    tally = tally_of(ballots, "AB", "weighted")
    assert tally.winner == "A"
    assert tally.scores["B"] == 1.5e308


def test_approving_all_or_none_abstains():
    ballots = cast(
        {"approved": ("A", "B", "C")}, {"approved": ()}, {"approved": ("B", "C")}, {"approved": "B"}
    )
    tally = tally_of(ballots, "ABC", "approval")
    assert (tally.winner, tally.valid, tally.abstained) == ("B", 2, 2)
    assert tally.scores == {"A": 0, "B": 2, "C": 1}
    assert tally.margin == 0.5


@pytest.mark.parametrize(
    "flat", [{"A": 5, "B": 5, "C": 5}, {"A": 0.1 + 0.2, "B": 0.3, "C": 0.3}, {"A": 7}, {}]
)
def test_scores_without_spread_abstain(flat: dict[str, float]):
    tally = tally_of(scored(flat, {"A": 0, "B": 1, "C": 0}), "ABC", "score")
    assert (tally.winner, tally.valid, tally.abstained) == ("B", 1, 1)


def test_score_ties_in_spite_of_the_noise_of_floats():
    ballots = scored(
        {"A": 0.1 + 0.2, "B": 0.3, "C": 0.7},
        {"A": 1.1, "B": 2.2, "C": 3.3},
        {"A": 2.2, "B": 1.1, "C": 3.3},
    )
    assert tally_of(ballots, "ABC", "score").winner == "C"
    assert tally_of(scored({"A": 0.1 + 0.2, "B": 0.3, "C": 0}), "ABC", "score").tied == ("A", "B")
    mirrored = scored({"A": 1, "B": 2, "C": 4}, {"A": 4, "B": 2, "C": 1}, {"A": 0, "B": 0, "C": -1})
    assert tally_of(mirrored, "ABC", "score").tied == ("A",)
    assert tally_of(mirrored[:2], "ABC", "score").tied == ("A", "C")


def test_score_ties_where_roots_are_equal():
    half = {"B": 1, "C": 1, "D": 0}
    tally = tally_of(scored({"A": 1, "C": 0, "D": 0}, half, half), "ABCD", "score")
    assert tally.tied == ("A", "B")  # the root of 2, and twice that of a half


def test_an_option_without_a_score_is_as_good_as_the_voters_mean():
    tally = tally_of(scored({"A": 1, "B": 3}, {"A": 2, "B": 1, "C": 0}), "ABC", "score")
    assert tally.scores["C"] == pytest.approx(-(1.5**0.5))
    assert tally.scores["B"] == pytest.approx(1)


def test_unranked_options_share_the_points_that_are_left():
    tally = tally_of(cast({"ranking": ("A",)}), "ABCD", "borda")
    assert tally.scores == {"A": 3, "B": 1, "C": 1, "D": 1}
    assert tally_of(cast({"ranking": "AB"}), "ABCDE", "borda").scores == {
        "A": 4,
        "B": 3,
        "C": 1,
        "D": 1,
        "E": 1,
    }


def test_unranked_options_are_behind_the_ranked_ones():
    ballots = cast({"ranking": "BA"}, {"ranking": "B"}, {"ranking": "C"})
    tally = tally_of(ballots, "ABC", "schulze")
    assert tally.winner == "B"
    assert tally.counts[1] == {"pair": ["A", "C"], "votes": [1, 1], "paths": [0, 0]}


def test_an_empty_ranking_abstains():
    tally = tally_of(cast({"ranking": ()}, {"ranking": "BA"}), "ABC", "borda")
    assert (tally.winner, tally.valid, tally.abstained) == ("B", 1, 1)


def test_ballots_that_rank_nothing_that_is_left_are_exhausted():
    tally = tally_of(ranked("3 A, 2 BC, 1 C, 3 DB"), "ABCD", "instant_runoff")
    assert [row["exhausted"] for row in tally.counts] == [0, 1, 3]
    assert tally.tied == ("A", "D")


def test_options_without_a_first_place_drop_together():
    tally = tally_of(ranked("2 ABCD, 1 BACD"), "ABCD", "instant_runoff")
    assert tally.counts[0]["dropped"] == ["C", "D"]
    assert tally.counts[0]["tie_broken_by"] == ""


def test_instant_runoff_breaks_a_tie_for_the_last_place_as_the_policy_says():
    ballots = ranked("3 ABC, 2 BCA, 2 CAB")
    by_first = tally_of(ballots, "ABC", "instant_runoff", round0={"A": 0, "B": 1, "C": 2})
    assert by_first.counts[0] == {
        "votes": {"A": 3, "B": 2, "C": 2},
        "exhausted": 0,
        "dropped": ["B"],
        "tie_broken_by": "round0",
    }
    assert by_first.winner == "C"
    paired = tally_of(ballots, "ABC", "instant_runoff", ties=["head_to_head"])
    assert paired.counts[0]["dropped"] == ["C"]  # B beats it by 5 to 2
    assert paired.counts[0]["tie_broken_by"] == "head_to_head"
    together = tally_of(ballots, "ABC", "instant_runoff", ties=["none", "seeded"])
    assert together.counts[0]["dropped"] == ["B", "C"]
    assert together.winner == "A"
    drawn = [
        tally_of(ballots, "ABC", "instant_runoff", ties=["seeded"], seed=seed).counts[0]
        for seed in range(400)
    ]
    assert {row["tie_broken_by"] for row in drawn} == {"seeded"}
    assert 160 <= sum(row["dropped"] == ["B"] for row in drawn) <= 240
    assert 160 <= sum(row["dropped"] == ["C"] for row in drawn) <= 240


@pytest.mark.parametrize(
    ("choices", "threshold", "winner"),
    [
        ("AAB", 0.5, "A"),
        ("AABB", 0.5, None),
        ("AABC", 0.5, None),
        ("AAB", 2 / 3, "A"),
        ("AAB", 0.6667, "A"),
        ("AAB", 0.67, None),
        ("AAAAAAABBB", 0.7, "A"),
        ("AAA", 1, "A"),
        ("AAAAB", 1, None),
        ("AABC", 0.4, "A"),
        ("AABC", 0, "A"),
    ],
)
def test_threshold_wants_a_share_of_the_cast(choices: str, threshold: float, winner: str | None):
    tally = tally_of(chosen(choices), "ABC", "threshold", threshold=threshold)
    assert (tally.winner, tally.reason) == (winner, "" if winner else "below_threshold")
    assert tally.scores["A"] == pytest.approx(choices.count("A") / len(choices))


def test_threshold_counts_approvals_of_all_and_of_none():
    ballots = cast({"approved": "AB"}, {"approved": "A"}, {"approved": ()}, {"choice": "A"})
    tally = tally_of(ballots, "AB", "threshold", threshold=0.75)
    assert (tally.winner, tally.scores) == ("A", {"A": 0.75, "B": 0.25})
    nothing = tally_of(cast({"approved": ()}), "A", "threshold", threshold=0)
    assert (nothing.winner, nothing.reason) == (None, "below_threshold")


def test_unanimity_wants_every_cast_ballot():
    ballots = [*chosen("AAA"), Ballot(voter="v3", abstain=True)]
    assert tally_of(ballots, "AB", "unanimity").winner == "A"
    split = tally_of([*chosen("AAAAB"), Ballot(voter="v5", abstain=True)], "AB", "unanimity")
    assert (split.winner, split.reason) == (None, "below_threshold")
    both = cast({"approved": "AB"}, {"approved": "BA"})
    assert tally_of(both, "ABC", "unanimity", ties=["none"]).tied == ("A", "B")


@pytest.mark.parametrize(
    ("choices", "tied"),
    [
        (["3", "1", "2"], ["2"]),
        (["10", "9", "100"], ["10"]),
        (["-3/4", "-0.5", "-1"], ["-3/4"]),
        (["1/3", "0.3333", "0.34"], ["1/3"]),
        (["1", "1", "5"], ["1"]),
        (["1", "5"], ["1", "5"]),
        (["1", "2", "4", "9"], ["2", "4"]),
        (["1", "2", "2", "9"], ["2"]),
        (["1/2", "0.5", "7"], ["1/2", "0.5"]),
    ],
)
def test_the_median_is_the_middle_of_the_chosen_numbers(choices: list[str], tied: list[str]):
    options = sorted({*choices, "3", "41.5", "x"}, key=len)
    tally = tally_of(chosen(choices), options, "median")
    assert sorted(tally.tied) == sorted(tied)
    assert tally.winner in tied


@pytest.mark.parametrize(
    "key", ["", "x", "1e9", "1/0", " 1", "1_0", "--1", "nan", "1/2/3", "٣", "1\n", "9" * 5000]
)
def test_the_median_takes_numbers_only(key: str):
    tally = tally_of(chosen(["1", key]), ["1", key], "median")
    assert tally.invalid == {"v1": "not_a_number"}
    assert (tally.scores, tally.winner) == ({"1": 1, key: 0}, None)
    assert tally.reason == "no_quorum"


def test_a_panel_of_judges_is_counted_as_approvals():
    tally = tally_of(cast({"verdict": "A"}, {"verdict": "B"}, {"verdict": "A"}), "AB", "judge")
    assert tally.winner == "A"
    assert tally.margin == pytest.approx(1 / 3)
    lone = tally_of(cast({"verdict": "B"}, {"verdict": ""}), "AB", "judge")
    assert (lone.winner, lone.valid) == ("B", 2)


def test_a_judge_that_prefers_none_leaves_a_tie():
    tally = tally_of(cast({"verdict": ""}), "AB", "judge", round0={"B": 1})
    assert (tally.tied, tally.winner, tally.tie_broken_by) == (("A", "B"), "B", "round0")
    lone = tally_of(cast({"verdict": ""}), "A", "judge")
    assert (lone.winner, lone.reason) == (None, "below_threshold")


SINGLE: dict[str, dict[str, Any]] = {
    "plurality": {"choice": "1"},
    "weighted": {"choice": "1"},
    "median": {"choice": "1"},
    "threshold": {"choice": "1"},
    "unanimity": {"approved": ("1",)},
    "judge": {"verdict": "1"},
    "schulze": {"ranking": ("1",)},
    "instant_runoff": {"ranking": ("1",)},
    "borda": {"ranking": ("1",)},
    "approval": {"approved": ("1",)},
    "score": {"scores": {"1": 3}},
}
# These compare options; with one there is nothing to say.
COMPARING = {"approval", "borda", "score"}


@pytest.mark.parametrize("method", sorted(SHIPPED))
def test_a_single_option_wins_unless_the_method_compares(method: str):
    tally = tally_of(cast(SINGLE[method]), ["1"], method)
    if method in COMPARING:
        assert (tally.winner, tally.reason, tally.abstained) == (None, "no_votes", 1)
    else:
        assert (tally.winner, tally.margin) == ("1", 1)


def test_sums_are_exact():
    ballots = cast(*({"choice": "A", "weight": 0.1} for _ in range(10)), {"choice": "B"})
    assert sum([0.1] * 10) != 1
    assert tally_of(ballots, "AB", "weighted").tied == ("A", "B")
