import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.deliberation.agreement import (
    Agreement,
    Exposure,
    Judged,
    agreement,
    conformity,
    effective_voters,
    exposures,
    mean_phi,
    oracle_gap,
    phi,
    vulnerability,
)

keys = st.lists(st.sampled_from(["a", "b", "c", None]), max_size=12)
columns = st.integers(1, 12).flatmap(
    lambda n: st.tuples(*[st.lists(st.booleans(), min_size=n, max_size=n)] * 2)
)


def test_the_measures_of_a_split_round():
    measured = agreement(["a", "a", "a", "b", None])
    entropy = (0.75 * math.log(4 / 3) + 0.25 * math.log(4)) / math.log(4)
    assert measured.entropy == pytest.approx(entropy)
    assert measured == Agreement(
        members=5,
        distinct_keys=2,
        modal_share=0.75,
        entropy=measured.entropy,
        pairwise=0.5,
        unparsed_share=0.2,
    )


def test_full_agreement_and_full_disagreement_are_the_ends_of_the_scales():
    same, different = agreement(["a"] * 4), agreement("abcd")
    assert (same.modal_share, same.entropy, same.pairwise) == (1, 0, 1)
    assert (different.modal_share, different.entropy, different.pairwise) == (0.25, 1, 0)


def test_unparsed_answers_are_no_agreement():
    measured = agreement([None, None])
    assert measured.modal_share is measured.entropy is measured.pairwise is None
    assert (measured.unparsed_share, measured.distinct_keys) == (1, 0)


def test_nobody_agrees_with_nobody():
    measured = agreement([])
    assert (measured.members, measured.modal_share, measured.unparsed_share) == (0, None, None)


def test_one_answer_has_no_pair():
    measured = agreement(["a", None])
    assert (measured.modal_share, measured.entropy, measured.pairwise) == (1, 0, None)


@given(positions=keys)
def test_the_order_of_the_members_does_not_matter(positions: list[str | None]):
    assert agreement(positions) == agreement(positions[::-1])


@given(positions=keys, unparsed=st.integers(0, 5))
def test_unparsed_answers_change_their_own_column_alone(positions: list[str | None], unparsed: int):
    changed = agreement([*positions, *[None] * unparsed])
    update = {"members": changed.members, "unparsed_share": changed.unparsed_share}
    assert agreement(positions).model_copy(update=update) == changed


def test_phi_of_a_table_by_hand():
    first = [True] * 4 + [False] * 4
    second = [True] * 3 + [False] + [True] + [False] * 3
    assert phi(first, second) == pytest.approx((3 * 3 - 1 * 1) / 16)


@given(pair=columns)
def test_phi_is_symmetric_and_a_correlation(pair: tuple[list[bool], list[bool]]):
    value = phi(*pair)
    assert value == phi(*pair[::-1])
    assert value is None or -1.0000001 <= value <= 1.0000001


@given(column=st.lists(st.booleans(), max_size=12))
def test_a_member_correlates_fully_with_itself(column: list[bool]):
    opposite = [not right for right in column]
    expected = (1, -1) if len(set(column)) == 2 else (None, None)
    assert (phi(column, column), phi(column, opposite)) == expected


def test_columns_of_different_lengths_have_no_phi():
    with pytest.raises(ValueError, match="argument"):
        phi([True], [True, False])


def test_the_mean_phi_leaves_out_pairs_that_have_none():
    correct = {"a": [True, False], "b": [False, True], "c": [True, True]}
    assert mean_phi(correct) == -1
    assert mean_phi({"c": [True, True]}) is None


@pytest.mark.parametrize(
    ("n", "rho", "expected"), [(5, 0, 5), (5, 1, 1), (5, 0.25, 2.5), (1, 0.7, 1), (3, -0.25, 6)]
)
def test_correlated_voters_are_worth_fewer_independent_ones(n: int, rho: float, expected: float):
    assert effective_voters(n, rho) == pytest.approx(expected)


@pytest.mark.parametrize(("n", "rho"), [(0, 0), (3, 1.5), (3, -0.5), (5, -0.9)])
def test_an_impossible_correlation_is_refused(n: int, rho: float):
    with pytest.raises(ValueError, match=f"{n} voters"):
        effective_voters(n, rho)


def test_the_oracle_gap_counts_tasks_on_which_a_right_member_was_outvoted():
    tasks = [
        Judged({"x": "4", "y": "4"}, winner="4", truth="4"),
        Judged({"x": "4", "y": "5"}, winner="5", truth="4"),
        Judged({"x": "4", "y": None}, winner=None, truth="4"),
        Judged({"x": "5", "y": None}, winner="5", truth="4"),
    ]
    assert oracle_gap(tasks) == (3 - 1) / 4
    assert oracle_gap([]) is None


def test_everyone_is_shown_everyone_else_but_not_itself():
    shown = exposures({"x": "a", "y": "b", "z": None}, {"x": "b", "y": "b"}, truth="a")
    assert shown == [
        Exposure("a", ("b", None), "b", "a"),
        Exposure("b", ("a", None), "b", "a"),
        Exposure(None, ("a", "b"), None, "a"),
    ]


def test_a_ring_shows_its_neighbours_only():
    before = dict.fromkeys("xyz", "a")
    shown = exposures(before, before, seen_by={"x": ["z"], "y": []})
    assert shown == [Exposure("a", ("a",), "a")]


@pytest.mark.parametrize(
    ("before", "seen", "after", "expected"),
    [
        ("a", ["b", "b", "c"], "b", 1),
        ("a", ["b", "b", "c"], "a", 0),
        ("a", ["b", "b", "c"], "c", 0),
        ("a", ["b", "b", "c"], None, 0),
        ("a", ["b", None, None], "b", 1),
        ("b", ["b", "b"], "b", None),
        ("a", ["b", "c"], "b", None),
        ("a", [None], "b", None),
        (None, ["b"], "b", None),
    ],
)
def test_conformity_counts_chances_to_adopt_another_commonest_answer(
    before: str | None, seen: Sequence[str | None], after: str | None, expected: float | None
):
    assert conformity([Exposure(before, tuple(seen), after)]) == expected


@pytest.mark.parametrize(
    ("before", "seen", "after", "expected"),
    [
        ("a", ["b"], "b", 1),
        ("a", ["b"], "c", 1),
        ("a", ["b"], None, 1),
        ("a", ["b", "a"], "a", 0),
        ("a", ["a", None], "b", None),
        ("b", ["c"], "c", None),
        (None, ["b"], "b", None),
    ],
)
def test_vulnerability_counts_right_members_that_were_shown_something_wrong(
    before: str | None, seen: Sequence[str | None], after: str | None, expected: float | None
):
    assert vulnerability([Exposure(before, tuple(seen), after, truth="a")]) == expected


def test_without_the_truth_there_is_no_vulnerability():
    assert vulnerability([Exposure("a", ("b",), "b")]) is None
    # An unparsed answer is not right because the truth is unknown, either.
    assert vulnerability([Exposure(None, ("b",), "b")]) is None


def test_shares_are_taken_over_all_exposures():
    moved, stayed = Exposure("a", ("b",), "b", "a"), Exposure("a", ("b",), "a", "a")
    assert conformity([moved, stayed, stayed]) == vulnerability([moved, stayed, stayed]) == 1 / 3
