from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent_lab.deliberation.stop_rules.posterior_rule import chance_of_lead
from agent_lab.deliberation.stop_rules.standard import default_rule, draws_until_possible
from agent_lab.deliberation.stop_rules.stop import (
    PRECEDENCE,
    STOP_RULES,
    Rule,
    Standing,
    Stop,
    all_of,
    any_of,
    first_of,
    in_order,
    rule_of,
)
from agent_lab.deliberation.trajectory import Round
from agent_lab.errors import UnknownPluginError

LEAD, POSTERIOR = rule_of("unassailable_lead"), rule_of("posterior")


def standing(first: int, second: int = 0, remaining: int = 0, **fields: Any) -> Standing:
    eligible = first + second + remaining
    return Standing({"a": first, "b": second}, remaining, eligible, **fields)


def rounds(*keys: Sequence[str | None]) -> list[Round]:
    return [
        Round(round=n, positions={f"m{i}": key for i, key in enumerate(given)})
        for n, given in enumerate(keys)
    ]


def agrees(*given: Sequence[str | None], eligible: int = 5, **parameters: Any) -> bool:
    seen = Standing({}, 0, eligible, rounds(*given))
    return rule_of("agreement", parameters)(seen) is not None


# The registry


def test_the_rules_are_found_by_the_names_of_their_reasons():
    assert STOP_RULES.names() == {"unassailable_lead", "posterior", "agreement"}
    assert STOP_RULES.names() <= set(PRECEDENCE)


def test_an_unknown_rule_is_an_error():
    with pytest.raises(UnknownPluginError):
        rule_of("patience")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("unassailable_lead", {"theta": 0.5}),
        ("posterior", {"confidence": 0.5}),
        ("posterior", {"confidence": 1}),
        ("agreement", {"theta": 0.4}),
        ("agreement", {"theta": 1.1}),
        ("agreement", {"r": 0}),
    ],
)
def test_a_wrong_parameter_is_refused(name: str, parameters: Mapping[str, object]):
    with pytest.raises(ValidationError):
        rule_of(name, parameters)


def test_by_default_few_voters_need_certainty_and_many_confidence():
    assert [default_rule(n) for n in (3, 7)] == [LEAD, LEAD]
    assert [default_rule(n) for n in (8, 15)] == [POSTERIOR, POSTERIOR]


# Unassailable lead


@pytest.mark.parametrize(
    ("first", "second", "remaining", "fires"),
    [(3, 0, 2, True), (2, 0, 3, False), (3, 1, 1, True), (2, 1, 1, False), (2, 1, 0, True)]
    + [(2, 2, 0, False), (0, 0, 0, False), (0, 0, 5, False), (1, 0, 0, True)],
)
def test_a_lead_is_unassailable_when_all_that_remain_cannot_even_level_it(
    first: int, second: int, remaining: int, fires: bool
):
    stop = LEAD(standing(first, second, remaining))
    assert (stop is not None) == fires
    assert stop is None or stop.reason == "unassailable_lead"


@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=11))
def test_an_unassailable_leader_wins_when_all_votes_are_in(votes: list[str]):
    for cast in range(len(votes) + 1):
        if LEAD(after(votes[:cast], len(votes))):
            winner = max(counted(votes[:cast]).items(), key=lambda pair: pair[1])[0]
            final = counted(votes)
            assert all(final[winner] > n for key, n in final.items() if key != winner)
            return


# Posterior


@pytest.mark.parametrize(
    ("first", "second", "chance"),
    [(4, 0, 0.96875), (3, 0, 0.9375), (5, 1, 0.9375), (0, 0, 0.5), (7, 7, 0.5)],
)
def test_the_chance_of_the_lead_is_that_of_the_beta_distribution(
    first: int, second: int, chance: float
):
    assert chance_of_lead(first, second) == Fraction(chance)


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_chances_of_either_lead_make_one(first: int, second: int):
    assert chance_of_lead(first, second) + chance_of_lead(second, first) == 1


@pytest.mark.parametrize(
    ("first", "second", "fires"),
    [(4, 0, True), (6, 1, True), (8, 2, True), (9, 3, True)]
    + [(3, 0, False), (5, 1, False), (7, 2, False), (8, 3, False), (0, 0, False)],
)
def test_the_posterior_fires_where_the_reference_does(first: int, second: int, fires: bool):
    stop = POSTERIOR(standing(first, second, 15 - first - second))
    assert (stop is not None) == fires
    assert stop is None or stop.reason == "posterior"


def test_a_confidence_is_meant_as_it_is_written():
    assert rule_of("posterior", {"confidence": 0.9375})(standing(3))
    assert rule_of("posterior", {"confidence": 0.93750001})(standing(3)) is None


@pytest.mark.parametrize("rule", [LEAD, POSTERIOR])
def test_no_vote_is_cut_short_of_its_quorum(rule: Rule):
    assert rule(standing(5, 0, 1)) is not None
    assert rule(standing(5, 0, 1, to_quorum=1)) is None


# Reference numbers: a right option of chance p, four wrong ones that share the rest equally


@cache
def expected_calls(
    voters: int, p: float, rule: Rule, right: int = 0, wrong: tuple[int, ...] = (0, 0, 0, 0)
) -> float:
    votes = {"right": right} | {f"wrong {i}": n for i, n in enumerate(wrong)}
    remaining = voters - right - sum(wrong)
    if not remaining or rule(Standing(votes, remaining, voters)):
        return 0
    others = (tuple(sorted((*wrong[:i], n + 1, *wrong[i + 1 :]))) for i, n in enumerate(wrong))
    missed = sum(expected_calls(voters, p, rule, right, other) for other in others) / 4
    return 1 + p * expected_calls(voters, p, rule, right + 1, wrong) + (1 - p) * missed


@pytest.mark.parametrize(
    ("rule", "voters", "reference"),
    [
        (LEAD, 5, (4.416, 3.997, 3.323)),
        (LEAD, 9, (7.653, 6.763, 5.542)),
        (LEAD, 15, (12.174, 10.659, 8.850)),
        (POSTERIOR, 15, (12.230, 9.084, 5.324)),
    ],
)
def test_rules_ask_for_as_many_votes_as_the_reference_says(
    rule: Rule, voters: int, reference: tuple[float, ...]
):
    found = [round(expected_calls(voters, p, rule), 3) for p in (0.55, 0.7, 0.9)]
    assert found == list(reference)


# Agreement


@pytest.mark.parametrize(
    ("keys", "theta", "fires"),
    [
        ("aaaab", 0.8, True),
        ("aaabb", 0.8, False),
        ("aaabb", 0.6, True),
        ("aaaaa", 1, True),
        ("aaaab", 1, False),
        ("aaabb", 0.5, True),
    ],
)
def test_agreement_needs_the_share_of_one_key(keys: str, theta: float, fires: bool):
    assert agrees(list(keys), theta=theta) == fires


def test_half_is_no_agreement_and_two_thirds_of_six_are():
    assert not agrees(list("aabb"), eligible=4, theta=0.5)
    assert not agrees(list("aabc"), eligible=4, theta=0.5)
    assert agrees(list("aaaabc"), eligible=6, theta=2 / 3)


def test_who_gave_no_readable_key_agrees_with_nobody():
    assert not agrees(["a", "a", None, None, None], theta=0.5)
    assert not agrees(["a", "a"], theta=0.5)
    assert not agrees([None] * 5, theta=0.5)


def test_agreement_lasts_r_rounds_on_the_same_key():
    assert not agrees(list("aaaaa"), r=2)
    assert agrees(list("aaaaa"), list("aaaab"), r=2)
    assert not agrees(list("aaaaa"), list("bbbbb"), r=2)
    assert not agrees(list("aaaaa"), list("aabbb"), list("aaaaa"), r=2)
    assert agrees(list("ababc"), list("aaaaa"), list("aaaaa"), r=2)


def test_agreement_compares_keys_exactly():
    assert not agrees(["40", "40", "41", "41", "41"], theta=0.8)


def test_without_a_complete_round_nothing_is_agreed():
    assert not agrees()


# Combinations


def test_all_that_fire_are_told_in_the_order_of_precedence():
    seen = standing(5, 0, 0, rounds=rounds(list("aaaaa")))
    stop = any_of([rule_of("agreement"), POSTERIOR, LEAD])(seen)
    assert stop is not None
    assert stop.reasons() == ("unassailable_lead", "posterior", "agreement")


def test_any_needs_one_and_all_need_each():
    seen = standing(4, 0, 11)
    assert any_of([LEAD, POSTERIOR])(seen) == POSTERIOR(seen)
    assert all_of([LEAD, POSTERIOR])(seen) is None
    both = all_of([POSTERIOR, LEAD])(standing(4, 0, 1))
    assert both is not None
    assert both.reasons() == ("unassailable_lead", "posterior")


def test_of_no_rules_none_fires():
    assert any_of([])(standing(9)) is None
    assert all_of([])(standing(9)) is None


def test_combinations_combine():
    stop = any_of([all_of([POSTERIOR, LEAD]), POSTERIOR])(standing(4, 0, 1))
    assert stop is not None
    assert stop.reasons() == ("unassailable_lead", "posterior")


def test_reasons_of_others_come_before_the_last_round():
    told = in_order(["max_rounds", "zeal", "agreement", "ardour", "cancelled", "agreement"])
    assert told == ("cancelled", "agreement", "ardour", "zeal", "max_rounds")
    assert in_order(PRECEDENCE) == PRECEDENCE


@given(st.lists(st.sampled_from(PRECEDENCE)))
def test_the_first_stop_holds_the_others(reasons: list[str]):
    stop = first_of([Stop(reason=reason, detail=str(n)) for n, reason in enumerate(reasons)])
    assert (stop.reasons() if stop else ()) == in_order(reasons)
    assert stop is None or stop.detail == str(reasons.index(stop.reason))


# Waves


def counted(votes: Sequence[str]) -> dict[str, int]:
    return {key: votes.count(key) for key in votes if key != "-"}


def after(votes: Sequence[str], voters: int, quorum: int = 0) -> Standing:
    """Where it stands after some votes; `-` is a voter whose turn failed."""
    given = counted(votes)
    lacking = max(quorum - sum(given.values()), 0)
    return Standing(given, voters - len(votes), voters, to_quorum=lacking)


def drawn(votes: Sequence[str], rule: Rule, quorum: int, *, in_waves: bool) -> int:
    """How many of these votes are asked for."""
    cast = 0
    while cast < len(votes) and not rule(after(votes[:cast], len(votes), quorum)):
        seen = after(votes[:cast], len(votes), quorum)
        wave = draws_until_possible(rule, seen) if in_waves else 1
        assert 1 <= wave <= len(votes) - cast
        cast += wave
    return cast


EAGER = rule_of("posterior", {"confidence": 0.7})
COMBINED = [any_of([LEAD, EAGER]), all_of([LEAD, POSTERIOR])]


def assert_waves_ask_for_no_more(votes: Sequence[str], rule: Rule) -> None:
    # The same votes drawn: so the same winner, whatever the rule for ties.
    for quorum in (0, len(votes) // 2 + 1):
        one_by_one = drawn(votes, rule, quorum, in_waves=False)
        assert drawn(votes, rule, quorum, in_waves=True) == one_by_one


def profiles(voters: int) -> Iterator[tuple[str, ...]]:
    return product("abc-", repeat=voters)


@pytest.mark.parametrize("voters", range(1, 6))
@pytest.mark.parametrize("rule", [LEAD, POSTERIOR, EAGER, *COMBINED])
def test_waves_ask_for_the_votes_that_are_asked_for_one_by_one(voters: int, rule: Rule):
    for votes in profiles(voters):
        assert_waves_ask_for_no_more(votes, rule)


@given(
    votes=st.lists(st.sampled_from("abcd-"), min_size=6, max_size=25),
    rule=st.sampled_from([LEAD, POSTERIOR, EAGER, *COMBINED]),
)
def test_waves_ask_for_no_more_among_many(votes: list[str], rule: Rule):
    assert_waves_ask_for_no_more(votes, rule)


@pytest.mark.parametrize(
    ("rule", "seen", "wave"),
    [
        (LEAD, Standing({}, 5, 5), 3),
        (LEAD, standing(1, 1, 3), 2),
        (LEAD, standing(2, 0, 3), 1),
        (LEAD, standing(1, 2, 1), 1),
        (LEAD, Standing({}, 1, 1), 1),
        (LEAD, Standing({}, 0, 0), 0),
        (LEAD, Standing({}, 5, 9, to_quorum=5), 5),
        (POSTERIOR, Standing({}, 15, 15), 4),
        (POSTERIOR, standing(3, 1, 11), 3),
        (POSTERIOR, Standing({}, 3, 3), 3),
        (POSTERIOR, standing(7, 7, 1), 1),
    ],
)
def test_a_wave_goes_as_far_as_the_next_point_at_which_the_rule_can_fire(
    rule: Rule, seen: Standing, wave: int
):
    assert draws_until_possible(rule, seen) == wave
