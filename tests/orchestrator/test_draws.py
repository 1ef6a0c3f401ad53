"""How many draws a vote needs: in waves exactly as many as one by one, and within their tokens."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.contracts import ErrorInfo, Turn
from agent_lab.deliberation.stop_rules.posterior_rule import chance_of_lead
from agent_lab.orchestrator.draws import Draws
from tests.orchestrator.conftest import START, begun
from tests.orchestrator.councils import NUMBER, SLOGAN, answering

GONE = "gone"
"""A draw that failed."""


def turn(said: object, tokens: int = 0) -> Turn:
    """A draw that says something; None: nothing that can be read."""
    failed = said == GONE
    return Turn(
        node_id="solver",
        path="solver[0]",
        role="solver",
        status="failed" if failed else "ok",
        text="" if failed else "no idea" if said is None else answering(said),
        error=ErrorInfo(code="provider_unavailable", message="gone") if failed else None,
        prompt_tokens=tokens // 2,
        completion_tokens=tokens - tokens // 2,
        started_at=START,
    )


def drawn(
    said: list[Any], *, tokens: int = 0, costs: list[int] | None = None, **options: Any
) -> tuple[Draws, list[int]]:
    """All waves to the end, and how large each was."""
    fields = {"answer": "auto", "stop": "auto", "task": NUMBER, **options}
    state = begun(fields.pop("task"))
    draws, waves = Draws(len(said), tokens, state=state, **fields), list[int]()
    while wave := draws.next_wave():
        assert wave == range(len(draws.turns), len(draws.turns) + len(wave))
        waves.append(len(wave))
        each = costs or [0] * len(said)
        draws.take([turn(said[i], each[i]) for i in wave])
    return draws, waves


def settled(said: list[Any], samples: int) -> bool:
    """Whether these first draws settle the vote, as the rules say."""
    votes: dict[Any, int] = {}
    for key in said:
        if key not in (None, GONE):
            votes[key] = votes.get(key, 0) + 1
    if 2 * sum(votes.values()) <= len(said):  # no quorum of those asked
        return False
    first, second = sorted([*votes.values(), 0, 0], reverse=True)[:2]
    if samples <= 7:
        return first > second + samples - len(said)
    return chance_of_lead(first, second) >= 0.95


KEYS = st.sampled_from([41, 42, 42, 42, 43, None, GONE])


@given(st.lists(KEYS, min_size=1, max_size=30))
def test_waves_draw_exactly_as_many_as_one_by_one_would(said: list[Any]):
    one_by_one = next((n for n in range(1, len(said)) if settled(said[:n], len(said))), len(said))
    draws, waves = drawn(said)
    assert sum(waves) == len(draws.turns) == one_by_one
    assert (draws.stopped is not None) is (one_by_one < len(said))


@pytest.mark.parametrize(
    ("said", "waves"),
    [
        ([42] * 5, [3]),
        ([42, 41, 42, 42, 42], [3, 1]),
        ([42, 41, 42, 41, 42], [3, 1, 1]),
        ([42] * 7, [4]),
        ([42] * 8, [4]),
        ([41, 42, *[42] * 10], [4, 3]),
        ([42], [1]),
        ([None] * 5, [3, 2]),
        ([GONE] * 5, [3, 2]),
    ],
)
def test_a_wave_is_as_large_as_it_can_be(said: list[Any], waves: list[int]):
    assert drawn(said)[1] == waves


@pytest.mark.parametrize(
    "options", [{"stop": "none"}, {"answer": "free"}, {"task": SLOGAN}], ids=str
)
def test_all_are_drawn_in_one_wave_where_nothing_stops_them(options: dict[str, Any]):
    draws, waves = drawn([42] * 9, **options)
    assert waves == [9]
    assert draws.stopped is None


@pytest.mark.parametrize(
    ("stop", "samples", "waves", "reason"),
    [
        ("unassailable_lead", 9, [5], "unassailable_lead"),
        ("posterior", 5, [4], "posterior"),
        ("auto", 5, [3], "unassailable_lead"),
        ("auto", 9, [4], "posterior"),
    ],
)
def test_a_rule_can_be_named(stop: str, samples: int, waves: list[int], reason: str):
    draws, found = drawn([42] * samples, stop=stop)
    assert found == waves
    assert draws.stopped is not None
    assert draws.stopped.reason == reason


def test_half_of_those_asked_are_no_quorum():
    # Two say the same, two failed: nobody could catch up, yet too few have been heard.
    draws, waves = drawn([42, 42, GONE, GONE, 42])
    assert sum(waves) == 5
    assert draws.stopped is None


def test_what_is_known_of_the_stop_is_kept():
    draws, _ = drawn([42] * 5)
    assert draws.stopped is not None
    assert draws.stopped.reason == "unassailable_lead"
    draws, _ = drawn([42] * 9)
    assert draws.stopped is not None
    assert draws.stopped.reason == "posterior"


# ------------------------------------------------------------------ tokens


@pytest.mark.parametrize(
    ("tokens", "waves"), [(1, [1]), (100, [1]), (199, [1]), (200, [1, 1]), (999, [1, 1, 2, 4, 1])]
)
def test_as_many_are_drawn_as_fit_and_a_wave_only_doubles_what_is_known(
    tokens: int, waves: list[int]
):
    assert drawn([42] * 20, tokens=tokens, costs=[100] * 20, stop="none")[1] == waves


def test_no_more_are_drawn_than_there_can_be_however_many_tokens_are_left():
    assert drawn([42] * 5, tokens=10**6, costs=[10] * 5, stop="none")[1] == [1, 1, 2, 1]


def test_draws_that_took_nothing_end_no_drawing():
    # A first one that failed before anything was read tells nothing of the others.
    assert drawn([GONE] * 5, tokens=100, stop="none")[1] == [1, 1, 2, 1]


def test_a_vote_that_is_settled_spares_the_tokens_that_are_left():
    draws, waves = drawn([42] * 20, tokens=10**6, costs=[10] * 20)
    assert sum(waves) == 4
    assert draws.stopped is not None


@given(
    st.lists(st.integers(1, 500), min_size=1, max_size=30),
    st.integers(1, 5_000),
)
def test_draws_of_equal_size_never_take_more_tokens_than_they_may(costs: list[int], tokens: int):
    same = [costs[0]] * len(costs)
    draws, _ = drawn([42] * len(costs), tokens=tokens, costs=same, stop="none")
    taken = sum(t.prompt_tokens + t.completion_tokens for t in draws.turns)
    assert taken <= max(tokens, costs[0])
    assert len(draws.turns) == max(1, min(len(costs), tokens // costs[0]))
