"""`agent-lab flows`: what is listed, shown, proved and tested, without any model."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent_lab.flows.flow_validator import FlowReport
from agent_lab.flows.graph_configs import FLOW_CONFIGS, FlowConfig
from agent_lab.flows.schema import EXAMPLE, flow_schema
from agent_lab.orchestrator.flow_tester import FlowTestReport
from tests.cli.conftest import Run

Write = Callable[..., Path]


@pytest.fixture
def flow_file(tmp_path: Path) -> Write:
    """Write a flow to a file: the schema's example, with other fields."""

    def write(**fields: Any) -> Path:
        path = tmp_path / "mine.json"
        path.write_text(json.dumps({**EXAMPLE, **fields}), "utf-8")
        return path

    return write


def test_flows_are_listed_with_their_roles_and_inputs(agent_lab: Run):
    listed = agent_lab("flows", "list").out
    assert "creator, challenger, refiner" in listed
    assert "security_expert" in listed
    assert "--input rounds=1\n" in listed
    assert "--input experts=security,performance,ux\n" in listed
    rows = {row["name"]: row for row in json.loads(agent_lab("flows", "list", "--json").out)}
    assert list(rows) == list(FLOW_CONFIGS)
    assert rows["multi_perspective"]["roles"][-1] == "synthesizer"
    assert rows["challenge"]["inputs"]["rounds"] == 1


def test_what_is_listed_as_an_input_can_be_typed(agent_lab: Run):
    listed = agent_lab("flows", "list").out
    chosen = [line.split()[1] for line in listed.splitlines() if "--input rounds" in line]
    assert agent_lab("run", "challenge", "Why?", "--plan", "--input", chosen[0]).code == 0


def test_a_flow_is_shown_with_all_that_a_caller_can_choose(agent_lab: Run):
    shown = agent_lab("flows", "show", "linear").out
    for text in (
        "retries: integer, default 2, at least 0, at most 10",
        "task_analyzer → resource_monitor if route_after_analysis → resource_monitor",
        "execution else",
        "output_validator → execution: tries ≤ {retries} until route_after_validation → accept",
        "answer: summary, else execution",
        "  | {task_type}",
        "temperature 0.3, max_tokens 768",
    ):
        assert text in shown
    assert "one of high, medium, low" in agent_lab("flows", "show", "challenge").out
    assert "member security: Security expert" in agent_lab("flows", "show", "multi_perspective").out


def test_a_flow_is_shown_in_the_language_that_is_asked_for(agent_lab: Run):
    shown = agent_lab("flows", "show", "challenge", "--lang", "es").out
    assert "Máximo de rondas" in shown
    assert "# Tu papel: crítico" in shown
    assert "Your role" not in shown


def test_a_shown_flow_can_be_read_again(agent_lab: Run):
    shown = agent_lab("flows", "show", "challenge", "--json").out
    assert FlowConfig.model_validate_json(shown).version == FLOW_CONFIGS["challenge"].version


def test_the_graph_alone_can_be_shown(agent_lab: Run, flow_file: Write):
    assert agent_lab("flows", "show", "challenge", "--mermaid").out.startswith("flowchart TD\n")
    assert 'n_short_author("short' in agent_lab("flows", "show", flow_file(), "--mermaid").out


def test_a_file_is_shown_as_a_shipped_flow_is(agent_lab: Run, flow_file: Write):
    shown = agent_lab("flows", "show", flow_file(data_policy="local", budget={"calls": 9})).out
    for text in ("two_drafts (", "data policy local", "at most 9 calls", "1 test\n"):
        assert text in shown


def test_the_shipped_flows_are_valid_where_no_weights_are(agent_lab: Run):
    ran = agent_lab("flows", "validate")
    assert (ran.code, ran.err) == (0, "")
    for name in FLOW_CONFIGS:
        assert f"{name}: 0 errors, 0 warnings\n{name}: worst case: " in ran.out
    assert "challenge: worst case: 3 calls, " in ran.out
    assert "cost unknown: no model is here to answer" in ran.out


@pytest.mark.usefixtures("fake_model")
def test_a_price_that_nobody_knows_is_named(agent_lab: Run):
    assert "cost unknown: `fake` has no known price" in agent_lab("flows", "validate").out


def test_every_fault_is_a_line_and_errors_come_first(agent_lab: Run, flow_file: Write):
    nodes = [
        {"id": "author", "prompt_template": "{tsk} {A}"},
        {"id": "editor", "type": "editr"},
        {"id": "alone", "prompt_template": "x"},
    ]
    path = flow_file(nodes=nodes, inputs={}, tests=[], output=[])
    ran = agent_lab("flows", "validate", path)
    assert ran.code == 3
    *faults, counted = ran.out.splitlines()
    kinds = [line.partition(":")[0] for line in faults]
    assert kinds == sorted(kinds)
    assert {"error", "warning"} == set(kinds)
    assert any(line.startswith("error: `author`, prompt_template: ") for line in faults)
    errors, warnings = kinds.count("error"), kinds.count("warning")
    assert counted == f"{path}: {errors} errors, {warnings} warning" + "s" * (warnings != 1)


def test_warnings_alone_are_no_failure(agent_lab: Run, flow_file: Write):
    ran = agent_lab("flows", "validate", flow_file(budget={"calls": 1}))
    assert ran.code == 0
    assert ran.out.startswith("warning: budget.calls: ")
    assert "0 errors, 1 warning\n" in ran.out


def test_a_file_that_is_no_flow_is_reported_whole(agent_lab: Run, flow_file: Write):
    ran = agent_lab("flows", "validate", flow_file(colour="red", edges=[{"from": "author"}]))
    assert ran.code == 3
    for field in ("colour", "edges[0].from", "edges[0].source", "edges[0].target"):
        assert f"error: {field}: " in ran.out


def test_reports_are_given_as_json(agent_lab: Run, flow_file: Write):
    ran = agent_lab("flows", "validate", "challenge", flow_file(colour="red"), "--json")
    assert ran.code == 3
    sound, faulty = [FlowReport.model_validate(report) for report in json.loads(ran.out)]
    assert sound.worst_case is not None
    assert sound.worst_case.calls == 3
    assert [fault.code for fault in faulty.errors] == ["unknown_field"]


def test_what_a_file_says_cannot_drive_the_terminal(agent_lab: Run, flow_file: Write):
    evil = "\x1b]0;owned\x07\x1b[2J"
    path = flow_file(description=evil, edges=[{"source": evil, "target": "editor"}])
    for command in (("show",), ("show", "--mermaid"), ("validate",), ("test",)):
        ran = agent_lab("flows", command[0], path, *command[1:])
        assert "\x1b" not in ran.out + ran.err
        assert ran.out or ran.err


def test_the_shipped_flows_pass_their_own_tests(agent_lab: Run):
    ran = agent_lab("flows", "test")
    assert (ran.code, ran.err) == (0, "")
    assert "FAILED" not in ran.out
    assert "nodes 3 of 3, edges 3 of 3\n" in ran.out


def test_a_failed_test_says_what_was_there(agent_lab: Run, flow_file: Write):
    [good] = EXAMPLE["tests"]
    bad = {**good, "name": "a wrong wish", "expect": {"output": "Never."}}
    ran = agent_lab("flows", "test", flow_file(tests=[good, bad]))
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "two_drafts:",
        "ok both drafts reach the editor",
        "FAILED a wrong wish",
        "    output: 'Never.' was expected, it is 'Perhaps.'",
        "nodes 3 of 3, edges 2 of 2",
    ]


def test_what_no_test_reaches_is_named(agent_lab: Run, flow_file: Write):
    failing = {"error": "provider_unavailable"}
    script = {"short_author": failing, "careful_author": failing, "editor": "x"}
    test = {"name": "nothing", "script": script, "expect": {"status": "failed"}}
    extra = {"id": "extra", "prompt_template": "x"}
    condition = {"op": "eq", "left": {"var": "editor_status"}, "right": "ok"}
    ran = agent_lab(
        "flows",
        "test",
        flow_file(
            tests=[test],
            nodes=[*EXAMPLE["nodes"], extra],
            edges=[
                *EXAMPLE["edges"],
                {"source": "editor", "target": "extra", "condition": condition},
            ],
        ),
    )
    assert ran.code == 0
    assert ran.out.endswith(
        "nodes 3 of 4, edges 2 of 3; not reached: extra; not taken: editor → extra\n"
    )


def test_a_flow_without_tests_is_not_passed(agent_lab: Run, flow_file: Write):
    ran = agent_lab("flows", "test", flow_file(tests=[]))
    assert ran.code == 1
    assert ran.out.startswith("two_drafts: no tests\n")


def test_results_of_tests_are_given_as_json(agent_lab: Run, flow_file: Write):
    ran = agent_lab("flows", "test", flow_file(), "single", "--json")
    assert ran.code == 0
    first, second = [FlowTestReport.model_validate(report) for report in json.loads(ran.out)]
    assert (first.flow, first.failed, second.flow) == ("two_drafts", 0, "single")


def test_a_flow_in_a_file_can_run_shipped_ones(agent_lab: Run, flow_file: Write):
    nodes = [{"id": "inner", "type": "flow", "config": {"flow": "single"}}]
    test = {"name": "inner", "script": {"solver": "4"}, "expect": {"output": "4"}}
    path = flow_file(nodes=nodes, edges=[], entry_point="inner", inputs={}, output=[], tests=[test])
    assert agent_lab("flows", "test", path).code == 0
    assert agent_lab("flows", "validate", path).code == 0


def test_the_schema_is_printed(agent_lab: Run):
    assert json.loads(agent_lab("flows", "schema").out) == flow_schema()
