"""Every way in which a provider can fail, in every role of every shipped flow: a failed turn."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from typing_extensions import override

from agent_lab.contracts import Turn
from agent_lab.errors import (
    AgentLabError,
    BudgetExceededError,
    CircuitOpenError,
    ConfigurationError,
    OverloadedError,
    ProviderAuthError,
    ProviderSpendCapError,
    RequestOverLimitError,
    StorageError,
    WeightsMissingError,
)
from agent_lab.flows.flow_plan import plan_flow
from agent_lab.flows.graph_configs import FLOW_CONFIGS, FlowConfig, get_flow_config
from agent_lab.providers.local.scripted_provider import ScriptedProvider, ScriptedReply
from tests.orchestrator.conftest import PROVIDER_ERRORS, Log, Stage, ran, staged
from tests.orchestrator.councils import ENTRY

JUDGED = {"checks": [{"check": "judge", "question": "Is it kind?"}], "retries": 1}
TEXTS = {"challenger": '[high] "text": wrong; repair it.', "output_validator": '{"score": 9}'}
FORMS = {"ranking": "RANKING: A > B", "preference": "PREFERENCE: A"}
"""By what a schema asks for: a ballot of whoever is asked for one."""
ROLES = [
    (flow, role)
    for flow in FLOW_CONFIGS
    for role in plan_flow(get_flow_config(flow)).roles()
    + (["output_validator"] if flow == "linear" else [])
]
OTHERS: list[type[AgentLabError]] = [
    CircuitOpenError,
    OverloadedError,
    RequestOverLimitError,
    BudgetExceededError,
    WeightsMissingError,
    ConfigurationError,
]
LEFT_ALONE = (ProviderAuthError, ProviderSpendCapError)
"""After these a provider is not asked again: every model of it would fail in the same way."""
ESSENTIAL = {
    ("single", "solver"),
    ("challenge", "creator"),
    ("linear", "execution"),
    ("self_consistency", "solver"),
}
"""Roles without whose text there is no answer."""


def said(call: Any) -> str:
    """What a role says where nothing is wrong: a text, or a ballot if it is asked for one."""
    schema = call.params.get("response_schema") or {"properties": {}}
    asked = [FORMS[name] for name in schema["properties"] if name in FORMS]
    return asked[0] if asked else TEXTS.get(call.role, f"text of {call.role}")


def staged_failure(flow: str, role: str, error: Exception | None) -> Stage:
    """A run in which every call of one role fails; without an error, none does."""

    def answer(call: Any) -> Any:
        return error if error is not None and call.role == role else said(call)

    return staged(answer, request={"inputs": JUDGED if flow == "linear" else {}})


def calls_by_role(stage: Stage) -> Counter[str]:
    return Counter(stage.roles)


async def checked(flow: FlowConfig, role: str, error: Any, code: str) -> None:
    """One role fails, and nothing else does."""
    undisturbed = staged_failure(flow.name, role, None)
    await ran(flow, undisturbed)
    stage = staged_failure(flow.name, role, error)
    outcome = await ran(flow, stage)
    failed = [turn for turn in stage.turns if turn.status == "failed"]
    assert {turn.role for turn in failed} == {role}
    assert {turn.error.code for turn in failed if turn.error} == {code}
    if (flow.name, role) in ESSENTIAL:
        assert outcome.error is not None
        assert (outcome.error.code, outcome.output) == (code, "")
    else:
        assert outcome.error is None
        assert outcome.output != ""
        # A role may speak through several nodes; each of them that was asked is named.
        for node_id in {turn.path for turn in failed}:
            assert any(reason.startswith(f"`{node_id}`") for reason in outcome.degraded), node_id
    # Nobody is asked more often for another one's failure.
    calls, usual = calls_by_role(stage), calls_by_role(undisturbed)
    assert all(calls[other] <= usual[other] for other in calls if other != role)
    assert calls[role] <= 2 * usual[role]
    assert all(turn.error is None for turn in stage.turns if turn.role != role)


@pytest.mark.parametrize(("name", "role"), ROLES)
@pytest.mark.parametrize(
    "kind", [k for k in PROVIDER_ERRORS if k not in LEFT_ALONE], ids=lambda kind: kind.code
)
async def test_a_provider_that_fails_is_a_failed_turn_and_the_run_goes_on(
    kind: type[AgentLabError], name: str, role: str
):
    await checked(get_flow_config(name), role, kind("It is `so`."), kind.code)


@pytest.mark.parametrize(("name", "role"), ROLES)
@pytest.mark.parametrize("kind", LEFT_ALONE, ids=lambda kind: kind.code)
async def test_a_provider_that_is_left_alone_fails_no_more_than_what_comes_after(
    kind: type[AgentLabError], name: str, role: str
):
    flow = get_flow_config(name)
    stage = staged_failure(name, role, kind("It is `so`."))
    outcome = await ran(flow, stage)
    codes = {turn.error.code for turn in stage.turns if turn.error and turn.role == role}
    assert kind.code in codes
    assert {t.error.code for t in stage.turns if t.error} <= {kind.code, "circuit_open"}
    spoken = [turn.text for turn in stage.turns if turn.error is None and turn.text]
    assert (outcome.error is None) is bool(spoken)
    assert outcome.output in {"", *spoken}


@pytest.mark.parametrize(("name", "role"), ROLES)
@pytest.mark.parametrize("kind", OTHERS, ids=lambda kind: kind.code)
async def test_what_the_gateway_refuses_is_a_failed_turn_too(
    kind: type[AgentLabError], name: str, role: str
):
    await checked(get_flow_config(name), role, kind("It is `so`."), kind.code)


@pytest.mark.parametrize(("name", "role"), ROLES)
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (OSError("no route"), "provider_unavailable"),
        (TimeoutError(), "provider_unavailable"),
        (RuntimeError("a bug of the provider"), "provider_error"),
        (RecursionError(), "provider_error"),
        (ScriptedReply(""), "truncated_answer"),
        (ScriptedReply(" \n\u2003", finish_reason="length"), "truncated_answer"),
    ],
    ids=["network", "timeout", "bug", "recursion", "nothing", "white space"],
)
async def test_a_fault_without_a_class_is_given_one(fault: Any, code: str, name: str, role: str):
    await checked(get_flow_config(name), role, fault, code)


@pytest.mark.parametrize("name", list(FLOW_CONFIGS))
async def test_where_everybody_fails_the_run_fails_with_the_last_failure(name: str):
    stage = staged(lambda call: OSError(f"{call.role} is gone"))
    outcome = await ran(get_flow_config(name), stage)
    assert outcome.error is not None
    assert outcome.error.code == "provider_unavailable"
    assert outcome.output == ""
    assert len(stage.provider.calls) == ENTRY.get(name, 1)


@pytest.mark.parametrize(("name", "role"), ROLES)
async def test_a_cancelled_run_ends_at_once_whoever_is_speaking(name: str, role: str):
    speaking, for_ever = asyncio.Event(), asyncio.Event()

    def answer(call: Any) -> Any:
        slow = 1.0 if call.role == role else 0.0
        return ScriptedReply(said(call), delay_s=slow)

    async def wait(seconds: float) -> None:
        if seconds:
            speaking.set()
            await for_ever.wait()

    inputs = JUDGED if name == "linear" else {}
    stage = staged(ScriptedProvider(answer, sleep=wait), request={"inputs": inputs})
    running = asyncio.create_task(ran(get_flow_config(name), stage))
    await speaking.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert role not in {turn.role for turn in stage.turns}
    assert {turn.status for turn in stage.turns} <= {"ok"}


async def test_a_recorder_that_cannot_write_ends_the_run():
    class Full(Log):
        @override
        async def record_turn(self, turn: Turn) -> None:
            raise StorageError("disk full")

    stage = staged({"solver": "x"}, recorder=Full())
    with pytest.raises(StorageError):
        await ran(get_flow_config("single"), stage)
