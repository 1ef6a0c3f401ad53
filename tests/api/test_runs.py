"""`/api/runs`: runs that go on without their callers are started, listed, stopped and resumed."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from agent_lab.config import Settings
from agent_lab.contracts import RunRecord
from agent_lab.errors import ProviderUnavailableError
from agent_lab.lab import build
from agent_lab.providers.local.scripted_provider import Reply, ScriptedProvider
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.runs.listing import RunPage
from tests.api.conftest import DEBATE, LONGEST_WAIT_S, Clockwork, Serve, Served, slow

NOBODY = "01K9ZB4Q8T6X3N5V7W2Y1M0R4C"
PLAIN = {"flow": "challenge", "input": "Why?"}
BACKGROUND = {**PLAIN, "background": True}
STUCK: Mapping[str, Reply] = {**DEBATE, "challenger": slow("one issue")}
"""A debate whose second turn waits for the test."""


def roles(provider: ScriptedProvider) -> list[str]:
    return [call.role for call in provider.calls]


async def test_a_run_in_the_background_is_answered_at_once_and_goes_on(serve: Serve):
    clock = Clockwork()
    async with serve(ScriptedProvider(STUCK, sleep=clock.sleep)) as served:
        async with served.http.post("/api/runs", json=BACKGROUND) as response:
            assert response.status == 202
            place = response.headers["location"]
            begun = RunRecord.model_validate(await response.json())
        assert place == f"/api/runs/{begun.id}"
        assert begun.status == "running"
        await clock.begun.wait()
        _, running = await served.get(place)
        assert [turn["role"] for turn in running["turns"]] == ["creator"]
        clock.go_on.set()
        await served.watch(begun.id)
        status, ended = await served.get(place)
    assert status == 200
    assert RunRecord.model_validate(ended).status == "completed"
    assert ended["output"] == "the final answer"


async def test_without_background_the_answer_is_the_whole_record(served: Served):
    status, answer = await served.post("/api/runs", {**PLAIN, "seed": 7, "lang": "es"})
    assert status == 200
    record = RunRecord.model_validate(answer)
    assert (record.status, record.output) == ("completed", "the final answer")
    assert (record.seed, record.lang, len(record.turns)) == (7, "es", 3)
    assert (await served.get(f"/api/runs/{record.id}"))[1] == answer


async def test_a_failed_run_is_a_record_that_says_so(serve: Serve):
    script: dict[str, Any] = {**DEBATE, "creator": ProviderUnavailableError("The model is gone.")}
    async with serve(script) as served:
        status, answer = await served.post("/api/runs", PLAIN)
    assert status == 200
    assert (answer["status"], answer["error"]["code"]) == ("failed", "provider_unavailable")


async def test_leaving_stops_a_run_that_is_not_in_the_background(serve: Serve):
    clock = Clockwork()
    provider = ScriptedProvider(STUCK, sleep=clock.sleep)
    async with serve(provider) as served, asyncio.timeout(LONGEST_WAIT_S):
        asking = asyncio.create_task(served.post("/api/runs", PLAIN))
        await clock.begun.wait()
        asking.cancel()
        await clock.cancelled.wait()
        _, page = await served.get("/api/runs")
        await served.watch(page["runs"][0]["id"])
        _, page = await served.get("/api/runs")
    assert [run["status"] for run in page["runs"]] == ["cancelled"]
    assert roles(provider) == ["creator", "challenger"]


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"flow": "nope"}, 400, "unknown_flow"),
        ({"models": {"judge": "first"}}, 400, "unknown_role"),
        ({"inputs": {"rounds": 0}}, 422, "invalid_request"),
        ({"input": " "}, 422, "invalid_request"),
        ({"prompt": "x"}, 422, "invalid_request"),
        ({"background": "yes"}, 422, "invalid_request"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
@pytest.mark.parametrize("background", [True, False], ids=["background", "bound"])
async def test_what_cannot_be_run_is_said_at_once_and_kept_nowhere(
    served: Served, wrong: dict[str, Any], status: int, code: str, background: bool
):
    answered, answer = await served.post("/api/runs", {**PLAIN, "background": background, **wrong})
    assert (answered, answer["error"]["code"]) == (status, code)
    assert (await served.get("/api/runs"))[1]["runs"] == []


@pytest.mark.parametrize("run_id", [NOBODY, "1", NOBODY.lower(), f"{NOBODY}0", "%00"])
async def test_a_run_that_is_not_there_is_a_404(served: Served, run_id: str):
    for path in (f"/api/runs/{run_id}", f"/api/runs/{run_id}/events"):
        status, answer = await served.get(path)
        assert (status, answer["error"]["code"]) == (404, "unknown_run")
    for verb in ("cancel", "resume"):
        status, answer = await served.post(f"/api/runs/{run_id}/{verb}", {})
        assert (status, answer["error"]["code"]) == (404, "unknown_run")


@pytest.mark.parametrize("verb", ["cancel", "resume"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_no_page_in_a_browser_can_stop_or_resume_a_run(served: Served, verb: str, kind: str):
    _, run = await served.post("/api/runs", PLAIN)
    path, headers = f"/api/runs/{run['id']}/{verb}", {"content-type": kind}
    async with served.http.post(path, data=b"{}", headers=headers) as response:
        assert response.status == 415


async def test_a_stopped_run_keeps_its_turns_and_goes_on_where_it_was(serve: Serve):
    clock = Clockwork()
    provider = ScriptedProvider(STUCK, sleep=clock.sleep)
    async with serve(provider) as served:
        run_id = await served.start()
        await clock.begun.wait()
        status, stopped = await served.post(f"/api/runs/{run_id}/cancel", {})
        assert (status, stopped["status"]) == (200, "cancelled")
        assert [turn["role"] for turn in stopped["turns"]] == ["creator"]
        assert (await served.post(f"/api/runs/{run_id}/cancel", {}))[0] == 200
        clock.go_on.set()
        async with served.http.post(f"/api/runs/{run_id}/resume", json={}) as response:
            assert response.status == 202
            assert response.headers["location"] == f"/api/runs/{run_id}"
            assert (await response.json())["status"] in ("queued", "running", "completed")
        events = await served.watch(run_id)
        _, ended = await served.get(f"/api/runs/{run_id}")
    assert (ended["status"], ended["output"]) == ("completed", "the final answer")
    # The one that was stopped in its middle is asked again; what was finished is not.
    assert roles(provider) == ["creator", "challenger", "challenger", "refiner"]
    kinds = [data["type"] for _, data in events]
    assert kinds.count("RUN_ERROR") == 0
    resumed = [data for _, data in events if data["type"] == "ACTIVITY_SNAPSHOT"]
    assert [data["activityType"] for data in resumed] == ["lab.run_resumed"]
    assert resumed[0]["content"] == {"turns": 1}


async def test_what_has_ended_can_be_neither_stopped_nor_resumed(served: Served):
    _, run = await served.post("/api/runs", PLAIN)
    for verb in ("cancel", "resume"):
        status, answer = await served.post(f"/api/runs/{run['id']}/{verb}", {})
        assert (status, answer["error"]["code"]) == (409, "run_state")


async def test_what_is_executed_cannot_be_resumed(serve: Serve):
    clock = Clockwork()
    async with serve(ScriptedProvider(STUCK, sleep=clock.sleep)) as served:
        run_id = await served.start()
        status, answer = await served.post(f"/api/runs/{run_id}/resume", {})
        clock.go_on.set()
        await served.watch(run_id)
    assert (status, answer["error"]["code"]) == (409, "run_state")


async def test_who_waits_for_a_run_that_somebody_stops_is_told(serve: Serve):
    clock = Clockwork()
    async with serve(ScriptedProvider(STUCK, sleep=clock.sleep)) as served:
        asking = asyncio.create_task(served.post("/api/orchestrate", {"prompt": "Why?"}))
        await clock.begun.wait()
        _, page = await served.get("/api/runs")
        run_id = page["runs"][0]["id"]
        await served.post(f"/api/runs/{run_id}/cancel", {})
        status, answer = await asking
    assert (status, answer["error"]["code"]) == (409, "cancelled")
    assert answer["error"]["hint"] == f"POST /api/runs/{run_id}/resume"
    assert answer["success"] is False
    assert answer["flow"]["nodes"][0]["status"] == "completed"


async def test_more_runs_than_there_may_be_are_refused_with_a_time(
    serve: Serve, settings: Settings
):
    clock = Clockwork()
    provider = ScriptedProvider(STUCK, sleep=clock.sleep)
    gateway = ProviderGateway.scripted(provider, ("first",))
    few = settings.model_copy(update={"max_runs": 1, "max_waiting_runs": 0})
    async with serve(lab=build(few, gateway=gateway)) as served:
        run_id = await served.start()
        bodies = {
            "/api/runs": BACKGROUND,
            "/api/orchestrate": {"prompt": "Why?"},
            "/orchestrate": {"prompt": "Why?", "stream": True},
        }
        for path, body in bodies.items():
            async with served.http.post(path, json=body) as response:
                assert response.status == 429
                assert int(response.headers["retry-after"]) > 0
                assert (await response.json())["error"]["code"] == "overloaded"
        clock.go_on.set()
        await served.watch(run_id)
        assert (await served.post("/api/runs", PLAIN))[0] == 200


async def test_a_run_that_waits_for_its_turn_can_be_stopped(serve: Serve, settings: Settings):
    clock = Clockwork()
    provider = ScriptedProvider(STUCK, sleep=clock.sleep)
    gateway = ProviderGateway.scripted(provider, ("first",))
    one = settings.model_copy(update={"max_runs": 1})
    async with serve(lab=build(one, gateway=gateway)) as served:
        first, second = await served.start(), await served.start()
        assert (await served.get(f"/api/runs/{second}"))[1]["status"] == "queued"
        status, stopped = await served.post(f"/api/runs/{second}/cancel", {})
        assert (status, stopped["status"], stopped["turns"]) == (200, "cancelled", [])
        assert [data["type"] for _, data in await served.watch(second)] == [
            "RUN_STARTED",
            "RUN_ERROR",
        ]
        clock.go_on.set()
        await served.watch(first)
    assert len(provider.calls) == 3


async def test_a_list_has_the_latest_first_and_goes_on_where_a_page_ended(served: Served):
    ids = [(await served.post("/api/runs", PLAIN))[1]["id"] for _ in range(5)]
    found: list[str] = []
    after = ""
    while True:
        _, answer = await served.get(f"/api/runs?limit=2{after}")
        page = RunPage.model_validate(answer)
        found += [run.id for run in page.runs]
        if page.next is None:
            break
        assert len(page.runs) == 2
        after = f"&after={page.next}"
    assert found == ids[::-1]


async def test_a_list_shows_the_runs_that_are_asked_for(serve: Serve):
    def play(call: Any) -> str | Exception:
        broken = "break" in call.messages[-1].content
        return ProviderUnavailableError("Gone.") if broken else "An answer."

    async with serve(play) as served:
        _, good = await served.post("/api/runs", {"flow": "linear", "input": "Why?"})
        _, bad = await served.post("/api/runs", {"flow": "challenge", "input": "break"})
        moment = datetime.fromisoformat(bad["created_at"])
        later = (moment + timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
        at = moment.isoformat().replace("+00:00", "Z")
        both = [bad["id"], good["id"]]
        for query, expected in {
            "": both,
            "status=failed": [bad["id"]],
            "status=completed&flow=linear": [good["id"]],
            "status=completed&flow=challenge": [],
            "flow=nope": [],
            "owner=nobody": [],
            f"since={at}": [bad["id"]],
            f"until={at}": [good["id"]],
            f"since={later}": [],
            f"until={later}&limit=1": [bad["id"]],
        }.items():
            status, page = await served.get(f"/api/runs?{query}")
            assert status == 200
            assert [run["id"] for run in page["runs"]] == expected, query


@pytest.mark.parametrize(
    "query",
    [
        "statu=failed",
        "order=id",
        "status=done",
        "limit=0",
        "limit=201",
        "limit=many",
        "after=nope",
        "since=yesterday",
        "since=0.5",
        "since=2026-11-24",
        "since=2026-11-24T09:30:00",
        "until=0001-01-01T00:00:00%2B14:00",
        "owner=%00",
    ],
)
async def test_a_list_refuses_what_it_does_not_know(served: Served, query: str):
    status, answer = await served.get(f"/api/runs?{query}")
    assert (status, answer["error"]["code"]) == (422, "invalid_request")
    assert f"`query.{query.partition('=')[0]}`" in answer["error"]["message"]
