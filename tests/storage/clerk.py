"""Queues changes as a run's execution does, row by row, and keeps who waits for each."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select
from ulid import ULID

from agent_lab.contracts import Message, RunRequest
from agent_lab.contracts.generation import GenerationRequest
from agent_lab.flows.graph_configs import FLOW_CONFIGS
from agent_lab.orchestrator.run_recorder import AskedTurn
from agent_lab.runs.run_header import RunHeader, flow_row
from agent_lab.runs.turn_rows import start_row
from agent_lab.storage.commit_queue import CommitQueue
from agent_lab.storage.commits import Change, Kind, Row
from agent_lab.storage.database import Database
from agent_lab.storage.tables import microseconds, run_events

NOW = datetime(2026, 3, 4, 5, 6, 7, 891011, tzinfo=UTC)
PATIENCE_S = 10
"""Longer than anything here takes: whoever waits for ever fails instead."""


def header(
    flow: str = "challenge",
    owner: str | None = None,
    created_at: datetime = NOW,
    text: str = "What is a good name for a cat?",
) -> RunHeader:
    """A run that nobody has put in yet."""
    return RunHeader(
        id=str(ULID()),
        owner=owner,
        flow=flow,
        flow_version=FLOW_CONFIGS[flow].version,
        request=RunRequest(flow=flow, input=text, lang="en", seed=7),
        lang="en",
        seed=7,
        head=f"Task: {text}",
        setting={},
        created_at=created_at,
    )


def event_row(run_id: str, seq: int, payload: Any = "{}") -> Row:
    return {
        "run_id": run_id,
        "seq": seq,
        "ts": microseconds(NOW),
        "type": "STEP_STARTED",
        "payload": payload,
    }


def asked(path: str = "creator", prompt: str = "Write.", visit: int = 0) -> AskedTurn:
    """A turn that is about to be asked."""
    messages = (Message(role="user", content=prompt),)
    request = GenerationRequest(messages=messages, model_key="first", max_tokens=50)
    return AskedTurn(path, path, "creator", 1, 0, visit, 0, request, NOW)


def end_of(run_id: str, status: str, output: str | None = None) -> tuple[Kind, Row]:
    """The row with which a run ends."""
    return "run_end", {
        "run": run_id,
        "to_status": status,
        "to_stop_reason": "consensus",
        "to_output": output,
        "to_turn_count": 1,
        "to_tokens": 12,
        "to_cost_usd": 0.5,
        "to_ended_at": microseconds(NOW),
    }


class Clerk:
    """Queues changes.

    Args:
        queue: Where.
    """

    def __init__(self, queue: CommitQueue) -> None:
        self.queue = queue
        self.told: list[Sequence[tuple[Kind, Row]]] = []
        """The rows of the changes that were committed, in the order in which this was told."""

    def put(
        self,
        run_id: str,
        rows: Sequence[tuple[Kind, Row]],
        *,
        epoch: int = 1,
        creates: bool = False,
    ) -> "asyncio.Future[None]":
        """Queue rows; done once they are committed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def done(error: Exception | None) -> None:
            if error is None:
                self.told.append(rows)
            if future.cancelled():
                return
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
                future.exception()  # seen, whether anybody asks or not

        self.queue.put(Change(run_id, epoch, rows, done, loop, creates))
        return future

    def create(self, run: RunHeader, *, epoch: int = 1, **columns: Any) -> "asyncio.Future[None]":
        """Queue a run's own row, with its flow's."""
        row: Row = {
            "status": "running",
            "worker": None,
            "detached": False,
            "idempotency_key": None,
            "request_digest": None,
            "started_at": microseconds(NOW),
            "epoch": epoch,
            **columns,
        }
        rows: list[tuple[Kind, Row]] = [
            ("flow", flow_row(FLOW_CONFIGS[run.flow])),
            ("run", {**run.to_row(), **row}),
        ]
        return self.put(run.id, rows, epoch=epoch, creates=True)

    def event(
        self, run_id: str, seq: int, *rows: tuple[Kind, Row], epoch: int = 1
    ) -> "asyncio.Future[None]":
        """Queue an event, with what belongs to it."""
        return self.put(run_id, [*rows, ("event", event_row(run_id, seq))], epoch=epoch)

    def turn(self, run_id: str, seq: int, turn: AskedTurn) -> "asyncio.Future[None]":
        """Queue the begin of a turn."""
        return self.event(
            run_id, seq, ("turn_start", start_row(run_id, turn, turn.request_hash(), {}))
        )

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold the writer up: what is queued in here is there when it goes on."""
        gate = threading.Event()
        waits = asyncio.create_task(self.queue.call(lambda _: gate.wait(PATIENCE_S)))
        await asyncio.sleep(0)  # it is the first in the queue
        try:
            yield
        finally:
            gate.set()
            assert await waits


def seqs(database: Database, run_id: str) -> list[int]:
    """The places of a run's log, in their order."""

    def query(connection: Connection) -> list[int]:
        found = select(run_events.c.seq).where(run_events.c.run_id == run_id)
        return list(connection.execute(found.order_by(run_events.c.seq)).scalars())

    return database.read(query)


async def outcomes(futures: Sequence["asyncio.Future[None]"]) -> list[type[BaseException] | None]:
    """What became of changes: None, or the error's class."""
    async with asyncio.timeout(PATIENCE_S):
        results = await asyncio.gather(*futures, return_exceptions=True)
    return [None if result is None else type(result) for result in results]
