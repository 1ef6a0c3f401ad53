"""A turn: who is asked on which terms, what is recorded of it, and that it never raises."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest

from agent_lab.contracts import (
    DataPolicy,
    GenerationRequest,
    GenerationResult,
    Message,
    Turn,
)
from agent_lab.errors import AgentLabError, ProviderTimeoutError, ProviderUnavailableError
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.orchestrator.agent_state import AgentState
from agent_lab.orchestrator.run_context import Place
from agent_lab.orchestrator.turns import said, strictest, take_turn, whole_characters
from agent_lab.providers.local.scripted_provider import ScriptedProvider, ScriptedReply
from agent_lab.providers.provider_gateway import GenerationChunk, ProviderGateway
from tests.orchestrator.conftest import (
    PROVIDER_ERRORS,
    START,
    Stage,
    begun,
    in_virtual_time,
    planned,
    slow,
    speaker,
    staged,
    timed,
)

ASKED = (Message(role="user", content="Speak."),)
RESULT = GenerationResult(
    text="an answer",
    source="own",
    model_resolved="own",
    strategy="s",
    finish_reason="stop",
)


class Chunks:
    """A gateway that streams what it is given, and keeps what it was asked."""

    def __init__(self, *chunks: GenerationChunk, error: Exception | None = None) -> None:
        self._chunks, self._error = chunks, error
        self.requests: list[GenerationRequest] = []

    async def stream(
        self, request: GenerationRequest, *, budget: Any = None
    ) -> AsyncGenerator[GenerationChunk, None]:
        self.requests.append(request)
        for chunk in self._chunks:
            yield chunk
        if self._error is not None:
            raise self._error


async def taken(
    stage: Stage,
    plan: FlowPlan | None = None,
    node_id: str = "a",
    state: AgentState | None = None,
    **options: Any,
) -> Turn:
    plan = plan or planned(speaker("a"))
    config = plan.node(node_id)
    return await take_turn(config, plan, state or begun(), stage.run, ASKED, **options)


def asked(stage_fields: dict[str, Any], **options: Any) -> GenerationRequest:
    """What a gateway is asked for one turn."""
    gateway = Chunks(GenerationChunk(result=RESULT))
    stage = staged({}, gateway=lambda _: gateway, **stage_fields)
    asyncio.run(taken(stage, **options))
    [request] = gateway.requests
    return request


@pytest.mark.parametrize(
    ("callers", "flows", "expected"),
    [
        ({}, {}, (None, None, None, None)),
        (
            {},
            {"model": "m", "strategy": "s", "max_tokens": 9, "temperature": 0.4},
            ("m", "s", 9, 0.4),
        ),
        (
            {"model": "c", "strategy": "t", "max_tokens": 7, "temperature": 0.0},
            {},
            ("c", "t", 7, 0.0),
        ),
        (
            {"model": "c", "strategy": "t", "max_tokens": 7, "temperature": 0.0},
            {"model": "m", "strategy": "s", "max_tokens": 9, "temperature": 0.4},
            ("m", "t", 7, 0.0),
        ),
        ({"model": "c", "models": {"a": "d"}}, {"model": "m"}, ("d", None, None, None)),
        ({"models": {"old": "d"}}, {"aliases": ("old",)}, ("d", None, None, None)),
        ({"models": {"boss": "d", "a": "e"}}, {"role": "boss"}, ("d", None, None, None)),
    ],
    ids=[
        "nobody",
        "the flow",
        "the caller",
        "both",
        "a model for the role",
        "a model for the role's older id",
        "a role's name goes before its id",
    ],
)
def test_the_callers_wishes_go_before_the_flows_but_for_the_model_of_all(
    callers: dict[str, Any], flows: dict[str, Any], expected: tuple[Any, ...]
):
    request = asked({"request": callers}, plan=planned(speaker("a", **flows)))
    found = (request.model_key, request.strategy, request.max_tokens, request.temperature)
    assert found == expected


def test_what_only_the_flow_can_say_reaches_the_gateway():
    node = speaker("a", top_p=0.5, top_k=3, stop=("END",), role="author")
    request = asked({"deadline": 7.5}, plan=planned(node))
    assert (request.top_p, request.top_k, request.stop) == (0.5, 3, ("END",))
    assert (request.role, request.seed, request.deadline) == ("author", 1, 7.5)
    assert request.messages == ASKED
    assert request.midstream == "restart"


def test_the_kind_of_task_is_handed_on_once_somebody_has_looked():
    assert asked({}).task_type is None
    state = begun(task_type="code")
    assert asked({}, state=state).task_type == "code"


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ((None, None), None),
        (("any", None), "any"),
        ((None, "local"), "local"),
        (("any", "local"), "local"),
        (("local", "any"), "local"),
        (("any", "any"), "any"),
    ],
)
def test_of_two_data_policies_the_stricter_holds(
    policies: tuple[DataPolicy | None, ...], expected: DataPolicy | None
):
    assert strictest(*policies) == expected
    flow, caller = policies
    plan = planned(speaker("a"), data_policy=flow)
    assert asked({"request": {"data_policy": caller}}, plan=plan).data_policy == expected


ROLES = planned(
    speaker("a", model="first"),
    speaker("b", model="second"),
    speaker("c", model="first"),
    {"id": "analyzer", "type": "task_analyzer"},
    edges="a-b b-c c-analyzer",
)


def test_a_role_falls_back_to_no_model_of_a_role_that_is_meant_to_differ():
    request = asked({}, plan=ROLES)
    assert request.constraints.distinct_from == ("second",)
    assert asked({}, plan=ROLES, node_id="b").constraints.distinct_from == ("first",)
    answered = begun(models={"b": "other"})
    assert asked({}, plan=ROLES, state=answered).constraints.distinct_from == ("other", "second")


def test_a_node_that_asks_nobody_keeps_no_model_from_anybody():
    # The default model stands for every node without a wish; only one that speaks uses it.
    models = {None: "default", "first": "first", "second": "second"}
    request = asked({"models": models}, plan=ROLES)
    assert "default" not in request.constraints.distinct_from


def test_roles_that_are_meant_to_be_the_same_may_be_the_same():
    plan = planned(speaker("a"), speaker("b"), edges="a-b")
    assert asked({}, plan=plan).constraints.distinct_from == ()


async def test_a_turn_is_announced_shown_and_recorded():
    stage = staged({"a": ScriptedReply("two words", reasoning="a thought")})
    turn = await taken(stage)
    [(kind, payload)] = stage.log.events
    assert kind == "TEXT_MESSAGE_START"
    assert (payload["messageId"], payload["name"], payload["role"]) == ("a:0:0", "a", "assistant")
    assert payload["metadata"]["messages"] == [message.model_dump() for message in ASKED]
    assert stage.log.shown == {"a:0:0": "a thoughttwo words"}
    [recorded] = stage.turns
    assert recorded == turn.model_copy(update={"seq": 1})
    assert (turn.status, turn.text, turn.reasoning) == ("ok", "two words", "a thought")
    assert (turn.completion_tokens, turn.model_resolved, turn.source) == (2, "scripted", "scripted")
    assert [attempt.outcome for attempt in turn.attempts] == ["ok"]
    assert turn.started_at == START


async def test_its_name_is_path_visit_and_retry_within_all_that_is_around_it():
    stage = staged({"a": "x"}, prefix="outer.", place=Place(round=2, visit=1, retry=3))
    turn = await taken(stage, path="a[4]")
    assert (turn.path, turn.round, turn.visit, turn.retry) == ("outer.a[4]", 2, 1, 3)
    assert stage.log.events[0][1]["messageId"] == "outer.a[4]:1:3"
    assert stage.log.events[0][1]["metadata"]["node"] == "a"


async def test_what_was_asked_of_sampling_is_recorded_and_what_was_not_is_left_out():
    turn = await taken(staged({"a": "x"}, request={"temperature": 0.0, "max_tokens": 5}))
    assert turn.sampling == {"temperature": 0.0, "max_tokens": 5, "seed": 1}


async def test_a_second_start_voids_what_was_shown_after_the_first():
    chunks = [
        GenerationChunk("half"),
        GenerationChunk(restarted=True),
        GenerationChunk("whole"),
        GenerationChunk(result=RESULT),
    ]
    stage = staged({}, gateway=lambda _: Chunks(*chunks))
    turn = await taken(stage)
    assert [kind for kind, _ in stage.log.events] == ["TEXT_MESSAGE_START"] * 2
    assert stage.log.events[0] == stage.log.events[1]
    assert turn.text == "an answer"


@pytest.mark.parametrize("chunks", [(), (GenerationChunk("half"),)], ids=["nothing", "half"])
async def test_a_stream_without_an_end_is_a_failed_turn(chunks: tuple[GenerationChunk, ...]):
    turn = await taken(staged({}, gateway=lambda _: Chunks(*chunks)))
    assert turn.error is not None
    assert (turn.status, turn.error.code, turn.text) == ("failed", "truncated_answer", "")


@pytest.mark.parametrize("kind", PROVIDER_ERRORS, ids=lambda kind: kind.code)
async def test_every_fault_of_a_provider_is_a_failed_turn_that_is_recorded(
    kind: type[AgentLabError],
):
    stage = staged({"a": kind("It is `so`.", hint="do that", details={"phase": "x"})})
    turn = await taken(stage)
    assert turn.error is not None
    assert turn.error.code == kind.code
    assert (turn.error.message, turn.error.hint) == ("It is `so`.", "do that")
    assert turn.error.exit_code == kind.exit_code
    assert turn.error.details == {"phase": "x"}
    assert [attempt.outcome for attempt in turn.attempts] == [kind.code]
    assert stage.turns == [turn.model_copy(update={"seq": 1})]


async def test_a_bug_of_the_gateway_is_no_turn():
    stage = staged({}, gateway=lambda _: Chunks(error=KeyError("a bug")))
    with pytest.raises(KeyError):
        await taken(stage)
    assert stage.turns == []


@pytest.mark.parametrize("text", ["half \ud800", "\udfff", "\udc80 of a name"])
async def test_halves_of_characters_become_question_marks(text: str):
    turn = await taken(staged({"a": ScriptedReply(text, reasoning=text)}))
    assert turn.text == text.encode(errors="replace").decode()
    turn.model_dump_json().encode()
    error = ProviderUnavailableError(text)
    failed = await taken(staged({"a": error}))
    assert failed.error is not None
    failed.error.message.encode()
    assert whole_characters("ñ😀\x00.") == "ñ😀."


def test_what_a_turn_changes_is_its_text_or_its_failure():
    base = {"node_id": "a", "path": "a", "role": "a", "started_at": START}
    config = planned(speaker("a")).node("a")
    spoke = Turn(**base, status="ok", text="x", model_resolved="m")
    assert said(config, spoke)["outputs"] == {"a": "x"}
    failed = Turn.model_validate(
        {**base, "status": "failed", "error": {"code": "c", "message": "m"}}
    )
    assert said(config, failed) == {"failures": {"a": failed.error}}


async def test_another_model_than_was_meant_degrades_the_text_and_says_why():
    attempts = [
        {
            "model_key": key,
            "provider": "p",
            "outcome": outcome,
            "seconds": 0.0,
            "error": error,
        }
        for key, outcome, error in (("first", "provider_unavailable", "gone"), ("own", "ok", ""))
    ]
    moved = GenerationResult.model_validate({**RESULT.model_dump(), "attempts": attempts})
    stage = staged({}, gateway=lambda _: Chunks(GenerationChunk(result=moved)))
    plan = planned(speaker("a"))
    turn = await taken(stage, plan)
    assert said(plan.node("a"), turn)["degraded"] == {
        "a": "`own` answered as `a` for `first`: gone"
    }


@pytest.mark.parametrize(
    ("deadline", "seconds", "limit"), [(5.0, 9.0, "seconds"), (None, 9.0, None), (5.0, 3.0, None)]
)
def test_a_turn_that_the_end_of_the_runs_time_cuts_off_says_so(
    deadline: float | None, seconds: float, limit: str | None
):
    stage = timed({"a": ScriptedReply(error=ProviderTimeoutError("slow"), delay_s=seconds)})
    stage = stage._replace(run=_with(stage, deadline=deadline))
    turn, _ = in_virtual_time(lambda: taken(stage))
    assert turn.error is not None
    assert turn.error.code == "provider_timeout"
    assert turn.error.details.get("limit") == limit


def _with(stage: Stage, **fields: Any) -> Any:
    return replace(stage.run, **fields)


def test_the_seconds_of_a_turn_are_those_of_the_clock():
    stage = timed({"a": slow("word", 2.5)})
    turn, _ = in_virtual_time(lambda: taken(stage))
    assert turn.seconds == 2.5


async def test_a_cancelled_turn_is_no_failed_turn():
    begun_to_speak, for_ever = asyncio.Event(), asyncio.Event()

    async def wait(seconds: float) -> None:
        begun_to_speak.set()
        await for_ever.wait()

    stage = staged(ScriptedProvider({"a": ScriptedReply("x", delay_s=1)}, sleep=wait))
    task = asyncio.create_task(taken(stage))
    await begun_to_speak.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stage.turns == []


def test_the_model_that_was_wished_is_recorded_beside_the_one_that_answered():
    def gateway(provider: ScriptedProvider) -> ProviderGateway:
        return ProviderGateway.scripted(provider, ("first", "second"))

    stage = staged({"a": "x"}, gateway=gateway, request={"models": {"a": "second"}})
    turn = asyncio.run(taken(stage))
    assert (turn.model_key, turn.model_resolved) == ("second", "second")
    stage = staged({"a": "x"}, gateway=gateway)
    turn = asyncio.run(taken(stage))
    assert (turn.model_key, turn.model_resolved) == (None, "first")
