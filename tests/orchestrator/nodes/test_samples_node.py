"""Draws of one prompt: how many, with which seeds, until when, and what is kept of them."""

from typing import Any

import pytest

from agent_lab.contracts import JsonObject
from agent_lab.errors import ProviderUnavailableError
from agent_lab.flows.graph_configs import MOST_SAMPLES, get_flow_config
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate, updated
from agent_lab.orchestrator.flow_runner import run_flow
from agent_lab.orchestrator.outcome import FlowOutcome
from agent_lab.providers.local.scripted_provider import ScriptedReply
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.providers.resilience.budget import BudgetKeeper
from tests.orchestrator.conftest import (
    Stage,
    begun,
    flow_of,
    in_virtual_time,
    lost,
    planned,
    ran,
    slow,
    speaker,
    staged,
    timed,
    worked,
)
from tests.orchestrator.councils import NUMBER, SLOGAN, answering, council


def solver(prompt: str = "Solve.", **config: Any) -> JsonObject:
    return speaker("solver", prompt, type="samples", config=config)


async def drawn(
    *replies: Any, task: str = NUMBER, stage: Stage | None = None, **config: Any
) -> tuple[StateUpdate, Stage]:
    """What a node changes that draws these replies."""
    stage = stage or staged({"solver": list(replies)})
    update = await worked(planned(solver(**config)), "solver", begun(task), stage)
    return update, stage


# ------------------------------------------------------------------ how many


@pytest.mark.parametrize(
    ("answers", "samples", "calls"),
    [
        ([42, 42, 42], 5, 3),
        ([42, 41, 42, 42], 5, 4),
        ([42, 41, 42, 41, 42], 5, 5),
        ([1, 2, 3, 4, 5], 5, 5),
        ([42], 1, 1),
        ([42, 42], 3, 2),
        ([42, 42, 42, 42], 7, 4),
        ([42] * 4, 9, 4),  # of more than seven: 4 to 0 is likely enough
        ([42, 41, 42, 42, 42, 42, 42], 9, 7),
    ],
)
async def test_drawing_ends_once_the_vote_is_settled(answers: list[int], samples: int, calls: int):
    update, stage = await drawn(*map(answering, answers), samples=samples)
    assert len(stage.turns) == calls
    assert update["values"] == {"solver_asked": calls, "solver_drawn": calls}


@pytest.mark.parametrize(
    ("samples", "answers", "reason"),
    [
        (5, [42] * 3, "unassailable_lead"),
        (9, [42] * 4, "posterior"),
        (3, [1, 2, 3], ""),
    ],
)
async def test_why_it_ended_is_the_stop_reason_of_the_node(
    samples: int, answers: list[int], reason: str
):
    update, _ = await drawn(*map(answering, answers), samples=samples)
    assert update["stops"] == {"solver": reason}


@pytest.mark.parametrize("config", [{"stop": "none"}, {"answer": "free"}])
async def test_all_are_drawn_where_the_flow_says_so_and_where_no_answers_are_equal(
    config: dict[str, Any],
):
    update, stage = await drawn(*[answering(42)] * 5, **config)
    assert len(stage.turns) == 5
    assert update["stops"] == {"solver": ""}


async def test_a_task_of_texts_draws_all():
    _, stage = await drawn(*["the same text"] * 5, task=SLOGAN)
    assert len(stage.turns) == 5


def test_draws_of_a_wave_are_made_at_the_same_time():
    stage = timed({"solver": [slow("42", 1.0)] * 5})

    async def work() -> StateUpdate:
        return (await drawn(stage=stage))[0]

    update, seconds = in_virtual_time(work)
    assert update["values"]["solver_asked"] == 3
    assert seconds == 1.0


def test_what_can_only_be_settled_later_is_drawn_wave_by_wave():
    replies = [slow(text, 1.0) for text in ("42", "41", "42", "41", "42")]
    stage = timed({"solver": replies})

    async def work() -> StateUpdate:
        return (await drawn(stage=stage))[0]

    update, seconds = in_virtual_time(work)
    assert update["values"]["solver_asked"] == 5
    # Three could have settled it, then one more could, then one more.
    assert seconds == 3.0


# ------------------------------------------------------------------ seeds


def seeds(stage: Stage) -> list[int]:
    return [call.params["seed"] for call in stage.provider.calls]


async def test_every_draw_has_a_seed_of_its_own_and_a_run_repeated_has_the_same():
    _, first = await drawn(*["x"] * 9, samples=9, answer="free")
    _, second = await drawn(*["x"] * 9, samples=9, answer="free")
    assert len(set(seeds(first))) == 9
    assert seeds(first) == seeds(second)
    assert [turn.sample for turn in first.turns] == list(range(9))
    assert [turn.path for turn in first.turns] == [f"solver[{i}]" for i in range(9)]


async def test_members_of_a_group_and_their_draws_share_no_seed():
    plan = planned(
        speaker(
            "solver",
            type="samples",
            group={"members": {"a": {}, "b": {}}},
            config={"samples": MOST_SAMPLES - 1, "answer": "free"},
        )
    )
    stage = staged(lambda call: "x")
    for i in "ab":
        await worked(plan, f"{i}_solver", begun(SLOGAN), stage)
    assert len(set(seeds(stage))) == 2 * (MOST_SAMPLES - 1)


async def test_members_with_one_prompt_and_one_model_draw_each_for_itself():
    stage = staged(lambda call: "x")
    plan = council()
    for i in "abc":
        await worked(plan, f"{i}_drafter", begun(SLOGAN), stage)
    assert len(set(seeds(stage))) == 3
    assert len({call.messages for call in stage.provider.calls}) == 1


async def test_every_draw_is_sent_the_same():
    _, stage = await drawn(*["x"] * 5, task=SLOGAN)
    assert len({call.messages for call in stage.provider.calls}) == 1


# ------------------------------------------------------------------ what is kept


async def test_every_draw_has_its_text_and_the_first_one_stands_for_the_node():
    gone = ProviderUnavailableError("gone")
    update, _ = await drawn(gone, "ANSWER: 41", "what?", "ANSWER: 42", gone)
    assert update["outputs"] == {
        "solver[1]": "ANSWER: 41",
        "solver[2]": "what?",
        "solver[3]": "ANSWER: 42",
        "solver": "ANSWER: 41",
    }
    assert {path for path, error in update["failures"].items() if error} == {
        "solver[0]",
        "solver[4]",
    }
    assert update["values"] == {"solver_asked": 5, "solver_drawn": 3}


async def test_where_every_draw_fails_the_node_fails_with_the_first_failure():
    update, _ = await drawn(*[ProviderUnavailableError(f"gone {i}") for i in range(5)])
    failure = update["failures"]["solver"]
    assert failure is not None
    assert "gone 0" in failure.message
    assert update["outputs"] == {}
    assert update["values"] == {"solver_asked": 5, "solver_drawn": 0}


async def test_failed_draws_are_no_votes():
    # Two of four that were asked are no majority of them: the lead counts once three are.
    gone = ProviderUnavailableError("gone")
    update, stage = await drawn(gone, gone, *map(answering, (42, 42, 42)))
    assert len(stage.turns) == 5
    assert update["values"]["solver_drawn"] == 3


async def test_marks_that_a_model_copied_are_left_out_of_its_answer():
    copied = '<draft id="00000000">\nANSWER: 42\n</draft>'
    update, stage = await drawn(copied, copied, copied)
    assert update["outputs"]["solver[0]"] == "ANSWER: 42"
    assert len(stage.turns) == 3


async def test_a_prompt_that_stands_on_a_lost_text_draws_nothing():
    plan = planned(speaker("before"), solver("{before_output}"), edges="before-solver")
    stage = staged({})
    update = await worked(plan, "solver", lost(begun(NUMBER), "before"), stage)
    failure = update["failures"]["solver"]
    assert failure is not None
    assert failure.code == "not_asked"
    assert stage.turns == []


async def test_in_a_later_pass_fewer_draws_leave_no_older_ones_in_the_count():
    flow = flow_of(
        solver(),
        {"id": "vote", "type": "vote", "config": {"answers": ["solver"]}},
        edges="solver-vote",
        loops=({"id": "l", "first": "solver", "last": "vote", "max_rounds": 2},),
    )
    said = [*map(answering, (1, 2, 1, 2, 1)), *map(answering, (3, 3, 3))]
    stage = staged({"solver": said}, request={"input": NUMBER})
    outcome = await ran(flow, stage)
    assert outcome.state is not None
    first, second = outcome.state["votes"]["vote"]
    assert first.tally.scores == {"1": 3, "2": 2}
    assert second.tally.scores == {"3": 3}
    assert second.eligible == ("solver[0]", "solver[1]", "solver[2]")


# ------------------------------------------------------------------ limits


def words(count: int) -> ScriptedReply:
    return ScriptedReply(" ".join(["word"] * (count - 1)) + " 42")


@pytest.mark.parametrize("tokens", [1, 120, 250, 1000, 10_000])
async def test_draws_take_no_more_tokens_than_they_may_as_far_as_the_first_one_tells(tokens: int):
    update, stage = await drawn(*[words(100)] * 20, samples=20, tokens=tokens, stop="none")
    each = stage.turns[0].prompt_tokens + stage.turns[0].completion_tokens
    assert len(stage.turns) == max(1, min(20, tokens // each))
    assert update["values"]["solver_asked"] == len(stage.turns)


async def test_draws_that_turn_out_longer_leave_room_for_fewer():
    replies = [words(10), *[words(400)] * 20]
    _, stage = await drawn(*replies, samples=20, tokens=2_000, stop="none")
    taken = [turn.prompt_tokens + turn.completion_tokens for turn in stage.turns]
    # The first one was short, but no wave trusts so few.
    assert sum(taken) <= 2_000 + 412


async def budgeted(calls: int, *replies: Any, samples: int) -> tuple[FlowOutcome, Stage]:
    flow = get_flow_config("self_consistency")
    inputs = {"samples": samples, "stop": "none"}
    request = {"input": NUMBER, "inputs": inputs, "budget": {"calls": calls}}
    stage = staged({"solver": list(replies)}, request=request)
    return await run_flow(flow, stage.run, lang="en"), stage


async def test_a_budget_that_refuses_a_draw_ends_the_drawing_with_what_there_is():
    outcome, stage = await budgeted(3, *[answering(42)] * 9, samples=5)
    assert len(stage.provider.calls) == 3
    assert outcome.outputs["winner"] == "42"
    assert outcome.stop_reason == "budget"
    assert len(outcome.degraded) == 2
    assert all(reason.startswith("`solver[") for reason in outcome.degraded)


async def test_what_a_budget_would_refuse_is_not_asked_again_and_again():
    keeper = BudgetKeeper(calls=2)
    stage = staged({"solver": [answering(i) for i in range(99)]}, budget=keeper)
    update, _ = await drawn(stage=stage, samples=99)
    codes = [turn.error.code if turn.error else "" for turn in stage.turns]
    # The four of the wave that was begun, and no other one behind it.
    assert sorted(codes) == ["", "", "budget_exceeded", "budget_exceeded"]
    assert update["values"]["solver_drawn"] == 2


async def test_refused_draws_are_no_reason_to_say_that_nobody_could_be_reached():
    outcome, _ = await budgeted(0, samples=5)
    assert outcome.error is not None
    assert outcome.error.code == "budget_exceeded"


# ------------------------------------------------------------------ what follows


async def test_the_draws_are_the_members_of_what_follows():
    plan = planned(
        solver(samples=3),
        {"id": "vote", "type": "vote", "config": {"answers": ["solver"]}},
        edges="solver-vote",
    )
    stage = staged({"solver": [answering(42), answering(41), answering(42)]})
    state: AgentState = begun(NUMBER)
    state = updated(state, await worked(plan, "solver", state, stage))
    update = await worked(plan, "vote", state, stage)
    [vote] = update["votes"]["vote"]
    assert vote.positions == {"solver[0]": "42", "solver[1]": "41", "solver[2]": "42"}


def test_the_gateway_is_told_which_draw_it_is_so_that_no_cache_makes_two_of_one():
    asked: list[Any] = []

    class Noting:
        def __init__(self, gateway: ProviderGateway) -> None:
            self._gateway = gateway

        def stream(self, request: Any, *, budget: Any = None) -> Any:
            asked.append(request)
            return self._gateway.stream(request, budget=budget)

    stage = timed(
        {"solver": ["x"] * 5}, gateway=lambda provider: Noting(ProviderGateway.scripted(provider))
    )

    async def work() -> None:
        await drawn(task=SLOGAN, stage=stage)

    in_virtual_time(work)
    assert [request.sample for request in asked] == [0, 1, 2, 3, 4]
