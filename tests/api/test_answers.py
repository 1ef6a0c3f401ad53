"""`POST /api/runs/{id}/answer`: a run that waits for a person goes on with what they say."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent_lab.api.wire.events import RunStreamEvent
from agent_lab.config import Settings
from agent_lab.lab import build
from agent_lab.providers.provider_gateway import ProviderGateway
from tests.api.conftest import LONGEST_WAIT_S, Serve, Served, each_event
from tests.runs.test_waiting import BESIDE, REVIEWED


@pytest.fixture
async def served(serve: Serve, settings: Settings) -> AsyncIterator[Served]:
    gateway = ProviderGateway.scripted(lambda call: f"{call.role} speaks")
    flows = {flow.name: flow for flow in (REVIEWED, BESIDE)}
    async with serve(lab=build(settings, gateway=gateway, flows=flows)) as running:
        yield running


async def waiting(served: Served, flow: str) -> Any:
    """A run that waits for somebody."""
    status, record = await served.post("/api/runs", {"flow": flow, "input": "Why?"})
    assert (status, record["status"]) == (200, "waiting")
    return record


async def test_an_answer_goes_on_with_the_run(served: Served):
    record = await waiting(served, "reviewed")
    path = f"/api/runs/{record['id']}"
    status, answered = await served.post(f"{path}/answer", {"text": "No."})
    assert (status, answered["id"]) == (202, record["id"])
    await served.watch(record["id"])
    _, ended = await served.get(path)
    assert ended["status"] == "completed"
    assert [(turn["role"], turn["source"]) for turn in ended["turns"]] == [
        ("draft", "scripted"),
        ("review", "person"),
        ("final", "scripted"),
    ]


async def test_who_watches_is_told_that_the_run_waits_and_for_what(served: Served):
    record = await waiting(served, "reviewed")
    seen = []
    path = f"/api/runs/{record['id']}/events"
    async with asyncio.timeout(LONGEST_WAIT_S), served.http.get(path) as response:
        async for _, data in each_event(response):
            RunStreamEvent.validate_python(data)
            seen.append(data)
            if data.get("activityType") == "lab.run_waiting":
                break
        response.close()
    assert seen[-1]["content"] == {"turns": ["review:0:0"]}
    [asked] = [e for e in seen if e["type"] == "TEXT_MESSAGE_START" and e["name"] == "review"]
    assert "Is this right?" in asked["metadata"]["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"text": "who?"}, 409, "run_state"),
        ({"text": "x", "turn": "model:0:0"}, 409, "run_state"),
        ({"text": "  "}, 422, "invalid_request"),
        ({}, 422, "invalid_request"),
    ],
)
async def test_what_cannot_be_an_answer_is_refused(
    served: Served, body: dict[str, str], status: int, code: str
):
    record = await waiting(served, "beside")
    refused, answer = await served.post(f"/api/runs/{record['id']}/answer", body)
    assert (refused, answer["error"]["code"]) == (status, code)


async def test_nobody_answers_a_run_that_there_is_not(served: Served):
    status, answer = await served.post("/api/runs/01M8CPYR2B6AAD5EEXSY8QVV3A/answer", {"text": "x"})
    assert (status, answer["error"]["code"]) == (404, "unknown_run")
