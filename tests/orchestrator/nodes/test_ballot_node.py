"""Ballots: who is asked, what a voter sees, how it is heard, what becomes of one that cannot be."""

from itertools import permutations
from typing import Any

import pytest

from agent_lab.contracts import GenerationRequest, Language
from agent_lab.deliberation.ballots.schemas import ballot_schema
from agent_lab.errors import ProviderUnavailableError
from agent_lab.flows.graph_configs import get_flow_config
from agent_lab.orchestrator.agent_state import AgentState, CastBallot
from agent_lab.providers.provider_gateway import ProviderGateway
from tests.orchestrator.conftest import Stage, fences, outside_fences, ran, staged, worked
from tests.orchestrator.councils import (
    NUMBER,
    SLOGAN,
    cast,
    council,
    counted,
    drafted,
    ranking,
    seeded,
)


def slogans(ids: str = "abc", lang: Language = "en") -> AgentState:
    return drafted(SLOGAN, lang, **{i: f"slogan {i}" for i in ids})


def shown_in(prompt: str) -> list[str]:
    """The candidates of a prompt, in its order."""
    return [fence.text for fence in fences(prompt) if fence.kind == "candidate"]


async def heard(*replies: Any, **config: Any) -> tuple[CastBallot, Stage]:
    """The ballot of one voter that says these things."""
    stage = staged({"a_ballot": list(replies)})
    update = await worked(council(ballot=config), "a_ballot", slogans(), stage)
    return update["ballots"]["a_ballot"], stage


# ------------------------------------------------------------------ who is asked


@pytest.mark.parametrize(
    "method", ["auto", "plurality", "weighted", "threshold", "unanimity", "median"]
)
async def test_where_equal_answers_are_one_and_choices_are_counted_nobody_is_asked(method: str):
    stage = staged({})
    update = await worked(council(ballot={"method": method}), "a_ballot", drafted(a=42), stage)
    assert update == {}
    assert stage.turns == []


@pytest.mark.parametrize(
    ("method", "payload"),
    [
        ("borda", "ranking"),
        ("schulze", "ranking"),
        ("instant_runoff", "ranking"),
        ("score", "scores"),
        ("approval", "approved"),
    ],
)
async def test_what_a_choice_does_not_say_is_asked_for_keyed_answers_too(method: str, payload: str):
    stage = staged({"a_ballot": "?"})
    await worked(council(ballot={"method": method}), "a_ballot", drafted(a=42, b=41), stage)
    request = stage.provider.calls[0].params["response_schema"]
    assert payload in request["properties"]


async def test_without_candidates_nobody_is_asked():
    stage = staged({})
    update = await worked(council(), "a_ballot", drafted(SLOGAN, a=None, b=None, c=None), stage)
    failure = update["failures"]["a_ballot"]
    assert failure is not None
    assert failure.code == "not_asked"
    assert stage.turns == []


# ------------------------------------------------------------------ what a voter sees


async def test_every_voter_sees_an_order_of_its_own_and_each_candidate_once_in_each_place():
    stage = staged(lambda call: ranking("A", "B", "C"))
    state, _ = await cast(council(), slogans(), stage)
    orders = [shown_in(stage.prompt(f"{i}_ballot")) for i in "abc"]
    for place in range(3):
        assert {order[place] for order in orders} == {"slogan a", "slogan b", "slogan c"}
    # The order that each saw is recorded, and is what its labels are read by.
    for i, order in zip("abc", orders, strict=True):
        one = state["ballots"][f"{i}_ballot"]
        assert [f"slogan {candidate}" for candidate in one.shown] == order
        assert one.ballot is not None
        assert one.ballot.ranking == one.shown
    vote, _ = await counted(council(), state, stage=stage)
    assert vote.shown == {i: state["ballots"][f"{i}_ballot"].shown for i in "abc"}


async def test_orders_are_drawn_by_the_seed_of_the_run():
    orders = set()
    for seed in range(12):
        stage = seeded(staged({"a_ballot": "?"}), seed)
        await worked(council(), "a_ballot", slogans(), stage)
        orders.add(tuple(shown_in(stage.prompts("a_ballot")[0])))
    assert len(orders) > 3
    assert orders <= set(permutations(["slogan a", "slogan b", "slogan c"]))


async def test_equal_answers_are_one_candidate():
    stage = staged({"a_ballot": "?"})
    state = drafted(NUMBER, a="ANSWER: 42", b="six times seven.\nANSWER: 42.0", c="ANSWER: 41")
    await worked(council(ballot={"method": "borda"}), "a_ballot", state, stage)
    shown = shown_in(stage.prompts("a_ballot")[0])
    assert sorted(shown) == ["ANSWER: 41", "six times seven.\nANSWER: 42.0"]


@pytest.mark.parametrize(("lang", "word"), [("en", "Candidate"), ("es", "Candidato")])
async def test_candidates_have_labels_and_fences_and_no_authors(lang: Language, word: str):
    stage = staged({"b_ballot": "?"})
    await worked(council(), "b_ballot", slogans(lang=lang), stage)
    prompt = stage.prompts("b_ballot")[0]
    outside = outside_fences(prompt)
    for label in "ABC":
        assert f"## {word} {label}\n" in outside
    assert not any(f"slogan {i}" in outside for i in "abc")
    assert "drafter" not in prompt


async def test_a_member_that_failed_is_no_candidate():
    stage = staged({"a_ballot": ranking("A", "B")})
    state = drafted(SLOGAN, a="slogan a", b=None, c="slogan c")
    update = await worked(council(), "a_ballot", state, stage)
    assert sorted(update["ballots"]["a_ballot"].shown) == ["a", "c"]


# ------------------------------------------------------------------ how it is heard


async def test_a_voter_is_held_to_the_schema_of_its_labels():
    _, stage = await heard(ranking("B", "A", "C"))
    schema = stage.provider.calls[0].params["response_schema"]
    assert schema == ballot_schema("ranking", ("A", "B", "C"))


async def test_labels_become_the_candidates_that_they_stood_for():
    one, _ = await heard(ranking("C", "A", "B"))
    assert one.ballot is not None
    assert one.ballot.ranking == (one.shown[2], one.shown[0], one.shown[1])
    assert one.ballot.reason == "so it is"
    assert one.ballot.parsed_by == "native"


async def test_the_reply_of_a_model_that_could_not_be_held_to_the_schema_is_read_as_text():
    class Free:
        """A gateway whose models take no schema."""

        def __init__(self, gateway: ProviderGateway) -> None:
            self._gateway = gateway

        async def stream(self, request: GenerationRequest, *, budget: Any = None) -> Any:
            async for chunk in self._gateway.stream(request, budget=budget):
                if chunk.result is None:
                    yield chunk
                    continue
                result = chunk.result.model_copy(update={"dropped_params": ("response_schema",)})
                yield chunk._replace(result=result)

    for reply, step in (
        (ranking("B", "A", "C"), "json"),
        (f"I prefer B.\n```json\n{ranking('B', 'A', 'C')}\n```", "fence"),
        (f"I prefer B: {ranking('B', 'A', 'C')} that is all", "braces"),
        ("B is short.\nRANKING: B > A > C", "line"),
    ):
        stage = staged({"a_ballot": reply}, gateway=lambda p: Free(ProviderGateway.scripted(p)))
        update = await worked(council(), "a_ballot", slogans(), stage)
        one = update["ballots"]["a_ballot"]
        assert one.ballot is not None
        assert one.ballot.parsed_by == step
        assert update["values"] == {"a_ballot_parsed_by": step}
        assert one.ballot.ranking == (one.shown[1], one.shown[0], one.shown[2])
        assert len(stage.turns) == 1


UNREAD = "A is good. B and C are weak."


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (UNREAD, "unreadable"),
        (ranking("A", "A"), "repeated_option"),
        (ranking("A", "D"), "unknown_option"),
        ("RANKING: A > Z", "unknown_option"),
        ('{"ranking": "A"}', "wrong_form"),
        ("I would say: `RANKING: A > B > C`", "unreadable"),
        ("> RANKING: A > B > C", "unreadable"),
        ("RANKING: A > B > C\nBut I am not sure.", "unreadable"),
    ],
)
async def test_what_cannot_be_read_is_asked_for_once_more_and_is_invalid_then(
    reply: str, problem: str
):
    one, stage = await heard(reply, reply, "never said")
    assert one.ballot is None
    assert one.problem == problem
    assert [turn.path for turn in stage.turns] == ["a_ballot", "a_ballot.repair"]
    plan = council()
    state, _ = await cast(plan, slogans(), staged(lambda c: reply), "c")
    state["ballots"]["c_ballot"] = one
    vote, _ = await counted(plan, state)
    assert vote.tally.invalid["c"] == problem


async def test_a_repaired_ballot_counts_and_says_so():
    one, stage = await heard(UNREAD, '{"ranking": ["B", "C", "A"]}')
    assert one.ballot is not None
    assert one.ballot.parsed_by == "repair"
    assert one.ballot.ranking == (one.shown[1], one.shown[2], one.shown[0])
    again = stage.prompt("a_ballot.repair")
    assert [(f.kind, f.text) for f in fences(again)] == [("own_output", UNREAD)]
    schema = stage.provider.calls[1].params["response_schema"]
    assert schema == ballot_schema("ranking", ("A", "B", "C"), with_reason=False)


async def test_a_repair_call_that_fails_leaves_the_first_problem():
    one, _ = await heard(ranking("A", "A"), ProviderUnavailableError("gone"))
    assert (one.ballot, one.problem) == (None, "repeated_option")


async def test_a_voter_that_fails_has_cast_nothing():
    stage = staged({"a_ballot": ProviderUnavailableError("gone")})
    update = await worked(council(), "a_ballot", slogans(), stage)
    assert "ballots" not in update
    failure = update["failures"]["a_ballot"]
    assert failure is not None
    assert failure.code == "provider_unavailable"
    assert len(stage.turns) == 1


@pytest.mark.parametrize("reply", ['{"reason": "none is", "ranking": []}', "RANKING: none"])
async def test_an_abstention_is_a_ballot(reply: str):
    one, stage = await heard(reply)
    assert one.ballot is not None
    assert one.ballot.abstain
    assert len(stage.turns) == 1


async def test_a_ballot_is_about_the_candidates_that_it_was_cast_on():
    plan = council()
    stage = staged(lambda call: ranking("A", "B", "C"))
    state, _ = await cast(plan, slogans(), stage)
    vote, _ = await counted(plan, state)
    assert vote.tally.valid == 3
    state["outputs"].pop("c_drafter")
    vote, _ = await counted(plan, state)
    assert set(vote.tally.invalid.values()) == {"stale_options"}


async def test_voters_speak_for_their_members_with_one_role():
    stage = staged(
        {
            "model_a": ["slogan a", ranking("A", "B", "C")],
            "model_b": ["slogan b", ranking("A", "B", "C")],
            "model_c": ["slogan c", ranking("A", "B", "C")],
            "judge": "PREFERENCE: A",
        },
        request={"input": SLOGAN},
    )
    await ran(get_flow_config("consensus"), stage)
    roles = {turn.path: turn.role for turn in stage.turns}
    assert {path: roles[path] for path in ("a_drafter", "a_ballot")} == {
        "a_drafter": "model_a",
        "a_ballot": "model_a",
    }
