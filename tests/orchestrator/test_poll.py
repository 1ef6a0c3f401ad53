"""What is put to the vote: which answers are one, what stands for them, in which order."""

from itertools import permutations
from typing import Any

import pytest

from agent_lab.contracts import Language
from agent_lab.orchestrator.agent_state import AgentState, updated
from agent_lab.orchestrator.poll import Poll, PollOptions, poll_of, shown_to
from agent_lab.orchestrator.run_context import Place
from tests.orchestrator.conftest import fences, outside_fences, planned, speaker, spoke, staged
from tests.orchestrator.councils import (
    NUMBER,
    SLOGAN,
    answering,
    council,
    drafted,
    group,
    said_in,
)

AFTER = PollOptions(answers=("exchange",), blind=("drafter",))


def polled(state: AgentState, ids: str = "abc", **options: Any) -> Poll:
    return poll_of(PollOptions(answers=("drafter",), **options), council(ids), state)


def by_id(poll: Poll) -> dict[str, tuple[str, ...]]:
    return {candidate.id: candidate.members for candidate in poll.candidates}


# ------------------------------------------------------------------ candidates


def test_equal_answers_are_one_candidate_whose_order_tells_nothing_of_their_number():
    poll = polled(drafted(a=42, b=41, c="ANSWER: 42.00"))
    assert by_id(poll) == {"41": ("b",), "42": ("a", "c")}
    assert poll.text_of("42") in (answering(42), "ANSWER: 42.00")
    assert poll.authors() == by_id(poll)


@pytest.mark.parametrize(
    ("texts", "place"),
    [
        (("Six times seven.\nANSWER: 42", "ANSWER: 42"), 0),
        (("ANSWER: 42", "Six times seven.\nANSWER: 42", f"{'So. ' * 50}\nANSWER: 42"), 1),
        # One that says which its answer is stands before one of which that is guessed.
        (("6 bags of 7 make 42 apples", "ANSWER: 42"), 1),
        # One that is nothing but why it has changed is for the debate.
        (("CHANGED, six times seven is 42. ANSWER: 42", "ANSWER: 42"), 1),
        # One that goes on behind its answer was cut, or rambles.
        (("ANSWER: 42\nNow the next task: how many", "ANSWER: **42**."), 1),
        (("ANSWER: 42\n\nShort.", "ANSWER: 42\n\nAs long as that."), 1),
    ],
)
def test_of_texts_that_end_with_an_answer_the_middle_one_stands_for_it(
    texts: tuple[str, ...], place: int
):
    for order in permutations(texts):
        members = dict(zip("abc", order, strict=False))
        assert polled(drafted(**members), "".join(members)).text_of("42") == texts[place]


def test_texts_are_candidates_of_their_authors_even_where_they_are_the_same():
    poll = polled(drafted(SLOGAN, a="Warm.", b="Warm.", c="Bread."))
    assert poll.kind == "free"
    assert not poll.is_keyed
    assert by_id(poll) == {"a": ("a",), "b": ("b",), "c": ("c",)}


def test_a_text_is_known_by_how_its_answer_begins_not_by_why_it_has_changed():
    poll = polled(drafted(SLOGAN, a='CHANGED "Warm": bland.\n\nBread.', b="CHANGED"), "ab")
    assert [candidate.display for candidate in poll.candidates] == ["Bread.", "CHANGED"]


def test_who_failed_or_cannot_be_read_is_eligible_and_no_candidate():
    poll = polled(drafted(a=42, b=None, c="no idea"))
    assert by_id(poll) == {"42": ("a",)}
    assert poll.eligible == ("a", "b", "c")
    assert poll.positions == {"a": "42", "c": None}


@pytest.mark.parametrize(
    ("task", "wish", "kind"),
    [
        (NUMBER, "auto", "number"),
        (SLOGAN, "auto", "free"),
        (NUMBER, "free", "free"),
        (SLOGAN, "label", "label"),
        ("Is 7 prime?", "auto", "boolean"),
        ("Which is blue?\nA) the sky\nB) grass", "auto", "choice"),
    ],
)
def test_the_kind_is_as_the_flow_says_or_as_the_task_does(task: str, wish: Any, kind: str):
    assert polled(drafted(task, a="ANSWER: 1"), answer=wish).kind == kind


def test_a_choice_is_read_by_the_labels_of_the_task():
    poll = polled(drafted("Which is blue?\nA) the sky\nB) grass", a="A", b="ANSWER: C", c="(a)"))
    assert poll.labels == ("A", "B")
    assert poll.positions["a"] == poll.positions["c"]
    assert poll.positions["b"] is None


def test_a_failed_turn_takes_the_answer_out_of_this_round_though_its_text_is_there():
    state = said_in(drafted(a=42, b=41), "exchange", a=None, b=41)
    poll = poll_of(AFTER, council("ab"), state)
    assert poll.positions == {"b": "41"}
    assert poll.said[0].text == answering(42)


def test_an_answer_that_its_author_has_given_up_still_has_a_text():
    state = said_in(drafted(a=42, b=41), "exchange", a=41, b=41)
    poll = poll_of(AFTER, council("ab"), state)
    assert by_id(poll) == {"41": ("a", "b")}
    assert poll.text_of("42", {"42": answering(42)}) == answering(42)


def test_draws_are_polled_as_far_as_they_were_asked():
    plan = planned(speaker("solver", type="samples"))
    texts = {f"solver[{i}]": answering(40 + i) for i in range(5)}
    state = updated(spoke(drafted(), **texts), {"values": {"solver_asked": 2}})
    poll = poll_of(PollOptions(answers=("solver",)), plan, state)
    assert poll.positions == {"solver[0]": "40", "solver[1]": "41"}


# ------------------------------------------------------------------ rounds and members


def test_the_blind_round_is_round_0_and_so_is_the_first_pass_of_a_loop_without_one():
    run = staged({}).run
    blind, after = PollOptions(answers=("drafter",)), AFTER
    assert blind.round_of(run) == 0
    assert after.round_of(run) == 1
    third = type(run)(**{**vars(run), "place": Place(round=3, visit=2)})
    assert (blind.round_of(third), after.round_of(third)) == (2, 3)


@pytest.mark.parametrize(
    ("answers", "blind", "most"),
    [
        (("drafter",), (), 3),
        (("drafter", "solver"), (), 3 + 7),
        (("drafter",), ("solver",), 7),
        (("solver", "solver2"), (), 7 + 5),
    ],
)
def test_how_many_members_there_can_be_counts_every_draw(
    answers: tuple[str, ...], blind: tuple[str, ...], most: int
):
    plan = planned(
        group("drafter"),
        speaker("solver", type="samples", config={"samples": 7}),
        speaker("solver2", type="samples"),
    )
    assert PollOptions(answers=answers, blind=blind).most_members(plan) == most


# ------------------------------------------------------------------ how they are shown


@pytest.mark.parametrize(("lang", "word"), [("en", "Candidate"), ("es", "Candidato")])
def test_candidates_stand_under_labels_in_fences(lang: Language, word: str):
    state, run = drafted(SLOGAN, lang, a="Warm.", b="Bread.", c="We bake."), staged({}).run
    shown, text = shown_to(polled(state), 0, state, run)
    assert [f.kind for f in fences(text)] == ["candidate"] * 3
    headings = outside_fences(text).split("\n\n")
    assert headings[0] == f"## {word} A"
    assert [line for line in outside_fences(text).splitlines() if line] == [
        f"## {word} {label}" for label in "ABC"
    ]
    texts = {"a": "Warm.", "b": "Bread.", "c": "We bake."}
    assert [f.text for f in fences(text)] == [texts[i] for i in shown.shown]


def test_each_voter_sees_the_same_circle_from_another_place():
    state, run = drafted(SLOGAN, a="1", b="2", c="3"), staged({}).run
    orders = [shown_to(polled(state), voter, state, run)[0].shown for voter in range(3)]
    assert [order[0] for order in orders] != [orders[0][0]] * 3
    assert {order.index("a") for order in orders} == {0, 1, 2}
    twice = orders[0] + orders[0]
    assert all(any(twice[k : k + 3] == order for k in range(3)) for order in orders)


def test_only_some_can_be_shown():
    state, run = drafted(SLOGAN, a="1", b="2", c="3"), staged({}).run
    shown, text = shown_to(polled(state), 0, state, run, only=("a", "c"))
    assert sorted(shown.shown) == ["a", "c"]
    assert sorted(f.text for f in fences(text)) == ["1", "3"]


def test_names_change_from_round_to_round():
    ids = "abcdefgh"
    state = drafted(SLOGAN, **{i: i for i in ids})
    run = staged({}).run
    orders = set()
    for round_ in range(1, 6):
        later = type(run)(**{**vars(run), "place": Place(round=round_)})
        orders.add(shown_to(polled(state, ids), 0, state, later)[0].shown)
    assert len(orders) == 5
