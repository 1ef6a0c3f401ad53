"""What came of a flow: the best text that there is, why it ended, and what went wrong."""

from typing import Any

import pytest

from agent_lab.contracts import ErrorInfo
from agent_lab.deliberation.stop_rules.stop import PRECEDENCE
from agent_lab.orchestrator.agent_state import AgentState, updated
from agent_lab.orchestrator.outcome import hard_stop, issues_of, outcome_of
from tests.orchestrator.conftest import OPEN, begun, debate, lost, planned, speaker, spoke

PLAN = debate()
PARALLEL = planned(
    speaker("expert", group={"members": {"one": {}, "two": {}}}),
    speaker("joiner", "{expert_outputs}"),
    edges="expert-joiner",
    output=("joiner", "expert"),
)


def refused(limit: str | None, code: str = "budget_exceeded") -> dict[str, Any]:
    details = {} if limit is None else {"limit": limit}
    error = ErrorInfo(code=code, message="refused", details=details)
    return {"failures": {"refiner": error}}


@pytest.mark.parametrize(
    ("state", "output", "degraded"),
    [
        (spoke(begun(), creator="draft", refiner="final"), "final", ()),
        (
            lost(spoke(begun(), creator="draft"), "refiner"),
            "draft",
            ("`refiner` failed: `refiner` is gone.", "The answer is the text of `creator`."),
        ),
        (spoke(begun(), creator="draft"), "draft", ()),
        (
            lost(spoke(begun(), creator="draft", refiner="final"), "challenger"),
            "final",
            ("`challenger` failed: `challenger` is gone.",),
        ),
        (
            lost(spoke(begun(), creator="draft", refiner="round 1"), "refiner"),
            "round 1",
            ("`refiner` failed: `refiner` is gone.",),
        ),
        (
            updated(spoke(begun(), refiner="final"), {"degraded": {"refiner": "moved"}}),
            "final",
            ("moved",),
        ),
        (lost(spoke(begun(), creator="draft"), "refiner", code="not_asked"), "draft", None),
    ],
    ids=[
        "all went well",
        "the best one failed",
        "the best one was not reached",
        "a helper failed",
        "the last round failed",
        "another model answered",
        "the best one was not asked",
    ],
)
def test_the_answer_is_the_best_text_that_there_is(
    state: AgentState, output: str, degraded: tuple[str, ...] | None
):
    outcome = outcome_of(PLAN, state)
    assert (outcome.output, outcome.error) == (output, None)
    expected = ("The answer is the text of `creator`.",) if degraded is None else degraded
    assert outcome.degraded == expected


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (begun(), "no_answer"),
        (lost(begun(), "creator"), "provider_unavailable"),
        (lost(lost(begun(), "creator"), "refiner", code="not_asked"), "provider_unavailable"),
        (lost(lost(begun(), "creator", code="a"), "challenger", code="b"), "b"),
        (lost(begun(), "creator", code="not_asked"), "no_answer"),
    ],
    ids=["nobody spoke", "one failed", "one failed, one was not asked", "two failed", "not asked"],
)
def test_without_an_answer_the_last_real_failure_is_the_error(state: AgentState, code: str):
    outcome = outcome_of(PLAN, state)
    assert outcome.error is not None
    assert (outcome.error.code, outcome.output) == (code, "")


@pytest.mark.parametrize(
    ("texts", "failed", "output"),
    [
        ({"joiner": "joined", "one_expert": "a"}, (), "joined"),
        ({"one_expert": "a", "two_expert": "b"}, ("joiner",), "a"),
        ({"two_expert": "b"}, ("joiner", "one_expert"), "b"),
    ],
)
def test_a_group_can_be_the_answer_its_first_member_that_spoke(
    texts: dict[str, str], failed: tuple[str, ...], output: str
):
    outcome = outcome_of(PARALLEL, lost(spoke(begun(), **texts), *failed))
    assert outcome.output == output
    if failed:
        assert outcome.degraded[-1].startswith("The answer is the text of `")


@pytest.mark.parametrize(
    ("change", "stop"),
    [
        (refused("calls"), "budget"),
        (refused("tokens"), "budget"),
        (refused("cost_usd"), "budget"),
        (refused("seconds"), "wall_clock"),
        (refused("seconds", "provider_timeout"), "wall_clock"),
        (refused(None, "provider_timeout"), ""),
        (refused("calls", "request_over_limit"), ""),
        (refused("odd"), ""),
        ({"failures": {"refiner": None}}, ""),
    ],
)
def test_a_refused_call_is_a_hard_stop_by_its_limit(change: dict[str, Any], stop: str):
    state = updated(spoke(begun(), creator="draft"), change)
    assert hard_stop(state) == stop
    assert outcome_of(PLAN, state).stop_reason == (stop or "completed")


@pytest.mark.parametrize(
    ("stops", "change", "expected"),
    [
        ({}, {}, "completed"),
        ({"a": "completed"}, {}, "completed"),
        ({"a": "max_rounds"}, {}, "max_rounds"),
        ({"a": "max_rounds", "b": "issues_closed"}, {}, "issues_closed"),
        ({"a": "max_rounds", "b": "good_enough"}, {}, "good_enough"),
        ({"a": "good_enough", "b": "agreement"}, {}, "agreement"),
        ({"a": "wall_clock", "b": "budget"}, {}, "budget"),
        ({"a": "issues_closed"}, refused("seconds"), "wall_clock"),
        ({"a": "zzz", "b": "good_enough"}, {}, "good_enough"),
    ],
)
def test_of_several_stop_reasons_the_one_of_most_weight_is_told(
    stops: dict[str, str], change: dict[str, Any], expected: str
):
    state = updated(spoke(begun(stops=stops), creator="draft"), change)
    assert outcome_of(PLAN, state).stop_reason == expected


@pytest.mark.parametrize("reason", PRECEDENCE)
def test_every_stop_reason_of_the_lab_reaches_the_outcome(reason: str):
    assert outcome_of(PLAN, spoke(begun(stops={"l": reason}), creator="x")).stop_reason == reason


def test_named_outputs_are_values_of_the_run():
    plan = debate(
        outputs={
            "open": "open_issue_count",
            "draft": "creator_output",
            "passes": "creator_visits",
            "how": "refiner_status",
            "nothing": "task_type",
        }
    )
    state = updated(lost(spoke(begun(), creator="x"), "refiner"), {"issues": (OPEN,)})
    assert outcome_of(plan, state).outputs == {
        "open": 1,
        "draft": "x",
        "passes": 1,
        "how": "failed",
        "nothing": "",
    }


def test_the_ledger_is_told_as_json_whatever_came_of_the_run():
    state = updated(spoke(begun(), creator="x"), {"issues": (OPEN,)})
    [issue] = issues_of(outcome_of(PLAN, state))
    assert issue == OPEN.model_dump(mode="json")
    assert issues_of(outcome_of(PLAN, state)._replace(state=None)) == ()
