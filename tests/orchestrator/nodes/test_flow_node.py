"""A flow within a flow: its turns are the run's, under paths of their own; limits are shared."""

from typing import Any

import pytest

from agent_lab.contracts import ErrorInfo, RunRequest
from agent_lab.errors import ConfigurationError, ProviderUnavailableError, UnknownRoleError
from agent_lab.flows.flow_plan import plan_flow
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.orchestrator.agent_state import AgentState
from agent_lab.orchestrator.any_gateway import as_gateway
from agent_lab.orchestrator.cast import inner_request, wishes
from agent_lab.orchestrator.flow_runner import check_request
from agent_lab.providers.provider_gateway import ProviderGateway
from tests.orchestrator.conftest import (
    TAREA,
    TASK,
    builder_of,
    fences,
    flow_of,
    lost,
    planned,
    ran,
    speaker,
    staged,
    worked,
)

INNER = flow_of(
    speaker("author", "Write {words} words."),
    speaker("editor", "{author_output}"),
    edges="author-editor",
    name="inner",
    output=("editor", "author"),
    inputs={"words": {"type": "integer", "default": 10, "maximum": 50}},
)


def outer(inner: str = "inner", *, prompt: str = "", **config: Any) -> FlowConfig:
    """A flow whose second node runs another flow."""
    node = {"id": "within", "type": "flow", "config": {"flow": inner, **config}}
    return flow_of(speaker("before"), {**node, "prompt_template": prompt}, edges="before-within")


SAYS = {"before": "the plan", "author": "a text", "editor": "a better text"}


async def test_its_turns_and_steps_are_recorded_under_paths_of_their_own():
    stage = staged(SAYS)
    outcome = await ran(outer(), stage, builder=builder_of(INNER))
    assert outcome.output == "a better text"
    assert [turn.path for turn in stage.turns] == ["before", "within.author", "within.editor"]
    assert [turn.role for turn in stage.turns] == ["before", "author", "editor"]
    assert stage.path == ["before", "within.author", "within.editor", "within"]
    started = [p["stepName"] for kind, p in stage.log.events if kind == "STEP_STARTED"]
    assert started == ["before", "within", "within.author", "within.editor"]
    assert set(stage.log.shown) == {"before:0:0", "within.author:0:0", "within.editor:0:0"}


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_without_a_prompt_its_task_is_the_runs(lang: Any):
    text = TAREA if lang == "es" else TASK
    stage = staged(SAYS, request={"input": text})
    await ran(outer(), stage, lang=lang, builder=builder_of(INNER))
    heading = "Tarea" if lang == "es" else "Task"
    assert stage.prompt("within.author").startswith(f"# {heading}\n\n{text}\n\n")


async def test_its_prompt_is_its_task_with_what_others_said_fenced():
    stage = staged(SAYS)
    await ran(outer(prompt="Improve: {before_output}"), stage, builder=builder_of(INNER))
    prompt = stage.prompt("within.author")
    assert prompt.startswith("# Task\n\nImprove: <before_output")
    assert [fence.kind for fence in fences(prompt)] == ["before_output"]
    assert TASK not in prompt


@pytest.mark.parametrize(("inputs", "words"), [({}, 10), ({"words": 33}, 33)])
async def test_its_inputs_are_those_of_its_node(inputs: dict[str, Any], words: int):
    stage = staged(SAYS)
    await ran(outer(inputs=inputs), stage, builder=builder_of(INNER))
    assert stage.prompt("within.author").endswith(f"Write {words} words.")


async def test_an_input_of_the_outer_flow_can_be_handed_on():
    flow = FlowConfig.model_validate(
        {
            **outer(inputs={"words": {"input": "length"}}).model_dump(),
            "inputs": {"length": {"type": "integer", "default": 7}},
        }
    )
    stage = staged(SAYS, request={"inputs": {"length": 21}})
    await ran(flow, stage, builder=builder_of(INNER))
    assert stage.prompt("within.author").endswith("Write 21 words.")


@pytest.mark.parametrize(
    ("models", "asked"),
    [
        ({}, ["first", "first", "first"]),
        ({"within.author": "second"}, ["first", "second", "first"]),
        ({"before": "third", "within.editor": "second"}, ["third", "first", "second"]),
    ],
)
async def test_its_roles_get_models_as_node_dot_role(models: dict[str, str], asked: list[str]):
    def gateway(provider: Any) -> ProviderGateway:
        return ProviderGateway.scripted(provider, ("first", "second", "third"))

    flow, builder = outer(), builder_of(INNER)
    stage = staged(SAYS, gateway=gateway, request={"models": models})
    check_request(stage.run.request, plan_flow(flow), builder.catalogue())
    await ran(flow, stage, builder=builder)
    assert [call.model.key for call in stage.provider.calls] == asked
    cast = dict(wishes(plan_flow(flow), stage.run.request, builder.catalogue()))
    assert list(cast) == ["before", "within.author", "within.editor"]
    assert [cast[role] or "first" for role in cast] == asked


def test_the_request_within_keeps_the_wishes_that_are_for_it():
    node = plan_flow(outer()).node("within")
    request = RunRequest(
        flow="test",
        input="x",
        model="all",
        models={"before": "a", "within.author": "b", "within.deep.c": "d"},
        temperature=0.5,
    )
    inner = inner_request(node, request)
    assert inner.models == {"author": "b", "deep.c": "d"}
    assert (inner.model, inner.temperature) == ("all", 0.5)


@pytest.mark.parametrize(
    ("outer_policy", "callers", "expected"),
    [
        (None, None, None),
        ("local", None, "local"),
        ("local", "any", "local"),
        ("any", "local", "local"),
        (None, "any", "any"),
    ],
)
async def test_text_within_goes_no_further_than_the_outer_flow_allows(
    outer_policy: Any, callers: Any, expected: Any
):
    seen: list[Any] = []

    class Watching:
        async def generate(self, request: Any) -> str:
            seen.append(request.data_policy)
            return "x"

    flow = FlowConfig.model_validate({**outer().model_dump(), "data_policy": outer_policy})
    stage = staged({}, gateway=lambda _: as_gateway(Watching()), request={"data_policy": callers})
    await ran(flow, stage, builder=builder_of(INNER))
    assert seen == [expected] * 3


async def test_its_failure_is_the_nodes_failure():
    stage = staged({**SAYS, "author": ProviderUnavailableError("`a` is gone.")})
    outcome = await ran(outer(), stage, builder=builder_of(INNER))
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.message) == ("provider_unavailable", "`a` is gone.")
    assert outcome.output == ""


async def test_what_went_wrong_within_degrades_the_run():
    stage = staged({**SAYS, "editor": ProviderUnavailableError("`e` is gone.")})
    outcome = await ran(outer(), stage, builder=builder_of(INNER))
    assert outcome.output == "a text"
    assert outcome.degraded == (
        "`editor` failed: `e` is gone. The answer is the text of `author`.",
    )


async def test_without_what_its_prompt_asks_for_it_does_not_run(fresh: AgentState):
    plan = plan_flow(outer(prompt="{before_output}"))
    stage = staged({})
    update = await worked(plan, "within", lost(fresh, "before"), stage)
    assert update == {
        "failures": {
            "within": ErrorInfo(code="not_asked", message="`before` gave nothing to work on.")
        }
    }


async def test_a_context_that_can_run_no_flows_is_an_error_of_the_program(fresh: AgentState):
    plan = plan_flow(outer())
    with pytest.raises(ConfigurationError, match="`within` has nobody to run its flow"):
        await worked(plan, "within", fresh, staged({}))


MIDDLE = flow_of(
    {"id": "deep", "type": "flow", "config": {"flow": "inner"}},
    speaker("closer", "{deep_output}"),
    edges="deep-closer",
    name="middle",
)


async def test_flows_can_be_two_deep():
    stage = staged({**SAYS, "closer": "the end"})
    outcome = await ran(outer("middle"), stage, builder=builder_of(INNER, MIDDLE))
    assert outcome.output == "the end"
    assert [turn.path for turn in stage.turns] == [
        "before",
        "within.deep.author",
        "within.deep.editor",
        "within.closer",
    ]


async def test_models_reach_two_flows_deep():
    def gateway(provider: Any) -> ProviderGateway:
        return ProviderGateway.scripted(provider, ("first", "second"))

    models = {"within.deep.author": "second"}
    stage = staged({**SAYS, "closer": "x"}, gateway=gateway, request={"models": models})
    await ran(outer("middle"), stage, builder=builder_of(INNER, MIDDLE))
    asked = {call.role: call.model.key for call in stage.provider.calls}
    assert asked == {"before": "first", "author": "second", "editor": "first", "closer": "first"}


async def test_the_same_flow_at_two_nodes_has_two_paths():
    flow = flow_of(
        {"id": "one", "type": "flow", "config": {"flow": "inner"}},
        {"id": "two", "type": "flow", "config": {"flow": "inner"}},
        speaker("joiner", "{one_output}{two_output}"),
        edges="one-two two-joiner",
    )
    stage = staged({**SAYS, "joiner": "joined"})
    await ran(flow, stage, builder=builder_of(INNER))
    assert len(set(stage.keys)) == len(stage.keys) == 5


async def test_members_of_a_group_can_be_flows():
    flow = flow_of(
        {
            "id": "team",
            "type": "flow",
            "config": {"flow": "inner"},
            "group": {"members": {"red": {"model": "second"}, "blue": {}}},
        },
        speaker("joiner", "{team_outputs}"),
        edges="team-joiner",
    )

    def gateway(provider: Any) -> ProviderGateway:
        return ProviderGateway.scripted(provider, ("first", "second"))

    stage = staged({**SAYS, "joiner": "joined"}, gateway=gateway)
    outcome = await ran(flow, stage, builder=builder_of(INNER))
    assert outcome.output == "joined"
    models = {turn.path: turn.model_resolved for turn in stage.turns}
    assert models["red_team.author"] == "second"
    assert models["blue_team.author"] == "first"


@pytest.mark.parametrize("counts", ["round", "retry"])
async def test_each_pass_of_its_node_has_turns_with_keys_of_their_own(counts: str):
    loop = {"id": "l", "first": "within", "last": "within", "max_rounds": 3, "counts": counts}
    stage = staged(SAYS)
    flow = FlowConfig.model_validate({**outer().model_dump(), "loops": [loop]})
    await ran(flow, stage, builder=builder_of(INNER))
    authors = [turn.path for turn in stage.turns if turn.role == "author"]
    later = ["within[0][1]", "within[0][2]"] if counts == "retry" else ["within[1]", "within[2]"]
    assert authors == [f"{path}.author" for path in ("within", *later)]
    assert len(set(stage.keys)) == len(stage.keys)


async def test_its_own_rounds_count_anew_in_each_pass():
    looping = FlowConfig.model_validate(
        {
            **INNER.model_dump(),
            "loops": [{"id": "l", "first": "author", "last": "editor", "max_rounds": 2}],
        }
    )
    loop = {"id": "l", "first": "within", "last": "within", "max_rounds": 2}
    flow = FlowConfig.model_validate({**outer().model_dump(), "loops": [loop]})
    stage = staged(SAYS)
    await ran(flow, stage, builder=builder_of(looping))
    rounds = [turn.round for turn in stage.turns if turn.role == "author"]
    assert rounds == [1, 2, 1, 2]
    assert len(set(stage.keys)) == len(stage.keys)


async def test_what_a_prompt_too_long_for_a_flow_within_costs_is_that_node_alone():
    stage = staged({**SAYS, "before": "y" * 4_000_001})
    flow = FlowConfig.model_validate(
        {**outer(prompt="{before_output}").model_dump(), "output": ("within", "before")}
    )
    outcome = await ran(flow, stage, builder=builder_of(INNER))
    assert len(outcome.output) == 4_000_001
    assert "4000000" in outcome.degraded[0]


def test_a_plan_may_name_a_role_within_and_none_that_is_nowhere():
    plan = planned({"id": "within", "type": "flow", "config": {"flow": "inner"}}, name="outer")
    catalogue = builder_of(INNER).catalogue()
    check_request(
        RunRequest(flow="outer", input="x", models={"within.author": "m"}), plan, catalogue
    )
    nobody = RunRequest(flow="outer", input="x", models={"within.nobody": "m"})
    with pytest.raises(UnknownRoleError, match="`within.nobody`"):
        check_request(nobody, plan, catalogue)
