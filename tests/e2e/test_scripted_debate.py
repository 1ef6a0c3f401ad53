"""A whole challenge debate on scripted turns: the first lab's defects, one test each."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent_lab.config import Settings
from agent_lab.contracts import Attachment, RunRecord, RunRequest
from agent_lab.errors import (
    InvalidRequestError,
    ProviderUnavailableError,
    RunFailedError,
    StorageError,
    UnknownFlowError,
    UnknownModelError,
    UnknownRoleError,
    UnknownStrategyError,
)
from agent_lab.flows.graph_configs import FlowConfig, get_flow_config
from agent_lab.lab import Lab, arun_orchestrator, build, run_orchestrator
from agent_lab.providers.local.scripted_provider import ScriptedProvider, ScriptedReply
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.runs.events import RunEvent
from agent_lab.runs.service import RunService
from tests.conftest import service_of

TASK = "Compute the mean of {a: 1} & <creator_output>?"


async def debate(lab: Lab, **options) -> RunRecord:
    return await lab.runs.run(RunRequest.parse({"flow": "challenge", "input": TASK, **options}))


def prompts(record: RunRecord) -> dict[str, str]:
    return {turn.role: turn.messages[-1].content for turn in record.turns}


def lab_for(settings: Settings, script, flow: FlowConfig | None = None) -> Lab:
    gateway = ProviderGateway.scripted(script, ("first", "second", "third"))
    lab = build(settings, gateway=gateway)
    if flow is None:
        return lab
    runs = service_of(gateway, {flow.name: flow}, settings.outputs_dir)
    return Lab(gateway, {flow.name: flow}, runs)


async def test_row_1_the_refiner_has_the_creators_output(scripted_lab: Lab):
    record = await debate(scripted_lab)
    assert "the draft" in prompts(record)["refiner"]
    assert record.output == "the final answer"


async def test_row_2_every_role_is_sent_what_it_needs(scripted_lab: Lab):
    record = await debate(scripted_lab)
    sent = prompts(record)
    assert [turn.role for turn in record.turns] == ["creator", "challenger", "refiner"]
    for prompt in sent.values():
        assert prompt.startswith(f"# Task\n\n{TASK}\n\n")
    assert "the draft" not in sent["creator"]
    assert "the draft" in sent["challenger"]
    assert "the critique" not in sent["challenger"]
    assert sent["refiner"].index("the draft") < sent["refiner"].index("the critique")


async def test_row_3_three_roles_reach_the_provider_with_three_models_and_temperatures(
    scripted_lab: Lab, scripted: ScriptedProvider
):
    record = await debate(
        scripted_lab, models={"creator": "second", "challenger": "third", "refiner": "first"}
    )
    asked = [(call.model.key, call.params["temperature"]) for call in scripted.calls]
    flow = get_flow_config("challenge")
    temperatures = [node.temperature for node in flow.nodes]
    assert len(set(temperatures)) == 3
    assert asked == list(zip(["second", "third", "first"], temperatures, strict=True))
    assert [turn.model_resolved for turn in record.turns] == ["second", "third", "first"]


async def test_row_3_a_flows_own_models_and_strategies_are_honoured(settings: Settings):
    provider = ScriptedProvider(lambda call: f"{call.role} speaks")
    flow = get_flow_config("challenge")
    nodes = tuple(
        node.model_copy(update={"model": key, "strategy": strategy, "temperature": None})
        for node, key, strategy in zip(
            flow.nodes, ("third", "first", "second"), ("creative", "precise", "greedy"), strict=True
        )
    )
    lab = lab_for(settings, provider, flow.model_copy(update={"nodes": nodes}))
    record = await debate(lab, model="first", models={"refiner": "third"})
    assert [call.model.key for call in provider.calls] == ["third", "first", "third"]
    assert [call.params["temperature"] for call in provider.calls] == [1.0, 0.2, 0.0]
    assert [turn.strategy for turn in record.turns] == ["creative", "precise", "greedy"]


async def test_the_callers_sampling_goes_before_the_flows(
    scripted_lab: Lab, scripted: ScriptedProvider
):
    record = await debate(
        scripted_lab, temperature=0.0, max_tokens=7, seed=11, strategy="creative", model="second"
    )
    for call in scripted.calls:
        assert call.model.key == "second"
        assert call.params["temperature"] == 0.0
        assert call.params["max_tokens"] == 7
        assert call.params["seed"] == 11
        assert call.params["top_k"] == 80
    assert record.seed == 11
    assert record.options["max_tokens"] == 7


async def test_row_8_runs_of_one_second_have_ids_and_records_of_their_own(settings: Settings):
    one_second = datetime(2026, 1, 1, tzinfo=UTC)
    gateway = ProviderGateway.scripted(lambda call: "x")
    flows = {"challenge": get_flow_config("challenge")}
    runs = service_of(gateway, flows, settings.outputs_dir, now=lambda: one_second)
    request = RunRequest(flow="challenge", input="x")
    records = [record for _ in range(10) for record in await _many(runs, request, 100)]
    assert len({record.id for record in records}) == 1000
    assert len(list(settings.outputs_dir.rglob("*.json"))) == 1000


async def _many(runs: RunService, request: RunRequest, count: int) -> list[RunRecord]:
    return list(await asyncio.gather(*(runs.run(request) for _ in range(count))))


async def test_row_11_braces_of_tasks_and_answers_are_never_evaluated(settings: Settings):
    hostile = '{"a": 1} {x.__class__} {creator_output} {{user_input}}'
    lab = lab_for(settings, {"creator": hostile, "challenger": hostile, "refiner": "done"})
    record = await lab.runs.run(RunRequest(flow="challenge", input=hostile))
    for prompt in prompts(record).values():
        assert f"# Task\n\n{hostile}\n\n" in prompt
    assert prompts(record)["refiner"].count(hostile) == 3


async def test_the_saved_file_is_the_record_with_the_first_labs_keys(
    scripted_lab: Lab, settings: Settings
):
    record = await debate(scripted_lab)
    path = settings.outputs_dir / "challenge_flows" / f"{record.id}.json"
    saved = json.loads(path.read_text("utf-8"))
    first_lab = {
        name: saved.pop(name)
        for name in (
            "execution_id",
            "flow_type",
            "timestamp",
            "user_input",
            "nodes",
            "final_output",
        )
    }
    assert RunRecord.model_validate(saved) == record
    assert first_lab["execution_id"] == record.id
    assert first_lab["final_output"] == "the final answer"
    assert set(first_lab["nodes"]) == {"creator", "challenger", "refiner"}
    assert path.stat().st_mode & 0o777 == 0o600


async def test_attachments_stand_in_the_head_that_all_roles_share(scripted_lab: Lab):
    record = await debate(scripted_lab, attachments=[Attachment(name="notes.md", text="the notes")])
    sent = list(prompts(record).values())
    head = sent[0][: sent[0].index("</attachment>")]
    assert "notes.md" in head
    assert "the notes" in head
    assert all(prompt.startswith(head) for prompt in sent)


async def test_spanish_questions_get_spanish_prompts(scripted_lab: Lab):
    record = await scripted_lab.runs.run(
        RunRequest(flow="challenge", input="¿Qué base de datos conviene a una tienda pequeña?")
    )
    assert record.lang == "es"
    assert all(prompt.startswith("# Tarea\n\n") for prompt in prompts(record).values())


async def test_the_language_can_be_chosen(scripted_lab: Lab):
    record = await debate(scripted_lab, lang="es")
    assert prompts(record)["creator"].startswith("# Tarea")


async def test_a_failed_critique_degrades_the_run_and_the_refiner_is_told(settings: Settings):
    failure = ProviderUnavailableError("`first` is gone.")
    lab = lab_for(settings, {"creator": "draft", "challenger": failure, "refiner": "final"})
    record = await debate(lab)
    assert record.status == "completed"
    assert record.output == "final"
    assert record.degraded == ("`challenger` failed: `first` is gone.",)
    assert "gave no answer" in prompts(record)["refiner"]
    failed = record.turns[1]
    assert failed.status == "failed"
    assert failed.error is not None
    assert failed.error.code == "provider_unavailable"
    assert [attempt.outcome for attempt in failed.attempts] == ["provider_unavailable"]


async def test_a_failed_refiner_leaves_the_draft_as_the_answer(settings: Settings):
    lab = lab_for(settings, {"creator": "draft", "challenger": "bad", "refiner": OSError("cut")})
    record = await debate(lab)
    assert record.output == "draft"
    assert record.degraded[-1] == "The answer is the text of `creator`."


async def test_without_a_draft_nobody_else_is_asked(settings: Settings):
    provider = ScriptedProvider({"creator": OSError("no route")})
    record = await debate(lab_for(settings, provider))
    assert record.status == "failed"
    assert len(provider.calls) == 1
    assert record.error is not None
    assert record.error.exit_code == 5
    assert "no route" in record.error.message


async def test_an_answer_without_text_is_a_failure(settings: Settings):
    record = await debate(lab_for(settings, {"creator": ScriptedReply("  ", finish_reason="stop")}))
    assert record.error is not None
    assert record.error.code == "truncated_answer"


async def test_reasoning_is_kept_and_shown_to_nobody(settings: Settings):
    draft = ScriptedReply("draft", reasoning="a secret thought")
    lab = lab_for(settings, {"creator": draft, "challenger": "bad", "refiner": "final"})
    record = await debate(lab)
    assert record.turns[0].reasoning == "a secret thought"
    assert "a secret thought" not in "".join(prompts(record).values())


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"flow": "multi"}, UnknownFlowError),
        ({"model": "gpt"}, UnknownModelError),
        ({"models": {"creator": "gpt"}}, UnknownModelError),
        ({"models": {"critic": "first"}}, UnknownRoleError),
        ({"strategy": "fast"}, UnknownStrategyError),
        ({"input": " \n"}, InvalidRequestError),
    ],
)
async def test_wrong_requests_are_refused_before_anything_is_asked_or_written(
    scripted_lab: Lab, scripted: ScriptedProvider, settings: Settings, fields, error
):
    with pytest.raises(error):
        await debate(scripted_lab, **fields)
    assert scripted.calls == []
    assert not settings.outputs_dir.exists()


async def test_a_folder_that_cannot_be_written_is_found_before_anything_is_asked(
    settings: Settings, tmp_path: Path, scripted: ScriptedProvider
):
    (tmp_path / "file").write_text("", "utf-8")
    blocked = settings.model_copy(update={"outputs_dir": tmp_path / "file" / "outputs"})
    lab = build(blocked, gateway=ProviderGateway.scripted(scripted))
    with pytest.raises(StorageError, match="cannot be written"):
        await debate(lab)
    assert scripted.calls == []


async def test_a_cancelled_run_keeps_its_finished_turns(settings: Settings):
    second_turn = asyncio.Event()
    for_ever = asyncio.Event()

    async def sleep(seconds: float) -> None:
        if seconds:
            second_turn.set()
            await for_ever.wait()

    slow = ScriptedReply("slow", delay_s=1)
    provider = ScriptedProvider({"creator": "draft", "challenger": slow}, sleep=sleep)
    lab = lab_for(settings, provider)
    running = asyncio.create_task(debate(lab))
    await second_turn.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    [path] = settings.outputs_dir.rglob("*.json")
    saved = json.loads(path.read_text("utf-8"))
    assert saved["status"] == "cancelled"
    assert [turn["text"] for turn in saved["turns"]] == ["draft"]


async def test_the_log_tells_the_run_in_ag_uis_event_types(scripted_lab: Lab):
    seen: list[RunEvent] = []
    await scripted_lab.runs.run(RunRequest(flow="challenge", input=TASK), seen.append)
    log = [event for event in seen if event.seq is not None]
    turn = ["STEP_STARTED", "TEXT_MESSAGE_START", "TEXT_MESSAGE_END", "STEP_FINISHED"]
    assert [event.type for event in log] == ["RUN_STARTED", *turn * 3, "RUN_FINISHED"]
    assert [event.seq for event in log] == list(range(1, len(log) + 1))
    deltas = [event for event in seen if event.seq is None]
    assert "".join(event.payload["delta"] for event in deltas) == (
        "the draftthe critiquethe final answer"
    )


def test_run_orchestrator_runs_a_flow_without_a_loop(
    settings: Settings, scripted: ScriptedProvider
):
    record = run_orchestrator(TASK, gateway=ProviderGateway.scripted(scripted), settings=settings)
    assert record.output == "the final answer"


async def test_run_orchestrator_says_what_to_do_inside_a_loop(settings: Settings):
    with pytest.raises(Exception, match="running event loop") as raised:
        run_orchestrator(TASK, settings=settings)
    assert "arun_orchestrator" in raised.value.hint  # type: ignore[attr-defined]


async def test_a_failed_run_raises_and_names_its_record(settings: Settings):
    gateway = ProviderGateway.scripted({"creator": OSError("gone")})
    with pytest.raises(RunFailedError, match="gone") as raised:
        await arun_orchestrator(TASK, gateway=gateway, settings=settings)
    saved = settings.outputs_dir / "challenge_flows" / f"{raised.value.details['run_id']}.json"
    assert json.loads(saved.read_text("utf-8"))["status"] == "failed"
