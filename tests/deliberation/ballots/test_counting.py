from collections import Counter
from typing import Any

import pytest

from agent_lab.deliberation.ballots.ballot import Ballot, Policy, Tally, options_sha
from agent_lab.deliberation.ballots.counting import count
from agent_lab.deliberation.ballots.ties import TieBreak, break_tie
from agent_lab.errors import UnknownPluginError
from tests.deliberation.ballots.profiles import cast, chosen, ranked, tally_of, voters


def counted(ballots: list[Ballot], eligible: int, options: str = "ABC", **policy: Any) -> Tally:
    return count(ballots, list(options), voters(eligible), Policy(**policy))


# --- which ballots are valid


@pytest.mark.parametrize(
    ("method", "said", "fault"),
    [
        ("plurality", {"choice": "A", "round": 1}, "stale_round"),
        ("plurality", {"choice": "A", "options_sha": options_sha("AB")}, "stale_options"),
        ("plurality", {"choice": "A", "options_sha": options_sha("ACB")}, "stale_options"),
        ("plurality", {"abstain": True, "options_sha": "x"}, "stale_options"),
        ("plurality", {}, "wrong_payload"),
        ("plurality", {"ranking": "ABC"}, "wrong_payload"),
        ("plurality", {"choice": "A", "ranking": "ABC"}, "wrong_payload"),
        ("threshold", {"choice": "A", "approved": "A"}, "wrong_payload"),
        ("plurality", {"choice": "A", "abstain": True}, "wrong_payload"),
        ("borda", {"choice": "A"}, "wrong_payload"),
        ("judge", {"choice": "A"}, "wrong_payload"),
        ("plurality", {"choice": "D"}, "unknown_option"),
        ("plurality", {"choice": ""}, "unknown_option"),
        ("plurality", {"choice": "a"}, "unknown_option"),
        ("plurality", {"choice": "A", "recused": "D"}, "unknown_option"),
        ("judge", {"verdict": "D"}, "unknown_option"),
        ("approval", {"approved": "AD"}, "unknown_option"),
        ("borda", {"ranking": "AD"}, "unknown_option"),
        ("score", {"scores": {"A": 1, "D": 2}}, "unknown_option"),
        ("approval", {"approved": "AA"}, "repeated_option"),
        ("threshold", {"approved": "AA"}, "repeated_option"),
        ("borda", {"ranking": "AA"}, "repeated_option"),
        ("schulze", {"ranking": "ABA"}, "repeated_option"),
        ("instant_runoff", {"ranking": "ABCB"}, "repeated_option"),
        ("weighted", {"choice": "A", "weight": -0.5}, "bad_weight"),
        ("median", {"choice": "A"}, "not_a_number"),
    ],
)
def test_a_faulty_ballot_does_not_count(method: str, said: dict[str, Any], fault: str):
    tally = counted(cast(said), 1, method=method)
    assert tally.invalid == {"v0": fault}
    assert (tally.valid, tally.abstained, tally.quorum_met) == (0, 0, False)
    assert (tally.winner, tally.reason) == (None, "no_quorum")


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_numbers_that_are_none_do_not_count(number: float):
    """A ballot cannot be made with them, but a copy of one can."""
    weighed = cast({"choice": "A"})[0].model_copy(update={"weight": number})
    assert counted([weighed], 1, method="weighted").invalid == {"v0": "bad_weight"}
    scored = cast({"scores": {}})[0].model_copy(update={"scores": {"A": number, "B": 1}})
    assert counted([scored], 1, method="score").invalid == {"v0": "bad_score"}


def test_who_may_not_vote_does_not_count():
    tally = counted(chosen("ABBB"), 1)
    assert (tally.winner, tally.valid, tally.eligible) == ("A", 1, 1)
    assert tally.invalid == dict.fromkeys(["v1", "v2", "v3"], "unknown_voter")


def test_who_casts_no_ballot_is_absent():
    assert counted(chosen("AB"), 4).invalid == {"v2": "absent", "v3": "absent"}


def test_a_ballot_on_these_options_in_this_order_counts():
    ballots = cast({"choice": "A", "options_sha": options_sha(["A", "B", "C"])}, {"choice": "A"})
    assert counted(ballots, 2).valid == 2


@pytest.mark.parametrize(
    ("one", "other"), [(["a\0b"], ["a", "b"]), (["a", "b"], ["b", "a"]), ([], [""]), (["1"], ["2"])]
)
def test_other_options_have_another_digest(one: list[str], other: list[str]):
    assert options_sha(one) != options_sha(other)
    assert options_sha(one) == options_sha(tuple(one))


def test_a_digest_takes_any_text():
    assert len(options_sha(["\ud800", "ñ"])) == 16


def test_of_a_voters_ballots_the_last_valid_one_counts():
    ballots = [
        Ballot(voter="v0", choice="A"),
        Ballot(voter="v0", choice="B"),
        Ballot(voter="v0", choice="D"),
        Ballot(voter="v0", choice="C", round=1),
    ]
    tally = counted(ballots, 1)
    assert (tally.winner, tally.valid, tally.invalid) == ("B", 1, {})
    assert counted([*ballots, Ballot(voter="v0", abstain=True)], 1).abstained == 1
    assert counted(ballots, 1, round=1).winner == "C"


def test_of_faulty_ballots_the_last_ones_fault_is_told():
    ballots = [Ballot(voter="v0", choice="D"), Ballot(voter="v0", choice="A", round=1)]
    assert counted(ballots, 1).invalid == {"v0": "stale_round"}


@pytest.mark.parametrize(("options", "eligible"), [("AA", ["v0"]), ("AB", ["v0", "v0"])])
def test_a_name_that_stands_twice_is_refused(options: str, eligible: list[str]):
    with pytest.raises(ValueError, match="named twice"):
        count(chosen("A"), list(options), eligible, Policy())


def test_an_unknown_method_is_refused():
    with pytest.raises(UnknownPluginError, match="plurality"):
        counted(chosen("A"), 1, method="copeland")


# --- abstentions and quorum


def test_abstentions_leave_every_denominator():
    ballots = [*chosen("AAB"), *(Ballot(voter=f"v{i}", abstain=True) for i in range(3, 7))]
    tally = counted(ballots, 7, method="threshold", threshold=0.6)
    assert (tally.winner, tally.valid, tally.abstained) == ("A", 3, 4)
    assert tally.scores["A"] == pytest.approx(2 / 3)
    assert counted(ballots, 7).margin == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("quorum", "cast_of_six", "met"),
    [
        (0.5, 3, False),
        (0.5, 4, True),
        (2 / 3, 4, False),
        (2 / 3, 5, True),
        (0, 0, False),
        (0, 1, True),
        (1, 5, False),
        (1, 6, True),
        (0.99, 5, False),
        (0.99, 6, True),
    ],
)
def test_a_quorum_is_more_than_a_share_of_the_eligible(quorum: float, cast_of_six: int, met: bool):
    ballots = chosen("A" * cast_of_six)
    tally = counted(ballots, 6, quorum=quorum)
    assert tally.quorum_met == met
    assert (tally.winner, tally.reason) == (("A", "") if met else (None, "no_quorum"))
    abstaining = [Ballot(voter=ballot.voter, abstain=True) for ballot in ballots]
    tally = counted(abstaining, 6, quorum=quorum)
    assert (tally.quorum_met, tally.winner) == (met, None)
    assert tally.reason == ("no_votes" if met else "no_quorum")


def test_invalid_ballots_do_not_help_the_quorum():
    tally = counted(chosen("AAXX"), 4)
    assert (tally.quorum_met, tally.valid, tally.reason) == (False, 2, "no_quorum")


def test_without_a_quorum_the_scores_are_told_and_nobody_wins():
    tally = counted(chosen("AB"), 4, ties=["runoff"])
    assert (tally.winner, tally.reason, tally.asks) == (None, "no_quorum", "")
    assert (tally.scores, tally.tied) == ({"A": 1, "B": 1, "C": 0}, ("A", "B"))


@pytest.mark.parametrize(("options", "eligible"), [("", 0), ("", 2), ("AB", 0)])
def test_nothing_to_count_has_no_winner(options: str, eligible: int):
    tally = counted([], eligible, options, quorum=0)
    assert (tally.winner, tally.reason, tally.order) == (None, "no_quorum", tuple(options))


# --- recusal and own votes


def test_a_recused_voter_keeps_its_say_on_the_rest():
    ballots = cast(
        {"ranking": "ABC", "recused": "A"}, {"ranking": "CAB"}, {"ranking": "BC", "recused": "A"}
    )
    tally = tally_of(ballots, "ABC", "borda")
    # Two of three have no say on A: its one point counts as if all had given it.
    assert tally.scores == {"A": 3, "B": 4, "C": 2}
    assert (tally.valid, tally.recused, tally.abstained) == (3, 2, 0)


def test_a_vote_for_an_option_without_a_say_on_it_abstains():
    ballots = cast({"choice": "A", "recused": "A"}, {"choice": "B"})
    tally = tally_of(ballots, "AB", "plurality")
    assert (tally.winner, tally.valid, tally.abstained, tally.recused) == ("B", 1, 1, 1)


def test_shares_are_of_those_that_have_a_say():
    ballots = cast(
        {"choice": "B", "recused": "A"}, {"choice": "A"}, {"choice": "A"}, {"choice": "B"}
    )
    tally = tally_of(ballots, "ABC", "threshold", threshold=0.6)
    assert tally.scores == {"A": pytest.approx(2 / 3), "B": 0.5, "C": 0}
    assert tally.winner == "A"
    assert tally_of(ballots, "ABC", "plurality").scores == pytest.approx(
        {"A": 8 / 3, "B": 2, "C": 0}
    )


@pytest.mark.parametrize("method", ["borda", "schulze", "instant_runoff"])
def test_an_option_on_which_nobody_has_a_say_cannot_win(method: str):
    ballots = cast({"ranking": "ABC", "recused": "A"}, {"ranking": "CB", "recused": "A"})
    tally = tally_of(ballots, "ABC", method)
    assert set(tally.scores) == {"B", "C"}
    assert tally.tied == ("B", "C")
    assert tally.order == ("B", "C", "A")


def test_a_voter_without_a_say_on_anything_abstains():
    tally = tally_of(cast({"approved": (), "recused": "AB"}), "AB", "threshold")
    assert (tally.valid, tally.abstained, tally.reason) == (0, 1, "no_votes")


OWN = {"A": ("v0",), "B": ("v1",), "C": ("v2", "v3"), "D": ("v4",)}
SELFISH = "ABCCD"


@pytest.mark.parametrize(
    ("rule", "eligible", "biased", "recused"),
    [
        ("count", 5, ["v0"], 0),
        ("exclude", 5, [], 5),
        ("exclude", 3, [], 3),
        ("auto", 5, [], 5),
        ("auto", 4, [], 0),
        ("auto", 4, ["v0", "v9"], 1),
    ],
)
def test_own_votes_are_left_out_by_rule(rule: str, eligible: int, biased: list[str], recused: int):
    policy: dict[str, Any] = {"own_vote": rule, "authors": OWN, "self_biased": biased}
    tally = counted(chosen(SELFISH[:eligible]), eligible, "ABCD", **policy)
    assert tally.recused == tally.abstained == recused
    assert tally.valid == eligible - recused


def test_voters_that_are_no_authors_are_not_many_authors():
    policy: dict[str, Any] = {"own_vote": "auto", "authors": {"A": ("v0",), "B": ("v1",)}}
    assert counted(chosen("ABAAAAA"), 7, **policy).recused == 0


def test_authors_vote_on_what_is_not_theirs():
    policy: dict[str, Any] = {"own_vote": "exclude", "authors": OWN, "method": "borda"}
    ballots = cast(*({"ranking": ranking} for ranking in ("ABCD", "BACD", "CABD", "CABD", "DABC")))
    tally = counted(ballots, 5, "ABCD", **policy)
    assert (tally.winner, tally.recused, tally.valid) == ("A", 5, 5)
    assert tally.scores["A"] == 15


def test_an_author_that_abstains_is_not_recused():
    silent = Ballot(voter="v1", abstain=True)
    policy: dict[str, Any] = {"own_vote": "exclude", "authors": OWN}
    tally = counted([*chosen("B"), silent], 2, **policy)
    assert (tally.recused, tally.valid, tally.abstained) == (1, 1, 1)


def test_an_author_of_what_is_not_voted_on_is_left_alone():
    assert counted(chosen("AB"), 2, own_vote="exclude", authors={"Z": ("v0",)}).recused == 0


# --- ties


def test_a_tie_is_broken_by_the_first_round():
    tally = counted(chosen("ABC"), 3, round0={"A": 1, "B": 3, "C": 2})
    assert (tally.winner, tally.tie_broken_by, tally.reason) == ("B", "round0", "")
    assert (tally.tied, tally.margin) == (("A", "B", "C"), 0)


def test_the_first_round_narrows_what_the_next_rule_decides():
    policy: dict[str, Any] = {"round0": {"A": 2, "C": 2, "B": 0.5}, "ties": ["round0", "seeded"]}
    winners = Counter(counted(chosen("ABC"), 3, seed=seed, **policy).winner for seed in range(400))
    assert set(winners) == {"A", "C"}
    assert min(winners.values()) >= 160
    assert counted(chosen("ABC"), 3, **policy).tie_broken_by == "seeded"


def test_an_option_that_was_not_in_the_first_round_is_behind():
    assert counted(chosen("ABC"), 3, round0={"C": -5}).winner == "C"


def test_a_first_round_without_these_options_says_nothing():
    tally = counted(chosen("AB"), 2, round0={"Z": 1}, ties=["round0"])
    assert (tally.winner, tally.reason, tally.tie_broken_by) == (None, "tie", "")


def test_the_noise_of_floats_does_not_separate_in_the_first_round():
    policy: dict[str, Any] = {"round0": {"A": 0.1 + 0.2, "B": 0.3}, "ties": ["round0"]}
    assert counted(chosen("AB"), 2, **policy).reason == "tie"


def test_pairs_decide_where_ballots_compare():
    tally = tally_of(ranked("2 BAC, 1 ACB"), "ABC", "borda", ties=["head_to_head"])
    assert tally.scores == {"A": 4, "B": 4, "C": 1}
    assert (tally.tied, tally.winner) == (("A", "B"), "B")
    assert tally.tie_broken_by == "head_to_head"


def test_a_cycle_of_pairs_does_not_decide():
    tally = tally_of(ranked("1 ABC, 1 BCA, 1 CAB"), "ABC", "borda", ties=["head_to_head"])
    assert (tally.winner, tally.reason) == (None, "tie")


def test_a_cycle_of_pairs_is_left_to_the_next_rule():
    ballots = ranked("1 ABC, 1 BCA, 1 CAB")
    tally = tally_of(ballots, "ABC", "borda", ties=["head_to_head", "round0"], round0={"C": 1})
    assert (tally.winner, tally.tie_broken_by) == ("C", "round0")


def test_pairs_narrow_what_the_next_rule_decides():
    policy = Policy(ties=("head_to_head", "round0"), round0={"A": 1, "B": 2, "C": 3})
    ballots = ranked("1 ABC, 1 BAC")
    assert break_tie("ABC", ballots, policy) == TieBreak(("B",), "round0")
    assert break_tie("ABC", ballots, policy, worst=True) == TieBreak(("C",), "head_to_head")
    assert break_tie("AB", ballots, policy, worst=True) == TieBreak(("A",), "round0")


@pytest.mark.parametrize("asks", ["runoff", "judge"])
def test_a_rule_that_needs_a_turn_asks_for_it(asks: str):
    tally = counted(chosen("AABBC"), 5, ties=["round0", asks, "seeded"])
    assert (tally.winner, tally.reason, tally.asks) == (None, "tie", asks)
    assert tally.tied == ("A", "B")


@pytest.mark.parametrize("chain", [["none"], ["none", "seeded"], [], ["round0", "head_to_head"]])
def test_a_chain_that_does_not_decide_leaves_a_tie(chain: list[str]):
    tally = counted(chosen("AB"), 2, ties=chain)
    assert (tally.winner, tally.reason, tally.asks) == (None, "tie", "")
    assert tally.tie_broken_by == ""


@pytest.mark.parametrize("options", ["AB", "ABC", "ABCD", "ABCDE"])
def test_a_drawn_winner_is_uniform_and_does_not_depend_on_the_order(options: str):
    draws = 600 * len(options)
    winners = [counted(chosen(options), 9, options, quorum=0, seed=s).winner for s in range(draws)]
    assert set(winners) == set(options)
    # 600 each are expected; more than 100 off is over four standard deviations.
    assert all(abs(n - 600) <= 100 for n in Counter(winners).values())
    backwards = [
        counted(chosen(options[::-1]), 9, options[::-1], quorum=0, seed=s).winner
        for s in range(100)
    ]
    assert backwards == winners[:100]


def test_one_draw_says_nothing_about_another():
    """Who wins against A with a seed is as likely as not to win against B with it."""
    agree = sum(
        (counted(chosen("AC"), 2, seed=s).winner == "C")
        == (counted(chosen("BC"), 2, seed=s).winner == "C")
        for s in range(1000)
    )
    assert 430 <= agree <= 570
