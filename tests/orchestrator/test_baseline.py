"""What a run is compared with: as many tokens, the best single member, and no harm to the run."""

from collections.abc import Mapping
from typing import Any

import pytest

from agent_lab.contracts import JsonObject, Turn
from agent_lab.errors import ProviderUnavailableError
from agent_lab.flows.graph_configs import FLOW_CONFIGS, FlowConfig, get_flow_config
from agent_lab.orchestrator.baseline import PREFIX, best_member
from agent_lab.orchestrator.graph_builder import GraphBuilder
from agent_lab.orchestrator.outcome import FlowOutcome
from agent_lab.orchestrator.run_context import KnownModel
from agent_lab.providers.provider_gateway import ProviderGateway
from tests.orchestrator.conftest import START, Stage, flow_of, ran, staged
from tests.orchestrator.councils import NUMBER, SLOGAN, answering

DEBATE = get_flow_config("debate")


def modest(call: Any) -> str:
    """Debaters who disagree; the one that votes alone says 42 in a few more words."""
    if call.role == "solver":
        return "Six times seven, in other words.\nANSWER: 42"
    return answering(41 if call.role.endswith("b") else 42)


async def compared(
    script: Any = modest,
    flow: FlowConfig = DEBATE,
    task: str = NUMBER,
    builder: GraphBuilder | None = None,
    **fields: Any,
) -> tuple[FlowOutcome, JsonObject, Stage]:
    """A run with a baseline, what the baseline says, and all that happened."""
    request = {"input": task, "baseline": "self_consistency", **fields.pop("request", {})}
    stage = staged(script, request=request, **fields)
    outcome = await ran(flow, stage, builder=builder)
    assert outcome.baseline is not None
    return outcome, outcome.baseline, stage


def parts(stage: Stage) -> tuple[list[Turn], list[Turn]]:
    """The turns of the run, and those of its baseline."""
    own = [turn for turn in stage.turns if not turn.path.startswith(PREFIX)]
    return own, [turn for turn in stage.turns if turn.path.startswith(PREFIX)]


def tokens(turns: list[Turn]) -> int:
    return sum(turn.prompt_tokens + turn.completion_tokens for turn in turns)


async def test_a_run_that_did_not_ask_for_a_baseline_has_none():
    stage = staged(modest, request={"input": NUMBER})
    assert (await ran(DEBATE, stage)).baseline is None
    assert parts(stage)[1] == []


async def test_the_baseline_votes_with_about_as_many_tokens_as_the_run_took():
    _, baseline, stage = await compared(lambda call: f"slogan {call.role}", task=SLOGAN)
    own, votes = parts(stage)
    draws = [turn for turn in votes if turn.node_id == "solver"]
    each = tokens(draws) / len(draws)
    assert tokens(draws) <= tokens(own) < tokens(draws) + each
    assert baseline["samples"] == len(draws)
    usage, run_usage = baseline["usage"], baseline["run_usage"]
    assert usage["prompt_tokens"] + usage["completion_tokens"] == tokens(votes)
    assert run_usage["prompt_tokens"] + run_usage["completion_tokens"] == tokens(own)


async def test_tokens_are_spent_on_votes_though_the_vote_be_settled():
    _, baseline, stage = await compared()
    own, votes = parts(stage)
    each = tokens(votes) / len(votes)
    assert tokens(votes) <= tokens(own) < tokens(votes) + each
    assert baseline["samples"] == len(votes) > 4
    assert baseline["stop_reason"] == "completed"


async def test_turns_and_steps_of_the_baseline_are_under_a_path_that_no_node_can_have():
    _, _, stage = await compared()
    paths = [turn.path for turn in parts(stage)[1]]
    assert set(paths) == {f"@baseline.solver[{i}]" for i in range(len(paths))}
    steps = [step.path for step in stage.log.steps if step.path.startswith(PREFIX)]
    assert steps == ["@baseline.solver", "@baseline.ranker", "@baseline.vote"]
    assert len(set(stage.keys)) == len(stage.keys)


async def test_the_answer_of_the_run_is_its_own_whatever_the_baseline_says():
    plain = staged(modest, request={"input": NUMBER})
    alone = await ran(DEBATE, plain)
    with_it, _, stage = await compared()
    assert with_it._replace(baseline=None, state=None) == alone._replace(state=None)
    own, _ = parts(stage)
    assert [t.messages for t in own] == [t.messages for t in plain.turns]


@pytest.mark.parametrize(
    ("answer", "agrees"), [("ANSWER: 42", True), ("ANSWER: 41", False), ("no idea", None)]
)
async def test_whether_both_give_one_answer_is_said_where_it_can_be(
    answer: str, agrees: bool | None
):
    def script(call: Any) -> str:
        return answer if call.role == "solver" else answering(42)

    _, baseline, _ = await compared(script)
    assert baseline["agrees"] is agrees


async def test_of_texts_it_cannot_be_said_whether_they_agree():
    _, baseline, _ = await compared(lambda call: "the same slogan", task=SLOGAN)
    assert baseline["agrees"] is None


@pytest.mark.parametrize(("other", "agrees"), [("B", True), ("B) whale", True), ("A", False)])
async def test_choices_agree_by_their_labels(other: str, agrees: bool):
    task = "Which is a mammal?\nA) shark\nB) whale\nC) trout"

    def script(call: Any) -> str:
        return f"ANSWER: {other}" if call.role == "solver" else "ANSWER: B"

    _, baseline, _ = await compared(script, task=task)
    assert baseline["agrees"] is agrees


async def test_one_run_tells_no_lift():
    _, baseline, _ = await compared()
    assert baseline["lift"] is None


async def test_the_kind_of_answer_is_that_of_the_run():
    inputs = {"answer": "label"}
    outcome, baseline, _ = await compared(
        lambda call: "ANSWER: blue sky", task=SLOGAN, request={"inputs": inputs}
    )
    assert baseline["agrees"] is True
    assert outcome.outputs["blind_winner"] == baseline["winner"] == "blue sky"


# ------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize("failing", [ProviderUnavailableError("gone"), TimeoutError()])
async def test_a_baseline_that_fails_neither_fails_nor_degrades_the_run(failing: Exception):
    def script(call: Any) -> Any:
        return failing if call.role == "solver" else modest(call)

    outcome, baseline, _ = await compared(script)
    assert (outcome.error, outcome.degraded) == (None, ())
    assert outcome.output == answering(42)
    assert baseline["error"]
    assert baseline["output"] == ""
    assert baseline["agrees"] is None


async def test_draws_that_fail_degrade_the_baseline_alone():
    drawn = iter(range(99))

    def script(call: Any) -> Any:
        if call.role != "solver":
            return modest(call)
        return ProviderUnavailableError("gone") if next(drawn) == 1 else answering(42)

    outcome, baseline, _ = await compared(script)
    assert outcome.degraded == ()
    assert baseline["error"] is None
    assert len(baseline["degraded"]) == 1
    assert baseline["winner"] == "42"


async def test_a_budget_that_is_used_up_by_the_run_leaves_the_baseline_nothing():
    outcome, baseline, stage = await compared(request={"budget": {"calls": 6}})
    assert len(stage.provider.calls) == 6
    assert (outcome.error, outcome.degraded) == (None, ())
    assert outcome.stop_reason == "max_rounds"
    assert "calls" in baseline["error"]


async def test_a_run_that_failed_has_nothing_to_be_compared_with():
    request = {"input": NUMBER, "baseline": "self_consistency"}
    stage = staged(lambda call: ProviderUnavailableError("gone"), request=request)
    outcome = await ran(DEBATE, stage)
    assert outcome.error is not None
    assert outcome.baseline is None
    assert parts(stage)[1] == []


async def test_where_the_flow_that_votes_is_missing_the_baseline_says_so():
    others = {name: flow for name, flow in FLOW_CONFIGS.items() if name != "self_consistency"}
    outcome, baseline, _ = await compared(builder=GraphBuilder(flows=others))
    assert outcome.error is None
    assert "self_consistency" in baseline["error"]


async def test_a_run_that_asked_nobody_is_compared_with_nothing():
    flow = flow_of(
        {"id": "analyzer", "type": "task_analyzer"},
        {"id": "s", "type": "splitter"},
        edges="analyzer-s",
    )
    _, baseline, stage = await compared(flow=flow)
    assert baseline["error"]
    assert stage.turns == []


# ------------------------------------------------------------------ the best member


def models(**asked: int) -> list[Turn]:
    return [
        Turn(node_id="a", path="a", role="a", status="ok", model_resolved=key, started_at=START)
        for key, times in asked.items()
        for _ in range(times)
    ]


@pytest.mark.parametrize(
    ("asked", "sizes", "best", "why"),
    [
        ({}, {}, "", "nobody has spoken"),
        ({"x": 3}, {}, "x", "the only model of the run"),
        ({"x": 3, "y": 1}, {"x": 1.0, "y": 8.0}, "y", "the largest model"),
        ({"x": 3, "y": 1}, {"x": 8.0, "y": 8.0}, "x", "of the largest, asked most often"),
        # What nobody tells the size of is a host's, and taken to be large.
        ({"x": 3, "y": 1}, {"x": 8.0}, "y", "the largest model"),
        ({"x": 1, "y": 2}, {}, "y", "of the largest, asked most often"),
    ],
)
def test_the_best_member_is_the_largest_model_of_the_run(
    asked: Mapping[str, int], sizes: Mapping[str, float], best: str, why: str
):
    known = {key: KnownModel("", size) for key, size in sizes.items()}
    assert best_member(models(**asked), known) == (best, why)


def test_a_turn_that_failed_is_no_model():
    failed = Turn(node_id="a", path="a", role="a", status="failed", started_at=START)
    assert best_member([failed, *models(x=1)], {})[0] == "x"


async def test_the_baseline_asks_the_best_member_and_no_other():
    names = ("first", "second", "third")
    wishes = {f"debater_{i}": name for i, name in zip("abc", names, strict=True)}
    _, baseline, stage = await compared(
        gateway=lambda provider: ProviderGateway.scripted(provider, names),
        known={"first": KnownModel("", 1), "second": KnownModel("", 9), "third": KnownModel("", 3)},
        request={"models": wishes},
    )
    assert (baseline["model"], baseline["why_this_model"]) == ("second", "the largest model")
    own, votes = parts(stage)
    assert {turn.model_resolved for turn in own} == set(names)
    assert {turn.model_resolved for turn in votes} == {"second"}
