"""Starting, waiting, stopping, going on: what every caller of runs relies on."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent_lab.errors import (
    IdempotencyError,
    OverloadedError,
    RunStateError,
    StorageError,
    UnknownRunError,
)
from agent_lab.providers.base import ProviderCall
from agent_lab.providers.local.scripted_provider import ScriptedProvider, ScriptedReply
from agent_lab.runs import event_writer
from agent_lab.runs.events import TERMINAL, RunEvent
from agent_lab.runs.executions import Limits
from agent_lab.runs.service import RunService
from agent_lab.storage.run_queries import RunFilter
from tests.runs.conftest import Place, asking, comparable, deterministic


class Gate(ScriptedProvider):
    """Holds back the answers of some roles until somebody lets them go."""

    def __init__(self, *roles: str) -> None:
        self.roles = set(roles)
        self.is_open = asyncio.Event()
        self.arrived = asyncio.Event()
        super().__init__(self._reply_of, sleep=self._wait)

    def _reply_of(self, call: ProviderCall) -> ScriptedReply:
        return ScriptedReply(deterministic(call), delay_s=call.role in self.roles)

    async def _wait(self, seconds: float) -> None:
        if seconds:
            self.arrived.set()
            await self.is_open.wait()


def gated(place: Place, *roles: str, **options: Any) -> tuple[RunService, Gate]:
    gate = Gate(*roles)
    return place.service(gate, **options)[0], gate


async def test_a_run_goes_on_whoever_has_started_it(place: Place):
    runs, gate = gated(place, "challenger")
    run_id = await runs.start(asking("challenge"))
    await gate.arrived.wait()
    assert (await runs.record(run_id)).status == "running"
    gate.is_open.set()
    record = await runs.wait(run_id)
    assert record.status == "completed"
    assert await runs.record(run_id) == record
    await runs.aclose()


async def test_a_caller_who_leaves_cancels_the_run_and_it_can_be_gone_on_with(place: Place):
    runs, gate = gated(place, "challenger")
    running = asyncio.create_task(runs.run(asking("challenge")))
    await gate.arrived.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    [run] = (await runs.list()).runs
    assert (run.status, run.stop_reason, run.turns) == ("cancelled", "cancelled", 1)
    gate.is_open.set()
    await runs.resume(run.id)
    record = await runs.wait(run.id)
    assert record.status == "completed"
    assert [call.role for call in gate.calls].count("creator") == 1
    await runs.aclose()


@pytest.mark.parametrize("seed", range(6))
async def test_whenever_a_run_is_cancelled_no_answer_is_lost(place: Place, seed: int):
    """What a provider has answered is in the database, at whatever moment the caller leaves."""
    answered: list[str] = []

    def answer(call: ProviderCall) -> str:
        answered.append(call.role)
        return deterministic(call)

    runs, _ = place.service(answer)
    await runs.list()  # the database is there
    tasks = [asyncio.create_task(runs.run(asking("challenge"))) for _ in range(20)]
    for number, task in enumerate(tasks):
        asyncio.get_running_loop().call_later((number + seed) * 0.002, task.cancel)
    await asyncio.wait(tasks)
    await runs.aclose()
    [(kept,)] = place.sql("SELECT count(*) FROM turns WHERE status = 'ok'")
    [(begun,)] = place.sql("SELECT count(*) FROM turns WHERE status = 'started'")
    assert kept <= len(answered) <= kept + begun
    [(ends,)] = place.sql("SELECT count(*) FROM run_events WHERE type LIKE 'RUN_%' AND seq > 1")
    [(rows,)] = place.sql("SELECT count(*) FROM runs")
    assert ends == rows


async def test_what_has_just_ended_when_a_process_leaves_is_kept(
    place: Place, monkeypatch: pytest.MonkeyPatch
):
    for name in ("LONGEST_WAIT_S", "LONGEST_END_S"):
        monkeypatch.setattr(event_writer, name, 3600.0)
    runs, gate = gated(place, "security_expert")
    run_id = await runs.start(asking("multi_perspective"), detached=True)
    await gate.arrived.wait()
    for _ in range(20_000):  # the others' begins are committed by a thread, in its own time
        await asyncio.sleep(0)
    await runs.aclose()
    ended = place.sql("SELECT role FROM turns WHERE status = 'ok' AND run_id = ?", run_id)
    asked = place.sql("SELECT role FROM turns WHERE run_id = ?", run_id)
    assert len(ended) == len(asked) - 1 > 0


async def test_cancelling_stops_a_run_for_good_and_says_what_it_has(place: Place):
    runs, gate = gated(place, "refiner")
    run_id = await runs.start(asking("challenge"))
    await gate.arrived.wait()
    record = await runs.cancel(run_id)
    assert (record.status, record.stop_reason) == ("cancelled", "cancelled")
    assert [turn.role for turn in record.turns] == ["creator", "challenger"]
    assert (await runs.cancel(run_id)).status == "cancelled"
    await runs.aclose()


async def test_a_run_that_has_ended_is_not_cancelled_or_gone_on_with(place: Place):
    runs, _ = place.service(deterministic)
    record = await runs.run(asking("single"))
    with pytest.raises(RunStateError, match="is completed"):
        await runs.cancel(record.id)
    with pytest.raises(RunStateError, match="is completed"):
        await runs.resume(record.id)
    await runs.aclose()


async def test_an_unknown_run_is_an_error_everywhere(place: Place):
    runs, _ = place.service(deterministic)
    for ask in (runs.wait, runs.cancel, runs.resume, runs.record, runs.replay):
        with pytest.raises(UnknownRunError):
            await ask("nothing")
    with pytest.raises(UnknownRunError):
        await anext(runs.follow("nothing"))
    await runs.aclose()


async def test_a_run_that_is_being_executed_is_not_gone_on_with(place: Place):
    runs, gate = gated(place, "creator")
    run_id = await runs.start(asking("challenge"))
    await gate.arrived.wait()
    other, _ = place.service(deterministic)
    for service in (runs, other):
        with pytest.raises(RunStateError, match="being executed"):
            await service.resume(run_id)
    await other.aclose()
    await runs.aclose()


async def test_runs_wait_for_their_turn_and_more_are_refused(place: Place):
    runs, gate = gated(place, "solver", limits=Limits(at_once=1, waiting=2))
    ids = [await runs.start(asking("single", seed=number)) for number in range(3)]
    assert [(await runs.record(run_id)).status for run_id in ids] == ["running", "queued", "queued"]
    with pytest.raises(OverloadedError) as caught:
        await runs.start(asking("single"))
    assert caught.value.details["retry_after"] > 0
    cancelled = await runs.cancel(ids[1])
    assert (cancelled.status, cancelled.turns) == ("cancelled", ())
    gate.is_open.set()
    assert [(await runs.wait(run_id)).status for run_id in ids] == [
        "completed",
        "cancelled",
        "completed",
    ]
    events = [event.type async for event in runs.follow(ids[1])]
    assert events == ["RUN_STARTED", "RUN_ERROR"]
    await runs.aclose()


async def test_the_same_key_and_request_are_the_same_run(place: Place):
    runs, provider = place.service(deterministic)
    first = await runs.start(asking("single"), idempotency_key="k")
    record = await runs.wait(first)
    assert await runs.start(asking("single"), idempotency_key="k") == first
    assert await runs.run(asking("single"), idempotency_key="k") == record
    assert len(provider.calls) == 1
    with pytest.raises(IdempotencyError):
        await runs.start(asking("single", seed=8), idempotency_key="k")
    assert await runs.start(asking("single"), idempotency_key="k", owner="ana") != first
    await runs.aclose()


async def test_a_key_whose_run_goes_on_is_refused_to_those_who_would_wait(place: Place):
    runs, gate = gated(place, "solver")
    await runs.start(asking("single"), idempotency_key="k")
    with pytest.raises(RunStateError, match="still being executed"):
        await runs.run(asking("single"), idempotency_key="k")
    await runs.aclose()
    assert not gate.is_open.is_set()


async def test_a_hundred_who_use_one_key_at_once_have_one_run(place: Place):
    runs, provider = place.service(deterministic)
    started = [runs.start(asking("single"), idempotency_key="k") for _ in range(100)]
    assert len(set(await asyncio.gather(*started))) == 1
    await runs.aclose()
    assert len(provider.calls) <= 1


async def test_a_closed_lab_leaves_its_runs_to_the_next_one(place: Place):
    runs, gate = gated(place, "challenger")
    run_id = await runs.start(asking("challenge"))
    await gate.arrived.wait()
    await runs.aclose()
    [(status,)] = place.sql("SELECT status FROM runs")
    assert status == "running"
    runs, provider = place.service(deterministic)
    await runs.take_up()
    record = await runs.wait(run_id)
    assert record.status == "completed"
    assert [call.role for call in provider.calls][:1] == ["challenger"]
    await runs.aclose()


async def test_a_run_that_somebody_waited_for_is_not_gone_on_with_by_itself(place: Place):
    runs, _ = place.service(deterministic)
    record = await runs.run(asking("challenge"))
    await runs.aclose()
    place.put_back(record.id, 6)
    runs, provider = place.service(deterministic)
    await runs.take_up()
    ended = await runs.wait(record.id)
    assert (ended.status, ended.stop_reason) == ("cancelled", "interrupted")
    assert provider.calls == []
    await runs.resume(record.id)
    assert comparable(await runs.wait(record.id)) == comparable(record)
    await runs.aclose()


async def test_a_run_of_a_living_process_is_left_alone(place: Place):
    runs, gate = gated(place, "challenger")
    run_id = await runs.start(asking("challenge"))
    await gate.arrived.wait()
    other, provider = place.service(deterministic)
    await other.take_up()
    assert provider.calls == []
    gate.is_open.set()
    assert (await other.wait(run_id)).status == "completed"
    await other.aclose()
    await runs.aclose()


class Frozen:
    """A process whose clock stands still: it renews its lease in vain."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


async def test_a_frozen_process_that_wakes_writes_no_second_ending(place: Place):
    clock = Frozen()
    frozen, gate = gated(place, "challenger", limits=Limits(lease_s=1000))
    run_id = await frozen.start(asking("challenge"))
    await gate.arrived.wait()
    clock.ahead = timedelta(seconds=2000)
    other, _ = place.service(deterministic, now=clock.now)
    await other.take_up()
    taken = await other.wait(run_id)
    gate.is_open.set()  # it wakes, and answers
    assert await frozen.wait(run_id) == taken
    await frozen.aclose()
    await other.aclose()
    kinds = place.sql("SELECT type FROM run_events WHERE run_id = ? ORDER BY seq", run_id)
    assert sum(kind in TERMINAL for (kind,) in kinds) == 1
    [(epoch,)] = place.sql("SELECT epoch FROM runs")
    assert epoch == 2


async def test_a_run_of_another_process_can_be_asked_to_stop(place: Place):
    runs, gate = gated(place, "challenger", limits=Limits(lease_s=0.2))
    run_id = await runs.start(asking("challenge"))
    await gate.arrived.wait()
    other, _ = place.service(deterministic)
    await other.cancel(run_id)
    assert (await other.wait(run_id)).status == "cancelled"
    await other.aclose()
    await runs.aclose()


async def test_a_database_that_cannot_be_written_breaks_the_run_off_and_it_can_be_resumed(
    place: Place,
):
    runs, gate = gated(place, "creator")
    run_id = await runs.start(asking("challenge"))
    await gate.arrived.wait()
    place.sql("CREATE TRIGGER full BEFORE INSERT ON turns BEGIN SELECT RAISE(FAIL, 'full'); END")
    gate.is_open.set()
    with pytest.raises(StorageError, match="full"):
        await runs.wait(run_id)
    place.sql("DROP TRIGGER full")
    await runs.resume(run_id)
    record = await runs.wait(run_id)
    assert record.status == "completed"
    assert [call.role for call in gate.calls].count("creator") == 1
    await runs.aclose()


async def test_lists_are_paged_and_filtered(place: Place):
    runs, _ = place.service(deterministic)
    ids = [(await runs.run(asking("single"), owner=owner)).id for owner in ("a", "b") * 3]
    page = await runs.list(most=4)
    rest = await runs.list(most=4, after=page.next)
    assert [run.id for run in (*page.runs, *rest.runs)] == ids[::-1]
    assert rest.next is None
    assert [run.id for run in (await runs.list(RunFilter(owner="a"))).runs] == ids[::2][::-1]
    assert (await runs.list(RunFilter(status="failed"))).runs == ()
    [first, *_] = page.runs
    assert (first.status, first.turns, first.orphaned) == ("completed", 1, False)
    await runs.aclose()


async def test_pruning_takes_runs_and_their_files_and_leaves_those_that_go_on(place: Place):
    runs, gate = gated(place)
    record = await runs.run(asking("single"))
    gate.roles.add("solver")
    going_on = await runs.start(asking("single", cache="off"))
    await gate.arrived.wait()
    assert runs.record_path("single", record.id).exists()
    assert await runs.prune(RunFilter(until=datetime(2100, 1, 1, tzinfo=UTC))) == 1
    assert not runs.record_path("single", record.id).exists()
    assert [run.id for run in (await runs.list()).runs] == [going_on]
    with pytest.raises(UnknownRunError):
        await runs.record(record.id)
    await runs.aclose()


async def test_live_and_replayed_events_are_the_same(place: Place):
    runs, gate = gated(place, "challenger")
    run_id = await runs.start(asking("challenge", inputs={"rounds": 2}))
    await gate.arrived.wait()
    seen: list[RunEvent] = []
    watching = asyncio.create_task(runs.watch(run_id, seen.append))
    gate.is_open.set()
    record = await watching
    replayed = [event async for event in runs.follow(run_id)]
    assert [e for e in seen if e.seq] == [e for e in replayed if e.seq]
    for events in (seen, replayed):
        for turn in record.turns:
            pieces = [e.payload for e in events if e.seq is None]
            name = f"{turn.path}:{turn.visit}:{turn.retry}"
            assert "".join(p["delta"] for p in pieces if p["messageId"] == name) == turn.text
    await runs.aclose()


async def test_events_go_on_after_the_last_one_that_is_known(place: Place):
    runs, _ = place.service(deterministic)
    record = await runs.run(asking("challenge"))
    every = [event async for event in runs.follow(record.id) if event.seq]
    for known in range(len(every)):
        rest = [event async for event in runs.follow(record.id, known) if event.seq]
        assert rest == every[known:]
    await runs.aclose()


async def test_a_reader_who_is_slow_misses_nothing_and_holds_nothing_up(
    place: Place, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("agent_lab.runs.live.MOST_UNREAD", 3)
    runs, gate = gated(place, "creator")
    run_id = await runs.start(asking("challenge", inputs={"rounds": 3}))
    await gate.arrived.wait()
    reading = runs.follow(run_id)
    first = await anext(reading)
    gate.is_open.set()
    record = await runs.wait(run_id)
    rest = [event async for event in reading]
    logged = [event.seq for event in (first, *rest) if event.seq]
    assert logged == list(range(1, len(logged) + 1))
    assert rest[-1].type == "RUN_FINISHED"
    assert record.status == "completed"
    await runs.aclose()
