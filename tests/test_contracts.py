import inspect
from datetime import UTC, datetime
from typing import Any

import pydantic
import pytest

from agent_lab import contracts
from agent_lab.contracts import (
    Constraints,
    Contract,
    ErrorInfo,
    GenerationRequest,
    GenerationResult,
    Message,
    Request,
    RequestContext,
    RunRecord,
    RunRequest,
    Timings,
    Turn,
    Usage,
)
from agent_lab.errors import InvalidRequestError

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
TURN = Turn(node_id="creator", path="creator", role="creator", status="ok", started_at=NOW)
RECORD = RunRecord(
    id="01JB0000000000000000000000",
    flow="challenge",
    flow_version="0" * 16,
    status="completed",
    created_at=NOW,
    input="Say ¡hola!",
    lang="es",
    seed=7,
    turns=(TURN,),
)
RESULT = GenerationResult(
    text="4",
    source="local",
    model_resolved="smollm2-135m",
    strategy="optimized",
    finish_reason="stop",
)
EXAMPLES: list[Contract] = [
    Message(role="user", content="hi"),
    RequestContext(),
    Constraints(),
    GenerationRequest(prompt="hi"),
    Usage(),
    Timings(),
    RESULT,
    ErrorInfo(code="x", message="y"),
    TURN,
    RunRequest(flow="challenge", input="hi"),
    RECORD,
]
CONTRACTS = [
    cls
    for _, cls in inspect.getmembers(contracts, inspect.isclass)
    if issubclass(cls, Contract) and cls not in {Contract, Request}
]

# design.md, section Contracts, name by name.
RUN_RECORD_FIELDS = """id parent owner flow flow_version status created_at started_at ended_at
input lang seed options output summary stop_reason degraded turns issues ballots usage metrics
baseline receipt"""
TURN_FIELDS = """seq node_id path role round sample visit retry from_run status model_key
model_resolved strategy source messages text reasoning finish_reason prompt_tokens cached_tokens
completion_tokens cost_usd started_at seconds timings cache_hit model_warm attempts fallback_from
dropped_params context_cut error"""
GENERATION_REQUEST_FIELDS = """prompt model_key strategy max_tokens temperature task_type context
constraints messages stop seed response_schema deadline data_policy"""
GENERATION_RESULT_FIELDS = """text reasoning tokens_generated timings usage source cache_hit
model_warm model_resolved finish_reason attempts dropped_params"""
RUN_REQUEST_FIELDS = "flow input model models strategy max_tokens temperature seed lang"


def class_name(thing: object) -> str:
    return (thing if isinstance(thing, type) else type(thing)).__name__


@pytest.mark.parametrize(
    ("cls", "names"),
    [
        (RunRecord, RUN_RECORD_FIELDS),
        (Turn, TURN_FIELDS),
        (GenerationRequest, GENERATION_REQUEST_FIELDS),
        (GenerationResult, GENERATION_RESULT_FIELDS),
        (RequestContext, "history system tools"),
        (
            Constraints,
            "vram_gb max_tokens latency_budget_s cost_budget_usd distinct_from",
        ),
        (Timings, "queue load_time prefill decode inference_time total"),
        (Usage, "prompt_tokens cached_tokens completion_tokens reasoning_tokens cost_usd"),
        (RunRequest, RUN_REQUEST_FIELDS),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_every_designed_field_exists_under_its_name(cls: type[Contract], names: str):
    assert set(names.split()) - set(cls.model_fields) == set()


@pytest.mark.parametrize(
    "status", ["queued", "running", "waiting", "completed", "failed", "cancelled"]
)
def test_a_run_can_have_every_designed_status(status: str):
    fields = RECORD.model_dump() | {"status": status}
    assert RunRecord.model_validate(fields).status == status


def test_a_run_can_have_no_other_status():
    with pytest.raises(pydantic.ValidationError, match="status"):
        RunRecord.model_validate(RECORD.model_dump() | {"status": "done"})


@pytest.mark.parametrize("example", EXAMPLES, ids=class_name)
def test_no_field_of_a_contract_can_be_changed(example: Contract):
    for name in type(example).model_fields:
        with pytest.raises(pydantic.ValidationError, match="frozen"):
            setattr(example, name, None)


@pytest.mark.parametrize("cls", CONTRACTS, ids=class_name)
def test_every_contract_refuses_an_unknown_field(cls: type[Contract]):
    with pytest.raises(pydantic.ValidationError) as caught:
        cls.model_validate({"surprise": 1})
    assert ("surprise",) in {e["loc"] for e in caught.value.errors() if e["type"] == _UNKNOWN}


_UNKNOWN = "extra_forbidden"


@pytest.mark.parametrize("example", EXAMPLES, ids=class_name)
def test_a_contract_survives_json_unchanged(example: Contract):
    assert type(example).model_validate_json(example.model_dump_json()) == example


def test_records_share_no_mutable_default():
    first, second = (RunRecord.model_validate(RECORD.model_dump(exclude_unset=True)) for _ in "12")
    first.options["temperature"] = 0.1
    assert second.options == {}


def test_what_nobody_measured_is_none_and_not_a_number():
    assert (Usage().cost_usd, Timings().prefill, Timings().decode) == (None, None, None)
    assert (TURN.cost_usd, TURN.model_warm, RESULT.model_warm) == (None, None, None)


@pytest.mark.parametrize(
    ("seed_name", "name"),
    [
        ("vram", "vram_gb"),
        ("latency_budget", "latency_budget_s"),
        ("cost_budget", "cost_budget_usd"),
    ],
)
def test_constraints_take_the_first_labs_names_and_ours(seed_name: str, name: str):
    by_seed_name = Constraints.model_validate({seed_name: 1.5})
    assert getattr(by_seed_name, name) == 1.5
    assert by_seed_name == Constraints.model_validate({name: 1.5})


@pytest.mark.parametrize(
    ("cls", "fields", "wrong"),
    [
        (RunRequest, {"flow": "challenge", "input": "hi", "temprature": 1}, "temprature"),
        (RunRequest, {"flow": "challenge", "input": "hi", "temperature": 3}, "temperature"),
        (RunRequest, {"flow": "challenge", "input": "hi", "max_tokens": 0}, "max_tokens"),
        (RunRequest, {"flow": "challenge", "input": "hi", "lang": "fr"}, "lang"),
        (RunRequest, {"flow": "challenge", "input": "hi", "seed": -1}, "seed"),
        (RunRequest, {"flow": "challenge"}, "input"),
        (RunRequest, {"input": "hi"}, "flow"),
        (GenerationRequest, {"prompt": 1}, "prompt"),
        (GenerationRequest, {"top_p": 0}, "top_p"),
        (GenerationRequest, {"constraints": {"vram_gb": 0}}, "constraints.vram"),
        (GenerationRequest, {"context": {"history": [{"role": "x"}]}}, "context.history.0.role"),
    ],
)
def test_parse_names_the_wrong_field_and_the_allowed_ones(
    cls: type[Request], fields: dict[str, Any], wrong: str
):
    with pytest.raises(InvalidRequestError) as caught:
        cls.parse(fields)
    assert f"`{wrong}" in caught.value.message
    assert set(cls.model_fields) <= set(caught.value.hint.replace(",", "").split())


def test_parse_names_every_wrong_field_at_once():
    with pytest.raises(InvalidRequestError, match=r"`temperature`.*`lang`.*`surprise`"):
        RunRequest.parse({"flow": "f", "input": "i", "temperature": 9, "lang": "fr", "surprise": 1})


def test_parse_does_not_repeat_what_it_was_given():
    with pytest.raises(InvalidRequestError) as caught:
        GenerationRequest.parse({"prompt": ["canary-8f31"], "max_tokens": "canary-8f31"})
    assert "canary-8f31" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"


def test_parse_builds_the_request_from_right_fields():
    request = RunRequest.parse({"flow": "challenge", "input": "hi", "models": {"creator": "m"}})
    assert request == RunRequest(flow="challenge", input="hi", models={"creator": "m"})
