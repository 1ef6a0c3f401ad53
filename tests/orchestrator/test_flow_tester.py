"""The tests that a flow carries: every wrong expectation is reported, every reached way counted."""

from typing import Any

import pytest

from agent_lab.contracts import JsonObject
from agent_lab.errors import ConfigurationError, InvalidFlowError
from agent_lab.flows.graph_configs import FLOW_CONFIGS, FlowConfig, get_flow_config
from agent_lab.orchestrator.flow_tester import SHOWN, CaseReport, FlowTestReport, run_flow_tests
from agent_lab.orchestrator.graph_builder import GraphBuilder
from tests.orchestrator.conftest import PROVIDER_ERRORS, builder_of, flow_of, speaker

BASE = flow_of(
    speaker("a", "Begin."),
    speaker("b", "{a_output}"),
    speaker("c", "{a_output}"),
    speaker("d", "{b_output}{c_output}"),
    edges="a-b a-c b-d c-d",
    output=("d", "a"),
    outputs={"passes": "a_visits"},
    loops=({"id": "l", "first": "d", "last": "d", "max_rounds": 2},),
)
SCRIPT = {"a": "one", "b": "two", "c": "three", "d": ["four", "five"]}


async def report(*tests: JsonObject, flow: FlowConfig = BASE, **options: Any) -> FlowTestReport:
    named = [{"name": f"test {i}", "script": SCRIPT, **test} for i, test in enumerate(tests)]
    carried = FlowConfig.model_validate({**flow.model_dump(mode="json"), "tests": named})
    return await run_flow_tests(carried, **options)


async def case(expect: JsonObject, **fields: Any) -> CaseReport:
    return (await report({"expect": expect, **fields})).cases[0]


RIGHT: JsonObject = {
    "status": "completed",
    "path": ["a", ["c", "b"], "d", "d"],
    "prompts": {
        "a": {"contains": ["# Task", "Begin."], "lacks": ["one"]},
        "b": {"contains": ["one"]},
        "d#1": {"contains": ["two", "three"]},
        "d#2": {"contains": ["two"]},
    },
    "output": "five",
    "calls": 5,
    "stop_reason": "completed",
    "degraded": False,
    "outputs": {"passes": 1},
}


async def test_what_is_as_expected_passes():
    found = await report({"expect": RIGHT})
    assert found.cases[0].failures == ()
    assert found.failed == 0


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"status": "failed"}, ["status: 'failed' was expected, it is 'completed'"]),
        ({"path": ["a", "b", "c", "d"]}, ["path: a → b → c → d was expected"]),
        ({"path": ["a", ["b"], "d", "d"]}, ["path: "]),
        ({"path": ["a", ["b", "c"], "d"]}, ["path: ", "a → b → c → d → d"]),
        ({"path": ["a", ["b", "c"], "d", "d", "d"]}, ["path: "]),
        ({"path": []}, ["path: nothing was expected"]),
        ({"calls": 4}, ["calls: 4 was expected, it is 5"]),
        ({"stop_reason": "budget"}, ["stop_reason: 'budget' was expected, it is 'completed'"]),
        ({"degraded": True}, ["degraded: True was expected, it is False"]),
        ({"output": "six"}, ["output: 'six' was expected, it is 'five'"]),
        ({"output": {"equals": "six"}}, ["output: 'six' was expected"]),
        ({"output": {"contains": ["six"]}}, ["output: it lacks 'six'"]),
        ({"output": {"lacks": ["fiv"]}}, ["output: it must not hold 'fiv'"]),
        ({"output": {"contains": ["f", "six"], "lacks": ["e"]}}, ["lacks 'six'", "not hold 'e'"]),
        ({"prompts": {"b": {"contains": ["nine"]}}}, ["prompt of b: it lacks 'nine'"]),
        ({"prompts": {"b": {"lacks": ["one"]}}}, ["prompt of b: it must not hold 'one'"]),
        ({"prompts": {"a": {"equals": "Begin."}}}, ["prompt of a: 'Begin.' was expected"]),
        ({"prompts": {"d#3": {}}}, ["prompt of d#3: it was never sent"]),
        ({"prompts": {"d#x": {}}}, ["prompt of d#x: it was never sent"]),
        ({"prompts": {"d#0": {}}}, ["prompt of d#0: it was never sent"]),
        ({"outputs": {"passes": 2}}, ["outputs.passes: 2 was expected, it is 1"]),
        ({"outputs": {"nothing": 2}}, ["outputs.nothing: 2 was expected, it is None"]),
        ({"calls": 4, "output": "six"}, ["calls: 4", "output: 'six'"]),
    ],
)
async def test_every_wrong_expectation_is_reported_with_what_was_there(
    wrong: JsonObject, told: list[str]
):
    failures = (await case(wrong)).failures
    text = "\n".join(failures)
    assert failures
    for part in told:
        assert part in text
    assert len(failures) == (2 if len(told) == 2 and "path" not in told[0] else 1)


async def test_why_a_run_failed_or_was_degraded_is_told_with_it():
    gone: JsonObject = {"script": {**SCRIPT, "a": {"error": "provider_unavailable"}}}
    [failure] = (await case({}, **gone)).failures
    assert failure.startswith("status: 'completed' was expected, it is 'failed'")
    assert "Scripted: provider_unavailable." in failure
    degraded: JsonObject = {"script": {**SCRIPT, "b": {"error": "content_filtered"}}}
    [failure] = (await case({"degraded": False}, **degraded)).failures
    assert "content_filtered" in failure


async def test_the_stop_reason_of_a_failed_run_is_the_code_of_its_error():
    script: JsonObject = {"script": {**SCRIPT, "a": {"error": "context_length"}}}
    assert (
        await case({"status": "failed", "stop_reason": "context_length"}, **script)
    ).failures == ()


async def test_a_long_text_is_cut_where_it_is_shown():
    script: JsonObject = {"script": {**SCRIPT, "d": "y" * 5000}}
    [failure] = (await case({"output": "six"}, **script)).failures
    assert len(failure) < SHOWN + 100
    assert "…" in failure


@pytest.mark.parametrize("kind", PROVIDER_ERRORS, ids=lambda kind: kind.code)
async def test_a_turn_can_fail_with_every_code_of_a_provider(kind: Any):
    script: JsonObject = {"script": {**SCRIPT, "a": {"error": kind.code}}}
    expect = {"status": "failed", "stop_reason": kind.code}
    assert (await case(expect, **script)).failures == ()


@pytest.mark.parametrize("code", ["gone", "", "budget_exceeded", "internal_error"])
async def test_a_code_that_no_provider_fails_with_is_refused(code: str):
    script: JsonObject = {"script": {**SCRIPT, "a": {"error": code}}}
    with pytest.raises(ConfigurationError, match="`provider_unavailable`"):
        await case({}, **script)


async def test_tests_have_inputs_a_language_and_a_task_of_their_own():
    flow = flow_of(
        speaker("a", {"en": "In {words} words.", "es": "En {words} palabras."}),  # type: ignore[arg-type]
        inputs={"words": {"type": "integer", "default": 5}},
    )
    expect = {"prompts": {"a": {"contains": ["# Tarea\n\nHola", "En 7 palabras."]}}}
    test = {
        "script": {"a": "x"},
        "input": "Hola",
        "lang": "es",
        "inputs": {"words": 7},
        "expect": expect,
    }
    assert (await report(test, flow=flow)).failed == 0


async def test_a_test_that_is_wrong_says_nothing_of_the_others():
    found = await report({"expect": {"calls": 9}}, {"expect": {"calls": 5}})
    assert found.failed == 1
    assert [bool(c.failures) for c in found.cases] == [True, False]


async def test_coverage_counts_nodes_edges_and_the_ways_back_of_loops():
    found = await report({"expect": {}})
    assert (found.node_coverage, found.edge_coverage) == (1.0, 1.0)
    assert (found.unreached_nodes, found.untaken_edges) == ((), ())
    assert set(found.cases[0].edges) == {"a → b", "a → c", "b → d", "c → d", "d → d"}
    assert found.cases[0].path == ("a", "b", "c", "d", "d")


async def test_what_no_test_reaches_is_named():
    never = {"op": "eq", "left": {"var": "a_output"}, "right": "never"}
    content = BASE.model_dump(mode="json")
    content["edges"][0]["condition"] = never
    content["loops"][0]["max_rounds"] = 1
    found = await report({"expect": {}}, flow=FlowConfig.model_validate(content))
    assert found.unreached_nodes == ("b",)
    assert found.untaken_edges == ("a → b", "b → d", "d → d")
    assert found.node_coverage == 3 / 4
    assert found.edge_coverage == 2 / 5


async def test_a_flow_without_tests_reaches_nothing():
    found = await report()
    assert found.cases == ()
    assert found.node_coverage == 0
    assert set(found.unreached_nodes) == {"a", "b", "c", "d"}


async def test_a_flow_of_one_node_has_no_edges_to_take():
    found = await report({"script": {"a": "x"}, "expect": {}}, flow=flow_of(speaker("a")))
    assert (found.node_coverage, found.edge_coverage) == (1.0, 1.0)


async def test_a_flow_within_is_one_node_of_the_path_and_its_edges_are_its_own():
    inner = flow_of(speaker("a"), speaker("b", "{a_output}"), edges="a-b", name="inner")
    outer = flow_of(
        speaker("a"),
        {"id": "within", "type": "flow", "config": {"flow": "inner"}},
        speaker("b"),
        edges="a-within within-b",
    )
    expect = {"path": ["a", "within", "b"], "calls": 4}
    test = {"script": {"a": "x", "b": "y"}, "expect": expect}
    found = await report(test, flow=outer, builder=builder_of(inner))
    assert found.cases[0].failures == ()
    assert found.cases[0].edges == ("a → within", "within → b")
    assert found.edge_coverage == 1.0


async def test_a_judges_prompt_is_looked_at_by_the_index_of_its_check():
    checks = [{"check": "length", "max_words": 9}, {"check": "judge", "question": "Is it kind?"}]
    flow = flow_of(
        speaker("a"),
        {
            "id": "validator",
            "type": "output_validator",
            "config": {"answer": "a", "checks": checks},
        },
        edges="a-validator",
        output=("a",),
    )
    test = {
        "script": {"a": "hello", "validator": '{"score": 9}'},
        "expect": {"prompts": {"validator[1]": {"contains": ["Is it kind?", "hello"]}}},
    }
    assert (await report(test, flow=flow)).failed == 0


async def test_a_flow_that_cannot_run_is_refused():
    flow = flow_of(speaker("a", "{nobody_output}"))
    with pytest.raises(InvalidFlowError, match="nobody_output"):
        await run_flow_tests(flow)


async def test_pauses_take_no_time_in_tests():
    loop = {
        "id": "l",
        "first": "a",
        "last": "a",
        "max_rounds": 9,
        "backoff_s": 60.0,
    }
    flow = flow_of(speaker("a"), loops=(loop,))
    found = await report({"script": {"a": "x"}, "expect": {"calls": 9}}, flow=flow)
    assert found.failed == 0


@pytest.mark.parametrize("name", list(FLOW_CONFIGS))
async def test_every_shipped_flow_passes_its_tests_which_reach_every_way(name: str):
    found = await run_flow_tests(get_flow_config(name), GraphBuilder())
    assert [c.name for c in found.cases if c.failures] == []
    assert found.cases
    assert (found.node_coverage, found.edge_coverage) == (1.0, 1.0)


NEVER_SETTLED = {"op": "eq", "left": {"var": "gate_output"}, "right": "go on"}


def grouped_loop(rounds: int) -> FlowConfig:
    """A condition that leads to a group, with which a loop begins."""
    members: JsonObject = {"members": {"x": {"role": "debater_x"}, "y": {"role": "debater_y"}}}
    content = flow_of(
        speaker("gate"),
        speaker("e", group=members),
        speaker("end", "{e_outputs}"),
        edges="e-end",
        output=("end", "gate"),
        loops=({"id": "l", "first": "e", "last": "end", "max_rounds": rounds},),
    ).model_dump(mode="json")
    content["edges"].insert(0, {"source": "gate", "target": "e", "condition": NEVER_SETTLED})
    return FlowConfig.model_validate(content)


async def test_the_ways_back_to_a_group_are_counted_for_each_member():
    said = {"gate": "go on", "debater_x": "x", "debater_y": "y", "end": "z"}
    expect = {"path": ["gate", ["x_e", "y_e"], "end", ["y_e", "x_e"], "end"], "calls": 7}
    found = await report({"script": said, "expect": expect}, flow=grouped_loop(2))
    assert found.cases[0].failures == ()
    assert (found.node_coverage, found.edge_coverage) == (1.0, 1.0)
    once = await report({"script": said, "expect": {}}, flow=grouped_loop(1))
    assert once.untaken_edges == ("end → x_e", "end → y_e")
    assert once.edge_coverage == pytest.approx(4 / 6)


async def test_the_ways_to_a_group_are_untaken_where_the_condition_never_holds():
    found = await report({"script": {"gate": "enough"}, "expect": {}}, flow=grouped_loop(2))
    assert found.unreached_nodes == ("x_e", "y_e", "end")
    assert set(found.untaken_edges) == {
        "gate → x_e",
        "gate → y_e",
        "x_e → end",
        "y_e → end",
        "end → x_e",
        "end → y_e",
    }


async def test_prompts_of_draws_and_repair_calls_are_looked_at_by_their_paths():
    flow = flow_of(
        speaker("solver", "Solve.", type="samples", config={"samples": 2, "answer": "free"}),
        speaker(
            "voter",
            "{candidates}",
            type="ballot",
            config={"answers": ["solver"]},
            role="judge_of_all",
        ),
        edges="solver-voter",
        output=("solver",),
    )
    test = {
        "input": "Write a slogan for a bakery.",
        "script": {"solver": ["Warm.", "Bread."], "judge_of_all": ["Both.", "RANKING: A > B"]},
        "expect": {
            "prompts": {
                "solver[0]": {"contains": ["Solve."]},
                "solver[1]": {"contains": ["Solve."]},
                "voter": {"contains": ["Warm.", "Bread."]},
                "voter.repair": {"contains": ["Both."], "lacks": ["Warm."]},
            },
            "calls": 4,
            "path": ["solver", "voter"],
        },
    }
    assert (await report(test, flow=flow)).cases[0].failures == ()
