"""Votes, ballots and baselines over HTTP."""

from collections.abc import Mapping
from typing import Any

import pytest
from ag_ui.core import events as ag_ui
from pydantic import TypeAdapter

from agent_lab.api.wire.events import RunFinished, RunStreamEvent, StepFinished
from agent_lab.api.wire.orchestrate import OrchestrateResponse
from agent_lab.contracts import RunRecord
from agent_lab.providers.local.scripted_provider import Reply
from tests.api.conftest import Serve, events_of

COUNTED, WRONG = "I count them.\nANSWER: 42", "6 × 7 = 41.\nANSWER: 41"
SUPPORTED = 'CHANGED "6 × 7 = 41": 6 × 7 is 42, as 36 and 6 more\nANSWER: 42'
BODY = {"prompt": "How many apples are 6 bags of 7 apples?", "flow_type": "debate"}
ag_ui_event: TypeAdapter[object] = TypeAdapter(ag_ui.Event)


def debate() -> Mapping[str, Reply | list[Reply]]:
    """Three debaters, one of whom changes its answer with a reason."""
    return {
        "debater_a": [COUNTED, COUNTED],
        "debater_b": [WRONG, SUPPORTED],
        "debater_c": ["Who knows?", "ANSWER: 43"],
        "solver": COUNTED,
    }


async def test_an_answer_has_every_count_and_every_ballot(serve: Serve):
    async with serve(debate()) as served:
        status, body = await served.post("/api/orchestrate", BODY)
        _, record = await served.get(f"/api/runs/{body['id']}")
    assert status == 200
    answer = OrchestrateResponse.model_validate(body)
    assert [(vote.node, vote.round) for vote in answer.votes] == [("gate", 0), ("vote", 1)]
    blind, last = answer.votes
    assert blind.tally.invalid == {"debater_c": "unreadable"}
    assert last.tally.winner == "42"
    assert last.decision is not None
    [flip] = last.decision.flips
    assert (flip.member, flip.from_key, flip.to_key, flip.supported) == (
        "debater_b",
        "41",
        "42",
        True,
    )
    assert [(ballot.node, ballot.voter) for ballot in answer.ballots] == [
        ("gate", "debater_a"),
        ("gate", "debater_b"),
        ("vote", "debater_a"),
        ("vote", "debater_b"),
        ("vote", "debater_c"),
    ]
    assert body["ballots"] == record["ballots"]
    assert answer.baseline is None
    assert answer.model == "first"


async def test_an_answer_without_a_vote_has_none(serve: Serve):
    async with serve(lambda call: "An answer.") as served:
        _, body = await served.post("/api/orchestrate", {"prompt": "Why?"})
    assert (body["votes"], body["ballots"], body["baseline"]) == ([], [], None)


async def test_a_baseline_is_told_in_the_answer_and_in_the_record(serve: Serve):
    body = {**BODY, "baseline": "self_consistency"}
    async with serve(debate()) as served:
        _, told = await served.post("/api/orchestrate", body)
        _, shown = await served.get(f"/api/runs/{told['id']}")
    answer, record = OrchestrateResponse.model_validate(told), RunRecord.model_validate(shown)
    assert answer.baseline is not None
    assert (answer.baseline.winner, answer.baseline.agrees, answer.baseline.lift) == (
        "42",
        True,
        None,
    )
    assert [vote.node for vote in answer.votes] == ["gate", "vote"]
    assert set(answer.metrics.workers_executed) <= {node.id for node in answer.flow.nodes}
    spent = answer.baseline.usage.completion_tokens + answer.baseline.run_usage.completion_tokens
    assert answer.usage.completion_tokens == spent
    assert record.baseline == told["baseline"]


async def test_a_stream_has_each_count_in_its_step_and_the_same_answer_at_its_end(serve: Serve):
    body = {**BODY, "stream": True, "baseline": "self_consistency"}
    async with (
        serve(debate()) as served,
        served.http.post("/api/orchestrate", json=body) as response,
    ):
        data = [event for _, event in await events_of(response)]
    for event in data:
        ag_ui_event.validate_python(event)
    events = [RunStreamEvent.validate_python(event) for event in data]
    votes = [
        (event.step.path, event.step.vote.tally.method)
        for event in events
        if isinstance(event, StepFinished) and event.step.vote is not None
    ]
    counted = ["gate", "vote", "@baseline.vote"]
    assert votes == [(path, "plurality") for path in counted]
    last = events[-1]
    assert isinstance(last, RunFinished)
    assert last.answer is not None
    assert last.result.baseline == last.answer.baseline
    assert [vote.node for vote in last.answer.votes] == ["gate", "vote"]


@pytest.mark.parametrize("path", ["/api/orchestrate", "/api/runs"])
@pytest.mark.parametrize("wish", [{"baseline": "the best"}, {"cache": "maybe"}])
async def test_another_baseline_or_cache_is_refused(serve: Serve, path: str, wish: Any):
    asked = {"prompt": "Why?"} if path == "/api/orchestrate" else {"flow": "single", "input": "x"}
    async with serve(debate()) as served:
        status, body = await served.post(path, {**asked, **wish})
    assert status == 422
    assert f"`{next(iter(wish))}`" in body["error"]["message"]


async def test_the_kinds_of_answers_are_described_down_to_their_fields(serve: Serve):
    async with serve(debate()) as served:
        _, described = await served.get("/openapi.json")
    schemas = described["components"]["schemas"]
    fields = schemas["OrchestrateResponse"]["properties"]
    assert fields["votes"]["items"] == {"$ref": "#/components/schemas/Vote"}
    assert fields["ballots"]["items"] == {"$ref": "#/components/schemas/CountedBallot"}
    assert fields["baseline"]["anyOf"][0] == {"$ref": "#/components/schemas/Baseline"}
    assert schemas["FinishedStep"]["properties"]["vote"]["anyOf"][0] == {
        "$ref": "#/components/schemas/Vote"
    }
    for name in ("Vote", "Tally", "CountedBallot", "Decision", "Flip", "Baseline"):
        assert schemas[name]["properties"]
    for request in ("OrchestrateRequest", "StartRequest"):
        assert {"baseline", "cache"} <= set(schemas[request]["properties"])
