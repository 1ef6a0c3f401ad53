"""What is kept of runs is found again as it was, and removed once nothing happens any more."""

import asyncio
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from agent_lab.contracts import Message, Turn, Usage
from agent_lab.errors import UnknownRunError
from agent_lab.flows.graph_configs import FLOW_CONFIGS
from agent_lab.runs.journal import Journal
from agent_lab.runs.live import LiveRun
from agent_lab.runs.log import read_log
from agent_lab.runs.run_header import RunHeader, flow_row, header_of
from agent_lab.storage import run_owners
from agent_lab.storage.commit_queue import CommitQueue
from agent_lab.storage.database import Database
from agent_lab.storage.run_owners import Worker
from agent_lab.storage.run_queries import RunFilter
from agent_lab.storage.run_store import RunStore
from agent_lab.storage.shared_texts import join_text
from agent_lab.storage.tables import flow_versions, run_events, runs, turns
from tests.storage.clerk import NOW, PATIENCE_S, Clerk, asked, end_of, header, outcomes
from tests.storage.conftest import Opener

ANY = RunFilter()
KEPT = {
    "worker": None,
    "status": "running",
    "detached": True,
    "idempotency_key": "key of the caller",
    "request_digest": "0123",
}
SECOND = timedelta(seconds=1)


def nobody(_: Worker) -> bool:
    """Nobody is known to be gone."""
    return False


def counted(database: Database) -> dict[str, int]:
    """How many rows there are in each table of runs."""
    tables = (runs, turns, run_events, flow_versions)
    queries = [select(func.count()).select_from(table) for table in tables]
    numbers = database.read(lambda c: [c.execute(query).scalar_one() for query in queries])
    return dict(zip([table.name for table in tables], numbers, strict=True))


async def keep(clerk: Clerk, run: RunHeader, status: str = "completed", **columns: Any) -> None:
    """Put in a run with two turns that is, or has ended, in a state."""
    begun = status if status in ("queued", "running", "waiting") else "running"
    clerk.create(run, status=begun, **columns)
    clerk.turn(run.id, 1, asked("creator"))
    last = clerk.turn(run.id, 2, asked("refiner"))
    if begun != status:
        last = clerk.event(run.id, 3, end_of(run.id, status, '["an ","output"]'))
    await last


async def everything(store: RunStore, which: RunFilter, page: int) -> list[str]:
    """The ids of all pages, one after another."""
    found: list[str] = []
    while True:
        before = found[-1] if found else None
        rows = await store.listed(which, before=before, most=page, now=NOW, is_gone=nobody)
        found += [row.id for row in rows]
        if not rows:
            return found


async def written(run: RunHeader, queue: CommitQueue) -> tuple[Turn, Turn]:
    """A whole run, written as its execution does: one turn that succeeded, and one that failed."""
    journal = Journal(run, 1, queue, LiveRun(run.id, lambda: NOW), lambda: NOW)
    journal.create(dict(KEPT), flow_row(FLOW_CONFIGS[run.flow]), start=True)
    draft = Turn(
        node_id="creator",
        path="creator",
        role="creator",
        status="ok",
        model_key="first",
        model_resolved="first",
        source="scripted",
        messages=(Message(role="user", content=run.head),),
        sampling={"max_tokens": 50},
        text="A long draft of the answer, " * 5,
        reasoning="Let me see. Ünïcödé 🐈",
        finish_reason="stop",
        prompt_tokens=3,
        cached_tokens=1,
        completion_tokens=2,
        cost_usd=0.1 + 0.2,
        started_at=NOW,
        seconds=1 / 3,
    )
    first = asked("creator", run.head)
    assert await journal.begin_turn(first) is None
    await journal.record_turn(draft)
    second = asked("refiner", f"{run.head}\n{draft.text}\nImprove it.")
    assert await journal.begin_turn(second) is None
    failed = draft.model_copy(
        update={
            "node_id": "refiner",
            "path": "refiner",
            "messages": second.request.messages,
            "status": "failed",
            "text": "",
            "reasoning": "",
            "cost_usd": None,
        }
    )
    await journal.record_turn(failed)
    result = {"status": "failed", "stop_reason": "error", "output": f"Never: {draft.text}"}
    await journal.end("RUN_ERROR", {"result": result}, Usage(prompt_tokens=6, completion_tokens=4))
    return draft, failed


async def test_what_an_execution_writes_is_read_as_it_was(queue: CommitQueue, store: RunStore):
    run = header(owner="somebody", text="Wie heißt die Katze? 🐈 " * 10)
    draft, failed = await written(run, queue)
    log = read_log(await store.rows(run.id))

    assert log.header == run
    assert log.finished() == [
        draft.model_copy(update={"seq": 3}),
        failed.model_copy(update={"seq": 5}),
    ]
    assert [known.starts for known in log.turns.values()] == [1, 1]
    assert [event.seq for event in log.events] == [1, 2, 3, 4, 5, 6]
    assert {event.ts for event in log.events} == {NOW}
    assert [event.type for event in log.events][-1] == "RUN_ERROR"
    assert log.row.status == "failed"
    assert log.row.ended_at == log.row.started_at == log.row.created_at == NOW
    assert (log.row.turn_count, log.row.tokens, log.row.detached) == (2, 10, True)
    assert join_text(log.row.output, log.texts) == f"Never: {draft.text}"
    assert await store.flow(run.flow_version) == FLOW_CONFIGS[run.flow].model_dump(
        mode="json", exclude_defaults=True
    )


async def test_a_text_that_is_in_several_places_is_kept_once(
    queue: CommitQueue, database: Database
):
    run = header(text="The task is longer than most, so that it is worth a reference. " * 3)
    draft, _ = await written(run, queue)
    with database.engine.connect() as connection:
        kept = connection.exec_driver_sql("SELECT messages FROM turns ORDER BY id").scalars().all()
        output = connection.exec_driver_sql("SELECT output FROM runs").scalar_one()
        payloads = connection.exec_driver_sql("SELECT payload FROM run_events").scalars().all()

    for text in (*kept, output, *payloads):
        assert draft.text not in text
        assert run.request.input not in text


async def test_a_run_is_found_by_its_id_and_by_the_key_of_its_caller(
    clerk: Clerk, store: RunStore, database: Database
):
    run, other = header(), header()
    await outcomes([clerk.create(run, idempotency_key="the key"), clerk.create(other)])

    assert (await store.started_with("the key")).id == run.id
    assert await store.started_with("the") is None
    assert header_of(await store.row(other.id)) == other
    assert await store.flow("no version") is None
    for read in (store.row, store.rows):
        with pytest.raises(UnknownRunError, match="`nobody`"):
            await read("nobody")


async def test_filters_find_what_they_say_and_nothing_else(clerk: Clerk, store: RunStore):
    flows, owners, statuses = ("challenge", "linear"), (None, "", "anna"), ("running", "failed")
    made = {}
    for number, (flow, owner, status) in enumerate(
        (f, o, s) for f in flows for o in owners for s in statuses
    ):
        run = header(flow, owner, NOW + number * SECOND)
        made[run.id] = (flow, owner, status, run.created_at)
        await keep(clerk, run, status)
    ids = list(made)

    async def found(**which: Any) -> list[str]:
        return sorted(await everything(store, RunFilter(**which), 100))

    assert await found() == ids
    for flow in flows:
        assert await found(flow=flow) == [i for i in ids if made[i][0] == flow]
    for owner in ("", "anna"):
        assert await found(owner=owner) == [i for i in ids if made[i][1] == owner]
    for status in statuses:
        assert await found(status=status) == [i for i in ids if made[i][2] == status]
    since, until = NOW + 3 * SECOND, NOW + 7 * SECOND
    assert await found(since=since) == ids[3:]
    assert await found(until=until) == ids[:7]
    assert await found(since=since, until=until, status="failed") == ids[3:7:2]
    assert await found(flow="linear", owner="anna", status="failed") == ids[11:]
    assert await found(owner="' OR 1=1 --") == []


async def test_a_list_shows_the_begin_of_the_input_and_no_long_texts(clerk: Clerk, store: RunStore):
    run = header(text="x" * 500)
    await keep(clerk, run)
    (row,) = await store.listed(ANY, before=None, most=5, now=NOW, is_gone=nobody)

    assert row.input == "x" * 200
    assert (row.status, row.turn_count, row.tokens, row.cost_usd) == ("completed", 1, 12, 0.5)
    assert row.ended_at == NOW
    assert not hasattr(row, "output")


@pytest.mark.parametrize("page", [1, 3, 7, 100])
async def test_pages_show_every_run_once_while_others_are_added(
    page: int, clerk: Clerk, store: RunStore
):
    made = sorted(header().id for _ in range(20))
    await outcomes([clerk.create(header().model_copy(update={"id": run_id})) for run_id in made])
    found: list[str] = []
    while True:
        before = found[-1] if found else None
        rows = await store.listed(ANY, before=before, most=page, now=NOW, is_gone=nobody)
        if not rows:
            break
        assert len(rows) <= page
        found += [row.id for row in rows]
        await clerk.create(header())
    assert found == made[::-1]


async def test_a_run_whose_process_is_dead_is_shown_as_orphaned(
    clerk: Clerk, store: RunStore, queue: CommitQueue
):
    alive = await lives(queue, worker("1"), 0 * SECOND)
    late = await lives(queue, worker("2"), -SECOND)
    gone = await lives(queue, worker("3"))
    expected = {}
    for status in ("queued", "running", "waiting", "completed", "failed", "cancelled"):
        for whose in (alive.id, late.id, gone.id, "9" * 26, None):
            run = header()
            await keep(clerk, run, status, worker=whose)
            expected[run.id] = status in ("queued", "running") and whose != alive.id

    rows = await store.listed(ANY, before=None, most=100, now=NOW, is_gone=lambda who: who == gone)
    assert {row.id: bool(row.orphaned) for row in rows} == expected


async def test_completed_runs_are_those_of_the_owner_alone(clerk: Clerk, store: RunStore):
    made: dict[str | None, list[str]] = {None: [], "": [], "anna": []}
    for number in range(9):
        owner = list(made)[number % 3]
        run = header(owner=owner)
        made[owner].append(run.id)
        await keep(clerk, run)
        await keep(clerk, header(owner=owner), "failed")
    for owner, ids in made.items():
        rows, texts = await store.completed(owner, 2)
        assert [row.id for row in rows] == ids[:0:-1]
        assert rows[0].output == ["an ", "output"]
        assert list(texts) == [], "no turn of these has ended"


async def test_the_texts_of_completed_runs_come_with_their_keys(
    queue: CommitQueue, store: RunStore, clerk: Clerk
):
    run = header()
    draft, _ = await written(run, queue)
    await clerk.event(run.id, 9, end_of(run.id, "completed", "[]"))
    rows, texts = await store.completed(None, 5)

    assert [row.id for row in rows] == [run.id]
    said = {(t.run_id, t.path, t.visit, t.retry): t.text for t in texts}
    assert said == {(run.id, "creator", 0, 0): draft.text, (run.id, "refiner", 0, 0): ""}


async def test_only_runs_that_have_ended_are_removed_with_all_that_is_theirs(
    clerk: Clerk, store: RunStore, database: Database
):
    ended, open_ = {}, {}
    for number, status in enumerate(("completed", "failed", "cancelled")):
        ended[status] = header(created_at=NOW + number * SECOND)
        await keep(clerk, ended[status], status)
    for status in ("queued", "running", "waiting"):
        open_[status] = header()
        await keep(clerk, open_[status], status)

    prunable = await store.prunable(ANY)
    assert [tuple(row) for row in prunable] == [(r.id, "challenge") for r in ended.values()]
    early = await store.prunable(RunFilter(until=NOW + SECOND))
    assert [row.id for row in early] == [ended["completed"].id]
    await store.remove([run.id for run in (*ended.values(), *open_.values())])

    left = await everything(store, ANY, 100)
    assert sorted(left) == sorted(run.id for run in open_.values())
    assert counted(database) == {"runs": 3, "turns": 6, "run_events": 6, "flow_versions": 1}
    assert await store.prunable(ANY) == []
    await store.remove([])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_file_shrinks_by_what_was_removed(
    clerk: Clerk, store: RunStore, database: Database
):
    made = [header(text="x" * 20_000) for _ in range(60)]
    for run in made:
        await keep(clerk, run)
    await store.remove([run.id for run in made])
    await store.give_back_space()
    await clerk.queue.close()

    assert _bytes(database) < 200_000


def _bytes(database: Database) -> int:
    return Path(database.name).stat().st_size


def worker(mark: str) -> Worker:
    return Worker(mark * 26, "host", f"{mark} 1.00")


async def lives(queue: CommitQueue, who: Worker, lease: timedelta = SECOND) -> Worker:
    """Let a process have a lease."""
    await queue.call(lambda c: run_owners.renew_lease(c, who, NOW + lease))
    return who


ALL: Sequence[str] = ("queued", "running", "cancelled", "failed")


async def test_a_run_that_nobody_executes_is_taken_over_with_a_new_epoch(
    clerk: Clerk, store: RunStore
):
    run = header()
    await keep(clerk, run, worker="9" * 26)
    taken = await store.claim(run.id, worker("1"), ["completed"])

    assert (taken.epoch, taken.worker) == (2, worker("1").id)
    assert (taken.status, taken.detached) == ("queued", False)
    assert taken == await store.row(run.id)


async def test_only_runs_in_the_states_that_are_named_are_taken_over(clerk: Clerk, store: RunStore):
    run = header()
    await keep(clerk, run, "completed")
    assert await store.claim(run.id, worker("1"), ALL) is None
    assert await store.claim("nobody", worker("1"), ALL) is None
    assert (await store.row(run.id)).epoch == 1


async def test_a_run_of_a_living_process_is_taken_over_by_itself_alone(
    clerk: Clerk, store: RunStore
):
    run, own = header(), await lives(clerk.queue, worker("1"))
    other = await lives(clerk.queue, worker("2"))
    await keep(clerk, run, "running", worker=own.id)

    assert await store.claim(run.id, other, ALL) is None
    assert (await store.claim(run.id, own, ALL)).epoch == 2
    await clerk.queue.call(lambda c: run_owners.end_lease(c, own))
    taken = await store.claim(run.id, other, ALL, detached=True)
    assert (taken.epoch, taken.worker, taken.detached) == (3, other.id, True)
    assert (await store.claim(run.id, other, ALL, detached=None)).detached
    assert not (await store.claim(run.id, other, ALL, detached=False)).detached


async def test_of_two_who_take_a_run_over_at_the_same_time_one_gets_it(
    clerk: Clerk, store: RunStore, open_again: Opener
):
    other = CommitQueue(open_again())
    elsewhere = RunStore(open_again(), other)
    one, two = await lives(clerk.queue, worker("1")), await lives(other, worker("2"))
    made = [header() for _ in range(15)]
    await outcomes([clerk.create(run, worker="9" * 26) for run in made])
    claims = [(store.claim(run.id, one, ALL), elsewhere.claim(run.id, two, ALL)) for run in made]
    results = await asyncio.gather(*(claim for pair in claims for claim in pair))
    await other.close()

    for run, first, second in zip(made, results[::2], results[1::2], strict=True):
        (winner,) = [row for row in (first, second) if row is not None]
        row = await store.row(run.id)
        assert (winner.epoch, winner.worker) == (row.epoch, row.worker) == (2, row.worker)
        assert row.worker == (one if second is None else two).id


async def test_to_take_a_run_over_forgets_that_it_was_to_be_cancelled(
    clerk: Clerk, store: RunStore
):
    run = header()
    await clerk.create(run)
    await store.ask_to_cancel(run.id)
    assert (await store.row(run.id)).cancel_asked
    assert not (await store.claim(run.id, worker("1"), ALL)).cancel_asked


async def test_a_process_is_told_which_of_its_open_runs_are_to_be_cancelled(
    clerk: Clerk, store: RunStore
):
    own, other = worker("1"), worker("2")
    asked_for = []
    for status in ("queued", "running", "waiting", "completed", "failed", "cancelled"):
        for who in (own, other):
            run, spared = header(), header()
            await keep(clerk, run, status, worker=who.id)
            await keep(clerk, spared, status, worker=who.id)
            await store.ask_to_cancel(run.id)
            if who is own and status in ("queued", "running", "waiting"):
                asked_for.append(run.id)

    for _ in range(2):  # the first lease, and one that is renewed
        told = await clerk.queue.call(lambda c: run_owners.renew_lease(c, own, NOW))
        assert sorted(told) == sorted(asked_for)


async def test_the_dead_are_those_whose_lease_is_over_and_those_known_to_be_gone(
    queue: CommitQueue, clerk: Clerk
):
    over, gone, alive = worker("1"), worker("2"), worker("3")
    orphaned = []
    for who, until in ((over, -SECOND), (gone, SECOND), (alive, 0 * SECOND)):
        await lives(queue, who, until)
        for status in ("running", "queued", "waiting", "failed"):
            run = header()
            await keep(clerk, run, status, worker=who.id, detached=who is gone)
            if status in ("running", "queued") and who is not alive:
                orphaned.append((run.id, who is gone))

    assert await queue.call(run_owners.orphans) == []
    seen: list[Worker] = []

    def is_gone(who: Worker) -> bool:
        seen.append(who)
        return who == gone

    await queue.call(lambda c: run_owners.bury(c, NOW, is_gone))
    assert [tuple(orphan) for orphan in await queue.call(run_owners.orphans)] == orphaned
    assert set(seen) == {gone, alive}, "nobody is asked about one whose lease is over"


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_process_that_begins_while_the_dead_are_buried_is_not_buried_with_them(
    queue: CommitQueue, clerk: Clerk, open_again: Opener
):
    elsewhere, run = open_again(), header()
    await lives(queue, worker("1"))

    def is_gone(_: Worker) -> bool:
        with elsewhere.writer.begin() as connection:
            run_owners.renew_lease(connection, worker("2"), NOW + SECOND)
        return True

    await queue.call(lambda c: run_owners.bury(c, NOW, is_gone))
    await clerk.create(run, worker=worker("2").id)
    assert await queue.call(run_owners.orphans) == []


async def test_a_run_without_a_process_is_an_orphan(queue: CommitQueue, clerk: Clerk):
    run = header()
    await clerk.create(run, worker=None)
    assert [orphan.id for orphan in await queue.call(run_owners.orphans)] == [run.id]


async def test_a_process_that_was_buried_too_early_lives_again_with_its_next_word(
    queue: CommitQueue, clerk: Clerk, store: RunStore
):
    run, own = header(), await lives(queue, worker("1"), -SECOND)
    await keep(clerk, run, "running", worker=own.id)
    await queue.call(lambda c: run_owners.bury(c, NOW, nobody))
    assert len(await queue.call(run_owners.orphans)) == 1

    await lives(queue, own)
    assert await queue.call(run_owners.orphans) == []
    assert await store.claim(run.id, worker("2"), ALL) is None


async def test_all_have_the_secret_of_the_first(queue: CommitQueue, open_again: Opener):
    other = CommitQueue(open_again())
    assert await queue.call(lambda c: run_owners.shared_secret(c, "of the first")) == "of the first"
    assert await other.call(lambda c: run_owners.shared_secret(c, "mine")) == "of the first"
    assert await queue.call(lambda c: run_owners.shared_secret(c, "another")) == "of the first"
    await other.close()


async def test_of_two_who_begin_at_the_same_time_one_secret_becomes_that_of_both(
    open_again: Opener,
):
    first, second = CommitQueue(open_again()), CommitQueue(open_again())
    is_said, may_commit = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slowly(connection: Connection) -> str:
        said = run_owners.shared_secret(connection, "of the first")
        loop.call_soon_threadsafe(is_said.set)
        assert may_commit.wait(PATIENCE_S)
        return said

    slow = asyncio.create_task(first.call(slowly))
    await is_said.wait()
    quick = asyncio.create_task(second.call(lambda c: run_owners.shared_secret(c, "mine")))
    await asyncio.wait({quick}, timeout=0.1)  # it is at it, and cannot end yet
    may_commit.set()
    assert list(await asyncio.gather(slow, quick)) == ["of the first", "of the first"]
    await first.close()
    await second.close()
