"""Judges: every pair in both orders, what they count for, and what a judge never sees."""

from typing import Any

import pytest

from agent_lab.contracts import JsonObject
from agent_lab.deliberation.votes import Vote
from agent_lab.errors import ProviderUnavailableError
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate, updated
from agent_lab.orchestrator.run_context import KnownModel
from tests.orchestrator.conftest import (
    Stage,
    fences,
    in_virtual_time,
    outside_fences,
    slow,
    staged,
    timed,
    worked,
)
from tests.orchestrator.councils import SLOGAN, council, counted, drafted, seeded


def slogans(ids: str) -> AgentState:
    return drafted(SLOGAN, **{i: f"slogan {i}" for i in ids})


def pair(prompt: str) -> tuple[str, str]:
    """The two candidates of a prompt, in its order."""
    first, second = [fence.text for fence in fences(prompt) if fence.kind == "candidate"]
    return first, second


def prefers(word: str, reason: str = "because") -> str:
    return f'{{"reason": "{reason}", "preference": "{word}"}}'


def best(*order: str) -> Any:
    """A judge whose opinion is fixed: the earlier of `order` is the better one."""

    def answer(call: Any) -> str:
        first, second = pair(call.messages[-1].content)
        better = order.index(first.split()[-1]) < order.index(second.split()[-1])
        return prefers("A" if better else "B")

    return answer


async def judged(
    ids: str,
    script: Any,
    state: AgentState | None = None,
    stage: Stage | None = None,
    **config: Any,
) -> tuple[Vote, StateUpdate, Stage]:
    stage = stage or staged(script)
    plan = council(ids, judge=config)
    update = await worked(plan, "judge", state or slogans(ids), stage)
    return update["votes"]["judge"][-1], update, stage


# ------------------------------------------------------------------ pairs


async def test_every_pair_is_judged_in_both_orders():
    vote, update, stage = await judged("abc", best("b", "c", "a"))
    pairs = [pair(turn.messages[-1].content) for turn in stage.turns]
    texts = [f"slogan {i}" for i in "abc"]
    assert sorted(pairs) == sorted((x, y) for x in texts for y in texts if x != y)
    assert vote.tally.winner == "b"
    assert vote.tally.scores == {"a": 0, "b": 4, "c": 2}
    assert update["outputs"]["judge"] == "slogan b"
    assert update["values"] == {"judge_winner": "slogan b", "judge_consistent": 1.0}
    assert [turn.path for turn in stage.turns] == [f"judge[{i}]" for i in range(6)]
    assert vote.shown == {
        f"judge[{i}]": tuple(text.split()[-1] for text in p) for i, p in enumerate(pairs)
    }


async def test_a_judge_that_always_takes_the_first_has_no_preference():
    winners = set()
    for seed in range(12):
        stage = seeded(staged(lambda call: prefers("A")), seed)
        vote, update, _ = await judged("ab", None, stage=stage)
        assert vote.tally.tied == ("a", "b")
        assert vote.tally.tie_broken_by == "seeded"
        assert update["values"]["judge_consistent"] == 0.0
        winners.add(vote.tally.winner)
    assert winners == {"a", "b"}


async def test_one_order_that_prefers_neither_leaves_the_other_to_decide():
    def answer(call: Any) -> str:
        return prefers("A") if pair(call.messages[-1].content)[0] == "slogan a" else prefers("none")

    vote, update, _ = await judged("ab", answer)
    assert vote.tally.winner == "a"
    assert update["values"]["judge_consistent"] == 0.0


async def test_where_neither_is_ever_better_the_lot_decides():
    vote, update, _ = await judged("ab", lambda call: prefers("none"))
    assert vote.tally.tied == ("a", "b")
    assert vote.tally.winner in ("a", "b")
    assert update["values"]["judge_consistent"] == 1.0


async def test_a_judge_whose_preferences_go_round_in_a_circle_has_none():
    def answer(call: Any) -> str:
        first, second = (text[-1] for text in pair(call.messages[-1].content))
        return prefers("A" if (first + second) in ("ab", "bc", "ca") else "B")

    vote, _, _ = await judged("abc", answer)
    assert vote.tally.tied == ("a", "b", "c")


def test_verdicts_are_asked_for_at_the_same_time():
    stage = timed(lambda call: slow("PREFERENCE: A", 0.5))
    _, seconds = in_virtual_time(lambda: judged("abcd", None, stage=stage))
    assert len(stage.turns) == 12
    assert seconds == 1.0


# ------------------------------------------------------------------ who is judged


async def test_only_the_level_candidates_of_a_count_are_judged():
    plan = council("abcde", vote={"ties": ["judge"]}, judge={"vote": "vote"})
    state = drafted(a=42, b=42, c=41, d=41, e=40)
    _, update = await counted(plan, state)
    state = updated(state, update)
    stage = staged(lambda call: prefers("A"))
    update = await worked(plan, "judge", state, stage)
    assert len(stage.turns) == 2
    assert update["votes"]["judge"][-1].tally.tied == ("41", "42")


async def test_without_a_count_that_left_any_level_all_are_judged():
    plan = council(vote={"ties": ["judge"]}, judge={"vote": "vote"})
    state = drafted(a=42, b="no idea", c="nor I")
    _, update = await counted(plan, state)
    stage = staged({})
    update = await worked(plan, "judge", updated(state, update), stage)
    # One answer could be read: nobody has to compare it with another one.
    assert stage.turns == []
    assert update["outputs"]["judge"].endswith("42")
    assert update["values"] == {"judge_winner": "42", "judge_consistent": None}


async def test_of_many_candidates_some_are_drawn_by_the_seed_of_the_run():
    judged_ones = set()
    for seed in range(12):
        stage = seeded(staged(lambda call: prefers("A")), seed)
        vote, _, _ = await judged("abcdefgh", None, stage=stage, most=3)
        assert len(stage.turns) == 6
        again = seeded(staged(lambda call: prefers("A")), seed)
        assert (await judged("abcdefgh", None, stage=again, most=3))[0] == vote
        judged_ones.add(frozenset(c for shown in vote.shown.values() for c in shown))
    assert len(judged_ones) > 3
    assert all(len(ids) == 3 for ids in judged_ones)


async def test_without_candidates_nobody_is_asked():
    stage = staged({})
    state = drafted(SLOGAN, a=None, b=None)
    update = await worked(council("ab"), "judge", state, stage)
    failure = update["failures"]["judge"]
    assert failure is not None
    assert failure.code == "not_asked"
    assert stage.turns == []


# ------------------------------------------------------------------ what cannot be read


async def test_a_verdict_that_cannot_be_read_is_asked_for_once_more():
    replies = ["Both are good.", prefers("A"), prefers("B"), "never said"]
    vote, _, stage = await judged("ab", lambda call: replies.pop(0))
    assert sorted(turn.path for turn in stage.turns) == [
        "judge[0]",
        "judge[0].repair",
        "judge[1]",
    ]
    assert vote.ballots[0].parsed_by == "repair"


async def test_a_pair_that_is_read_in_one_order_counts_by_that_one():
    def answer(call: Any) -> str:
        candidates = [f.text for f in fences(call.messages[-1].content) if f.kind == "candidate"]
        return prefers("A") if candidates == ["slogan a", "slogan b"] else "Both are good."

    vote, update, _ = await judged("ab", answer)
    assert vote.tally.winner == "a"
    assert vote.tally.invalid == {"judge[1]": "unreadable"}
    assert update["values"]["judge_consistent"] is None


async def test_a_judge_that_nobody_can_read_decides_nothing():
    vote, update, stage = await judged("ab", lambda call: "Both are good.")
    assert vote.tally.winner is None
    assert vote.tally.invalid == {"judge[0]": "unreadable", "judge[1]": "unreadable"}
    failure = update["failures"]["judge"]
    assert failure is not None
    assert failure.code == "no_verdict"
    assert "outputs" not in update
    assert len(stage.turns) == 4


async def test_a_judge_that_fails_is_a_failure_of_the_provider():
    vote, update, _ = await judged("ab", lambda call: ProviderUnavailableError("gone"))
    failure = update["failures"]["judge"]
    assert failure is not None
    assert failure.code == "provider_unavailable"
    assert vote.tally.invalid == {"judge[0]": "absent", "judge[1]": "absent"}


async def test_of_a_judge_that_fails_now_and_then_the_rest_counts_and_the_failure_is_kept():
    def answer(call: Any) -> Any:
        first = pair(call.messages[-1].content)[0]
        return ProviderUnavailableError("gone") if first == "slogan b" else prefers("A")

    vote, update, _ = await judged("ab", answer)
    assert vote.tally.winner == "a"
    assert update["failures"]["judge"] is None
    assert update["failures"]["judge[1]"] is not None


@pytest.mark.parametrize(
    "reply",
    [prefers("C"), prefers("AB"), "A", '"A"', "PREFERENCE: A and B", '{"preference": ["A", "B"]}'],
)
async def test_a_verdict_is_one_of_a_closed_set(reply: str):
    vote, _, _ = await judged("ab", lambda call: reply)
    # A model that was held to the schema may write the letter alone.
    is_one = reply in ("A", '"A"')
    assert (vote.tally.valid == 2) is is_one


# ------------------------------------------------------------------ what it sees


async def test_a_judge_sees_neither_authors_nor_how_many_gave_an_answer():
    stage = staged(lambda call: prefers("A"))
    state = drafted(a=42, b=42, c=42, d=41)
    state = updated(state, {"models": {"a_drafter": "model-of-a"}})
    await judged("abcd", None, state, stage)
    for turn in stage.turns:
        prompt = turn.messages[-1].content
        assert "drafter" not in prompt
        assert "model-of-a" not in prompt
        assert len([f for f in fences(prompt) if f.kind == "candidate"]) == 2
        assert "ANSWER: 4" not in outside_fences(prompt)


@pytest.mark.parametrize(
    ("judge", "member", "flags"),
    [
        ("llama", "llama", ("judge_of_own_family",)),
        ("llama", "qwen", ()),
        ("", "", ()),
        ("llama", "", ()),
    ],
)
async def test_a_judge_of_a_members_family_is_flagged(
    judge: str, member: str, flags: tuple[str, ...]
):
    known = {"scripted": KnownModel(judge), "theirs": KnownModel(member)}
    stage = staged(lambda call: prefers("A"), known=known)
    state = slogans("ab")
    models: JsonObject = {"a_drafter": "theirs", "b_drafter": "theirs"}
    vote, _, _ = await judged("ab", None, updated(state, {"models": models}), stage)
    assert vote.flags == flags


async def test_a_judge_that_spoke_before_is_no_member_of_its_own_family():
    # In a second pass its own model stands in the state, too.
    known = {"scripted": KnownModel("llama"), "theirs": KnownModel("qwen")}
    stage = staged(lambda call: prefers("A"), known=known)
    models: JsonObject = {"a_drafter": "theirs", "b_drafter": "theirs", "judge": "scripted"}
    vote, _, _ = await judged("ab", None, updated(slogans("ab"), {"models": models}), stage)
    assert vote.flags == ()
