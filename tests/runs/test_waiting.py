"""A run waits for a person in the database: for days, through any number of processes."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from agent_lab.errors import InvalidRequestError, RunStateError
from agent_lab.flows.catalogue import NodeKind
from agent_lab.flows.flow_plan import plan_flow
from agent_lab.flows.worst_case import worst_case
from agent_lab.orchestrator.flow_tester import run_flow_tests
from agent_lab.orchestrator.graph_builder import GraphBuilder
from agent_lab.runs.events import RunEvent
from tests.orchestrator.conftest import flow_of, ran, speaker, staged
from tests.runs.conftest import Place, asking, deterministic

REVIEWED = flow_of(
    speaker("draft", "Draft."),
    {"id": "review", "type": "human", "prompt_template": "Is this right?\n\n{draft_output}"},
    speaker("final", "{draft_output}\n{review_output}"),
    edges="draft-review review-final",
    name="reviewed",
    tests=(
        {
            "name": "a person speaks",
            "input": "why",
            "script": {"draft": "d", "review": "no", "final": "f"},
            "expect": {"output": "f"},
        },
    ),
)
BESIDE = flow_of(
    speaker("begin", "Begin."),
    {"id": "ana", "type": "human", "prompt_template": "Ana?"},
    {"id": "bea", "type": "human", "prompt_template": "Bea?"},
    speaker("model", "Model."),
    speaker("end", "{ana_output} {bea_output} {model_output}"),
    edges="begin-ana begin-bea begin-model ana-end bea-end model-end",
    name="beside",
)
WITHIN = flow_of(
    {"id": "inner", "type": "flow", "config": {"flow": "reviewed"}},
    speaker("last", "{inner_output}"),
    edges="inner-last",
    name="around",
)
FLOWS = {flow.name: flow for flow in (REVIEWED, BESIDE, WITHIN)}


async def test_a_run_waits_and_goes_on_with_what_the_person_says(place: Place):
    runs, provider = place.service(deterministic, FLOWS)
    record = await runs.run(asking("reviewed"))
    assert (record.status, [turn.role for turn in record.turns]) == ("waiting", ["draft"])
    [(status, worker)] = place.sql("SELECT status, worker FROM runs")
    assert (status, worker) == ("waiting", None)
    await runs.aclose()
    runs, later = place.service(deterministic, FLOWS)
    assert await runs.answer(record.id, "  No, it is wrong. ") == "review:0:0"
    record = await runs.wait(record.id)
    assert record.status == "completed"
    assert [turn.role for turn in record.turns] == ["draft", "review", "final"]
    person = record.turns[1]
    assert (person.text, person.source, person.model_resolved) == ("No, it is wrong.", "person", "")
    assert "No, it is wrong." in record.turns[2].messages[-1].content
    assert [call.role for call in (*provider.calls, *later.calls)] == ["draft", "final"]
    report = await runs.replay(record.id)
    assert (report.turns, report.differences) == (3, ())
    await runs.aclose()


async def test_whoever_watches_a_run_that_was_answered_sees_it_to_its_end(place: Place):
    runs, _ = place.service(deterministic, FLOWS)
    record = await runs.run(asking("reviewed"))
    await runs.answer(record.id, "yes")
    seen: list[RunEvent] = []
    assert (await runs.watch(record.id, seen.append)).status == "completed"
    assert seen[-1].type == "RUN_FINISHED"
    await runs.aclose()


async def test_days_of_waiting_are_no_time_of_the_run(place: Place):
    clock = datetime(2026, 1, 1, tzinfo=UTC)
    runs, _ = place.service(deterministic, FLOWS, now=lambda: clock)
    request = asking("reviewed", budget={"seconds": 100})
    record = await runs.run(request)
    await runs.aclose()
    later = clock + timedelta(days=5)
    runs, _ = place.service(deterministic, FLOWS, now=lambda: later)
    await runs.answer(record.id, "yes")
    record = await runs.wait(record.id)
    assert (record.status, record.metrics["total_time"]) == ("completed", 0.0)
    await runs.aclose()


async def test_what_is_done_beside_a_wait_is_done_and_each_is_answered_by_name(place: Place):
    runs, provider = place.service(deterministic, FLOWS)
    record = await runs.run(asking("beside"))
    assert record.status == "waiting"
    assert [call.role for call in provider.calls] == ["begin", "model"]
    with pytest.raises(RunStateError, match="`ana:0:0`, `bea:0:0`"):
        await runs.answer(record.id, "somebody speaks")
    await runs.answer(record.id, "B", turn="bea:0:0")
    assert (await runs.wait(record.id)).status == "waiting"
    await runs.answer(record.id, "A")
    record = await runs.wait(record.id)
    assert record.status == "completed"
    assert [call.role for call in provider.calls] == ["begin", "model", "end"]
    said = {turn.path: turn.text for turn in record.turns}
    assert (said["ana"], said["bea"]) == ("A", "B")
    await runs.aclose()


async def test_a_person_can_speak_within_a_flow_that_a_node_runs(place: Place):
    runs, _ = place.service(deterministic, FLOWS)
    record = await runs.run(asking("around"))
    assert record.status == "waiting"
    await runs.answer(record.id, "yes", turn="inner.review:0:0")
    assert (await runs.wait(record.id)).status == "completed"
    await runs.aclose()


async def test_a_waiting_run_is_only_gone_on_with_by_an_answer(place: Place):
    runs, provider = place.service(deterministic, FLOWS)
    record = await runs.run(asking("reviewed"))
    with pytest.raises(RunStateError, match=r"waits for `review:0:0`"):
        await runs.resume(record.id)
    with pytest.raises(InvalidRequestError, match="empty"):
        await runs.answer(record.id, "  ")
    await runs.take_up()
    assert len(provider.calls) == 1
    assert (await runs.cancel(record.id)).status == "cancelled"
    with pytest.raises(RunStateError, match="waits for nobody"):
        await runs.answer(record.id, "too late")
    await runs.aclose()


async def test_two_answers_at_once_are_one(place: Place):
    runs, provider = place.service(deterministic, FLOWS)
    record = await runs.run(asking("reviewed"))
    said = (runs.answer(record.id, text) for text in ("yes", "no"))
    results = await asyncio.gather(*said, return_exceptions=True)
    assert sum(isinstance(result, RunStateError) for result in results) == 1
    assert (await runs.wait(record.id)).status == "completed"
    assert [call.role for call in provider.calls].count("final") == 1
    await runs.aclose()


async def test_in_a_flows_own_tests_the_script_speaks_for_people():
    report = await run_flow_tests(REVIEWED)
    assert report.failed == 0
    assert report.node_coverage == 1.0


async def test_a_run_that_nobody_keeps_cannot_wait():
    with pytest.raises(Exception, match="a run that nobody keeps cannot wait"):
        await ran(REVIEWED, staged(lambda call: "x"))


def test_a_person_costs_no_call_of_a_model():
    catalogue = GraphBuilder(flows=FLOWS).catalogue()
    assert worst_case(plan_flow(REVIEWED), catalogue).calls == 2
    assert isinstance(catalogue.kinds["human"], NodeKind)
