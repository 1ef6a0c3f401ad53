"""`GET /api/runs/{id}/events`: everything once, in order, whoever comes, leaves and comes back."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest
from ag_ui.core import events as ag_ui
from pydantic import TypeAdapter

from agent_lab.api.wire.events import RunStreamEvent
from agent_lab.errors import ProviderUnavailableError, StorageError
from agent_lab.providers.local.scripted_provider import Reply, ScriptedProvider
from agent_lab.runs import live
from agent_lab.runs.events import RunEvent
from tests.api.conftest import (
    DEBATE,
    LONGEST_WAIT_S,
    Clockwork,
    Serve,
    Served,
    each_event,
    events_of,
    slow,
)

STUCK: Mapping[str, Reply] = {**DEBATE, "challenger": slow("one two three four")}
SLOW_DEBATE: Mapping[str, Reply] = {role: slow(text) for role, text in DEBATE.items()}
TERMINAL = {"RUN_FINISHED", "RUN_ERROR"}
ag_ui_event: TypeAdapter[object] = TypeAdapter(ag_ui.Event)
Events = list[tuple[str | None, dict[str, Any]]]


class Words:
    """Lets a scripted provider's slow words out one by one."""

    def __init__(self) -> None:
        self._let_out = asyncio.Semaphore(0)

    def let_out(self, words: int) -> None:
        """Let so many more words out."""
        for _ in range(words):
            self._let_out.release()

    async def sleep(self, seconds: float) -> None:
        """Wait before a word of a slow reply."""
        if seconds:
            await self._let_out.acquire()


def places(events: Events) -> list[int]:
    return [int(place) for place, _ in events if place is not None]


def kept(events: Events) -> Events:
    """The events that the log has."""
    return [event for event in events if event[0] is not None]


def text_of(events: Events, turn: str) -> str:
    """What a client shows of a turn that puts each piece in its place."""
    text = ""
    for _, data in events:
        if data["type"] == "TEXT_MESSAGE_CONTENT" and data["messageId"] == turn:
            text = text[: data["offset"]] + data["delta"]
    return text


async def first_events(served: Served, run_id: str, last: str, after: int = 0) -> Events:
    """Watch a run until an event that satisfies the caller, and leave."""
    found: Events = []
    path = f"/api/runs/{run_id}/events?after={after}"
    async with served.http.get(path) as response:
        async for event in each_event(response):
            found.append(event)
            if json.dumps(event[1]).find(last) >= 0:
                response.close()
                return found
    raise AssertionError(f"{last} never came")


async def resumed_view(served: Served, run_id: str, last_event_id: int) -> Events:
    headers = {"Last-Event-ID": str(last_event_id)}
    path = f"/api/runs/{run_id}/events?after=0"  # the header counts
    async with served.http.get(path, headers=headers) as response:
        assert response.status == 200
        return await events_of(response)


async def test_a_run_is_shown_from_its_first_event_to_its_last(served: Served):
    run_id = await served.start()
    async with served.http.get(f"/api/runs/{run_id}/events") as response:
        assert response.status == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache"
        assert response.headers["x-accel-buffering"] == "no"
        events = await events_of(response)
    step = ["STEP_STARTED", "TEXT_MESSAGE_START", "TEXT_MESSAGE_END", "STEP_FINISHED"]
    assert [data["type"] for _, data in kept(events)] == ["RUN_STARTED", *step * 3, "RUN_FINISHED"]
    assert places(events) == list(range(1, 15))
    assert events[0][1]["run"]["input"] == "Why?"
    assert events[-1][1]["result"]["output"] == "the final answer"
    assert "answer" not in events[-1][1]
    for _, data in events:
        RunStreamEvent.validate_python(data)
        ag_ui_event.validate_python(data)


async def test_the_same_is_shown_to_who_comes_after_the_end(served: Served):
    run_id = await served.start()
    first = kept(await served.watch(run_id))
    assert kept(await served.watch(run_id)) == first
    assert kept(await served.watch(run_id, after=5)) == first[5:]


async def test_who_knows_the_end_is_told_to_ask_no_more(served: Served):
    run_id = await served.start()
    last = places(await served.watch(run_id))[-1]
    async with served.http.get(f"/api/runs/{run_id}/events?after={last}") as response:
        assert response.status == 204  # an EventSource comes back after anything else


async def test_reloading_in_mid_run_loses_nothing_and_shows_nothing_twice(serve: Serve):
    words = Words()
    provider = ScriptedProvider(SLOW_DEBATE, sleep=words.sleep)
    async with serve(provider) as served, asyncio.timeout(LONGEST_WAIT_S):
        run_id = await served.start()
        seen: Events = []
        for last in ("TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "STEP_FINISHED", "STEP_STARTED"):
            words.let_out(2)
            known = places(seen)[-1] if places(seen) else 0
            seen += await first_events(served, run_id, last, known)
        words.let_out(100)
        seen += await resumed_view(served, run_id, places(seen)[-1])
        whole = await served.watch(run_id)
    assert kept(seen) == kept(whole)
    assert places(seen) == list(range(1, len(kept(seen)) + 1))
    for role, text in DEBATE.items():
        assert text_of(seen, f"{role}:0:0") == text
    assert len(provider.calls) == 3


async def test_who_comes_back_within_a_turn_sees_all_of_it(serve: Serve):
    words = Words()
    turn = "challenger:0:0"
    async with (
        serve(ScriptedProvider(STUCK, sleep=words.sleep)) as served,
        asyncio.timeout(LONGEST_WAIT_S),
    ):
        run_id = await served.start()
        words.let_out(2)
        before = await first_events(served, run_id, "two")
        assert text_of(before, turn) == "one two "
        words.let_out(2)
        rest = await resumed_view(served, run_id, places(before)[-1])
    assert text_of(rest, turn) == text_of(before + rest, turn) == "one two three four"


async def test_the_pieces_of_a_turn_are_its_text_and_follow_each_other(serve: Serve):
    clock = Clockwork()
    script = {role: slow("one two three " * 50) for role in DEBATE}
    async with serve(ScriptedProvider(script, sleep=clock.sleep)) as served:
        run_id = await served.start()
        events: Events = []
        async with served.http.get(f"/api/runs/{run_id}/events") as response:
            async for event in each_event(response):
                events.append(event)
                if event[1]["type"] == "TEXT_MESSAGE_START":
                    clock.go_on.set()
    ends = [data for _, data in events if data["type"] == "TEXT_MESSAGE_END"]
    assert len(ends) == 3
    for end in ends:
        shown = 0
        for _, data in events:
            if data["type"] == "TEXT_MESSAGE_CONTENT" and data["messageId"] == end["messageId"]:
                assert data["offset"] == shown
                shown += len(data["delta"])
        assert text_of(events, end["messageId"]) == end["turn"]["text"]


@pytest.mark.parametrize("how", ["completed", "failed", "cancelled"])
async def test_every_run_gets_one_last_event(serve: Serve, how: str):
    clock = Clockwork()
    failing: Mapping[str, Reply] = {**DEBATE, "creator": ProviderUnavailableError("Gone.")}
    scripts: dict[str, Mapping[str, Reply]] = {"failed": failing, "cancelled": STUCK}
    async with serve(ScriptedProvider(scripts.get(how, DEBATE), sleep=clock.sleep)) as served:
        run_id = await served.start()
        watching = [asyncio.create_task(served.watch(run_id)) for _ in range(3)]
        if how == "cancelled":
            await clock.begun.wait()
            await served.post(f"/api/runs/{run_id}/cancel", {})
        views = [*await asyncio.gather(*watching), await served.watch(run_id)]
    for events in views:
        kinds = [data["type"] for _, data in events]
        assert sum(kind in TERMINAL for kind in kinds) == 1
        last = RunStreamEvent.validate_python(events[-1][1])
        ag_ui_event.validate_python(events[-1][1])
        assert events[-1][1]["result"]["status"] == how
        assert last.model_dump().get("resumable") == {"failed": False, "cancelled": True}.get(how)


async def test_where_a_run_breaks_off_the_last_event_says_so(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    run_id = await served.start()
    await served.watch(run_id)
    follow = served.lab.runs.follow

    async def broken(run_id: str, after: int = 0) -> AsyncGenerator[RunEvent, None]:
        async for event in follow(run_id, after):
            yield event
            raise StorageError("The disk is full.")

    monkeypatch.setattr(served.lab.runs, "follow", broken)
    events = await served.watch(run_id)
    assert [(place, data["type"]) for place, data in events] == [
        ("1", "RUN_STARTED"),
        (None, "RUN_ERROR"),
    ]
    assert (events[-1][1]["code"], events[-1][1]["resumable"]) == ("storage_error", True)
    RunStreamEvent.validate_python(events[-1][1])


async def test_leaving_a_view_stops_nothing(serve: Serve):
    clock = Clockwork()
    async with serve(ScriptedProvider(STUCK, sleep=clock.sleep)) as served:
        run_id = await served.start()
        await first_events(served, run_id, "challenger")
        await clock.begun.wait()
        clock.go_on.set()
        assert (await served.watch(run_id))[-1][1]["type"] == "RUN_FINISHED"
    assert not clock.cancelled.is_set()


async def test_a_reader_who_takes_nothing_holds_up_no_run_and_misses_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(live, "MOST_UNREAD", 3)
    go_on, sent = asyncio.Event(), list[bytes]()

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))
        await go_on.wait()

    run_id = await served.start(inputs={"rounds": 5})
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "path": f"/api/runs/{run_id}/events",
        "raw_path": f"/api/runs/{run_id}/events".encode(),
        "query_string": b"",
        "headers": [],
        "scheme": "http",
    }
    async with asyncio.timeout(LONGEST_WAIT_S):
        slowly = asyncio.create_task(served.app(scope, receive, send))
        events = await served.watch(run_id)
        assert len(sent) <= 1
        go_on.set()
        await slowly
    got = [part for part in b"".join(sent).split(b"\n\n") if b"\nid: " in part]
    assert [int(part.rpartition(b"id: ")[2]) for part in got] == places(events)


@pytest.mark.parametrize("given", ["", "x", "-1", "1.5", "99999999999999999999"])
async def test_a_place_that_is_none_is_refused(served: Served, given: str):
    run_id = await served.start()
    for query, headers in (("", {"Last-Event-ID": given}), (f"?after={given}", {})):
        async with served.http.get(
            f"/api/runs/{run_id}/events{query}", headers=headers
        ) as response:
            assert response.status == 422
            assert (await response.json())["error"]["code"] == "invalid_request"


async def test_a_place_that_has_not_come_yet_is_refused(served: Served):
    run_id = await served.start()
    last = places(await served.watch(run_id))[-1]
    status, answer = await served.get(f"/api/runs/{run_id}/events?after={last + 1}")
    assert (status, answer["error"]["code"]) == (409, "run_state")
    assert answer["error"]["details"] == {"last": last}


async def test_who_comes_back_within_a_turn_sees_its_draft_at_once(serve: Serve):
    words = Words()
    turn = "challenger:0:0"
    async with (
        serve(ScriptedProvider(STUCK, sleep=words.sleep)) as served,
        asyncio.timeout(LONGEST_WAIT_S),
    ):
        run_id = await served.start()
        words.let_out(2)
        before = await first_events(served, run_id, "two")
        again = await first_events(served, run_id, "two", places(before)[-1])
        assert [data["offset"] for _, data in again] == [0]
        assert text_of(again, turn) == "one two "
        words.let_out(2)
        rest = await resumed_view(served, run_id, places(before)[-1])
    assert text_of(before + again + rest, turn) == "one two three four"
