"""`agent-lab run`: inputs, flows in files, limits, and plans."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.cli.inputs import flow_inputs
from agent_lab.cli.run_plan import RunPlan
from agent_lab.contracts import RunRecord
from agent_lab.flows.graph_configs import FLOW_CONFIGS
from agent_lab.flows.schema import EXAMPLE
from tests.cli.conftest import Run, saved_runs

RUN = ("run", "challenge", "Why?")


def plan_of(agent_lab: Run, *arguments: str | Path) -> RunPlan:
    ran = agent_lab(*arguments, "--plan", "--json")
    assert (ran.code, ran.err) == (0, "")
    return RunPlan.model_validate_json(ran.out)


@pytest.mark.parametrize(
    ("flow", "typed", "value"),
    [
        ("challenge", "rounds=3", {"rounds": 3}),
        ("challenge", "floor=high", {"floor": "high"}),
        ("challenge", 'floor="high"', {"floor": "high"}),
        ("challenge", "floor=1", {"floor": "1"}),
        ("challenge", "rounds=NaN", {"rounds": "NaN"}),
        ("linear", "read_history=false", {"read_history": False}),
        ("linear", 'checks=[{"check": "length"}]', {"checks": [{"check": "length"}]}),
        ("multi_perspective", "experts=ux, cost", {"experts": ["ux", "cost"]}),
        ("multi_perspective", "experts=ux", {"experts": ["ux"]}),
        ("multi_perspective", 'experts=["ux", {"id": "law"}]', {"experts": ["ux", {"id": "law"}]}),
        ("challenge", "unknown=a=b", {"unknown": "a=b"}),
    ],
)
def test_an_input_is_json_or_text_as_the_flow_wants_it(flow: str, typed: str, value: Any):
    assert flow_inputs([typed], FLOW_CONFIGS[flow]) == value


@given(st.text())
def test_any_text_can_be_typed_as_an_input(text: str):
    [value] = flow_inputs([f"floor={text}"], FLOW_CONFIGS["challenge"]).values()
    assert isinstance(value, str)


@pytest.mark.usefixtures("fake_model")
def test_inputs_reach_the_run(agent_lab: Run):
    record = RunRecord.model_validate_json(
        agent_lab(*RUN, "--input", "rounds=2", "--input", "floor=high", "--json").out
    )
    assert record.options["inputs"] == {"rounds": 2, "floor": "high"}


@pytest.mark.usefixtures("fake_model")
def test_members_of_a_group_can_be_chosen(agent_lab: Run):
    ran = agent_lab("run", "multi_perspective", "Why?", "--input", "experts=ux,cost", "--json")
    turns = RunRecord.model_validate_json(ran.out).turns
    assert [turn.role for turn in turns][-1] == "synthesizer"
    assert {turn.role for turn in turns} == {"ux_expert", "cost_expert", "synthesizer"}


@pytest.mark.usefixtures("fake_model")
def test_a_flow_in_a_file_is_run(agent_lab: Run):
    Path("mine.json").write_text(json.dumps(EXAMPLE), "utf-8")
    ran = agent_lab("run", "mine.json", "Why?", "--input", "limit=20", "--json")
    assert (ran.code, ran.err) == (0, "")
    record = RunRecord.model_validate_json(ran.out)
    assert record.flow == "two_drafts"
    assert "At most 20 words." in record.turns[0].messages[-1].content
    assert [path.parent.name for path in Path("outputs").rglob("*.json")] == ["two_drafts_flows"]


@pytest.mark.usefixtures("fake_model")
def test_a_file_may_have_the_name_of_a_shipped_flow(agent_lab: Run):
    Path("mine.json").write_text(json.dumps({**EXAMPLE, "name": "challenge"}), "utf-8")
    record = RunRecord.model_validate_json(agent_lab("run", "mine.json", "Why?", "--json").out)
    assert [turn.role for turn in record.turns][-1] == "editor"


@pytest.mark.usefixtures("fake_model")
@pytest.mark.parametrize(
    ("limit", "kept"),
    [
        (("--max-calls", "2"), {"calls": 2}),
        (("--max-total-tokens", "999"), {"tokens": 999}),
        (("--max-seconds", "2.5"), {"seconds": 2.5}),
        (("--budget", "1", "--allow-unpriced"), {"cost_usd": 1.0, "allow_unpriced": True}),
    ],
)
def test_limits_are_the_runs_budget(agent_lab: Run, limit: tuple[str, ...], kept: Any):
    agent_lab(*RUN, *limit)
    [saved] = saved_runs()
    assert {k: v for k, v in saved["options"]["budget"].items() if v} == kept


@pytest.mark.usefixtures("fake_model")
def test_a_run_that_a_limit_ends_says_so(agent_lab: Run):
    ran = agent_lab(*RUN, "--max-calls", "2")
    assert (ran.code, ran.out) == (0, "the draft\n")
    assert ran.err.splitlines()[-1] == "agent-lab: Stopped: budget"


@pytest.mark.usefixtures("fake_model")
def test_why_a_run_stopped_is_said_once(agent_lab: Run):
    assert agent_lab(*RUN).err == "agent-lab: Stopped: max_rounds\n"
    shown = agent_lab(*RUN, "--stream").err
    assert shown.count("max_rounds") == 1
    assert " Stopped: max_rounds.\n" in shown
    assert agent_lab("run", "single", "Why?").err == ""


def test_a_plan_needs_no_model_and_leaves_nothing_behind(agent_lab: Run):
    ran = agent_lab(*RUN, "--plan")
    assert (ran.code, ran.err) == (0, "")
    assert "creator · no model is here" in ran.out
    assert saved_runs() == []
    assert not Path("outputs").exists()


@pytest.mark.usefixtures("fake_model")
def test_a_plan_says_who_would_answer_and_what_it_can_take(agent_lab: Run):
    ran = agent_lab(*RUN, "--plan", "--input", "rounds=3", "--role", "challenger=gpt-4.1-mini")
    assert ran.code == 0
    for text in (
        "creator · fake · ",
        " · 1 call of at most 512 tokens → challenger\n",
        "challenger · gpt-4.1-mini · ",
        " · 3 calls of at most 256 tokens → refiner\n",
        "refiner → challenger: rounds ≤ 3 until open_issue_count = 0",
        "worst case: 7 calls, ",
        "cost unknown: `fake` has no known price",
    ):
        assert text in ran.out
    assert saved_runs() == []


@pytest.mark.usefixtures("fake_model")
def test_a_plan_as_json_is_the_report_with_the_cast(agent_lab: Run):
    plan = plan_of(agent_lab, *RUN, "--max-tokens", "99", "--strategy", "greedy")
    assert [part.path for part in plan.cast] == ["creator", "challenger", "refiner"]
    assert {part.max_tokens for part in plan.cast} == {99}
    assert {part.strategy for part in plan.cast} == {"greedy"}
    assert {part.window for part in plan.cast} == {4096}
    assert plan.worst_case is not None
    assert plan.worst_case.completion_tokens == 3 * 99


@pytest.mark.usefixtures("fake_model")
def test_a_plan_counts_the_question_that_is_asked(agent_lab: Run):
    short = plan_of(agent_lab, *RUN).worst_case
    long = plan_of(agent_lab, "run", "challenge", "Why? " * 1000).worst_case
    assert short is not None
    assert long is not None
    assert long.prompt_tokens > short.prompt_tokens + 3000


@pytest.mark.usefixtures("fake_model")
def test_a_plan_warns_of_prompts_that_do_not_fit(agent_lab: Run):
    ran = agent_lab("run", "challenge", "Why? " * 5000, "--plan")
    assert ran.code == 0
    assert "warning: `creator`, prompt_template: " in ran.out
    assert "the smallest window has 4,096" in ran.out


@pytest.mark.usefixtures("fake_model")
def test_a_plan_goes_into_flows_within_the_flow(agent_lab: Run):
    nodes = [{"id": "inner", "type": "flow", "config": {"flow": "challenge"}}]
    flow = {"name": "outer", "entry_point": "inner", "nodes": nodes}
    Path("outer.json").write_text(json.dumps(flow), "utf-8")
    plan = plan_of(agent_lab, "run", "outer.json", "Why?")
    assert [(part.path, part.calls) for part in plan.cast] == [
        ("inner", 0),
        ("inner.creator", 1),
        ("inner.challenger", 1),
        ("inner.refiner", 1),
    ]


@pytest.mark.usefixtures("fake_model")
def test_a_plan_can_go_to_a_file(agent_lab: Run):
    assert agent_lab(*RUN, "--plan", "-o", "plan.txt") == (0, "", "")
    assert Path("plan.txt").read_text("utf-8").startswith("challenge, as it would run:\n")


def test_a_plan_of_a_flow_that_cannot_run_says_why(agent_lab: Run):
    Path("bad.json").write_text(json.dumps({**EXAMPLE, "entry_point": "nobody"}), "utf-8")
    ran = agent_lab("run", "bad.json", "Why?", "--plan")
    assert (ran.code, ran.out) == (3, "")
    assert "`nobody`" in ran.err
