"""What a database has of some runs, read from outside, whoever lives or is dead."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, create_engine, inspect, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from agent_lab.runs.events import TERMINAL
from agent_lab.runs.log import RunLog, read_log
from agent_lab.runs.turn_rows import KnownTurn
from agent_lab.storage import run_queries
from agent_lab.storage.database import Database
from agent_lab.storage.tables import runs, turns
from tests.chaos.upstream import digest

TurnName = tuple[str, str, int, int]
"""Run, path, visit, retry."""


class AskedTurn(NamedTuple):
    """A turn, as the journal has it."""

    name: TurnName
    ended: bool
    starts: int
    digest: str
    """Of what was asked, as the upstream counts it."""


class Ledger(NamedTuple):
    """Some runs at one moment."""

    logs: dict[str, RunLog]
    """By idempotency key."""

    def turns(self) -> list[AskedTurn]:
        """Every turn that was ever begun."""
        return [
            AskedTurn((log.header.id, *key), turn.ended, turn.starts, _digest(turn))
            for log in self.logs.values()
            for key, turn in log.turns.items()
        ]


class Books:
    """Reads a database.

    Args:
        url: As AGENT_LAB_DATABASE_URL has it.
    """

    def __init__(self, url: str) -> None:
        # A connection for each look: nothing here holds up the workers, or outlives a server.
        self._engine = create_engine(Database(url).engine.url, poolclass=NullPool)

    def read(self, keys: Sequence[str]) -> Ledger:
        """All that there is of the runs with these idempotency keys."""
        try:
            with self._engine.connect() as connection:
                if not inspect(connection).has_table("runs"):
                    return Ledger({})
                return Ledger({key: read_log(rows) for key, rows in _rows(connection, keys)})
        except OperationalError as error:
            if "unable to open" in str(error):  # nobody has made the file yet
                return Ledger({})
            raise

    def open_turns(self, names: Sequence[TurnName]) -> int:
        """How many of some turns have not ended."""
        ids = {name[0] for name in names}
        columns = (turns.c.run_id, turns.c.path, turns.c.visit, turns.c.retry)
        query = select(*columns).where(turns.c.run_id.in_(ids), turns.c.status == "started")
        with self._engine.connect() as connection:
            found = {tuple(row) for row in connection.execute(query)}
        return len(found & set(names))


def faults_of(log: RunLog) -> list[str]:
    """What a finished run's log has that it must not have."""
    faults = []
    seqs = [event.seq for event in log.events]
    if seqs != list(range(1, len(seqs) + 1)):
        faults.append(f"places in the log: {seqs}")
    ends = [event.seq for event in log.events if event.type in TERMINAL]
    if ends != seqs[-1:]:
        faults.append(f"{len(ends)} terminal events, at {ends} of {len(seqs)}")
    finished = [e.payload["messageId"] for e in log.events if e.type == "TEXT_MESSAGE_END"]
    if len(finished) != len(set(finished)) or len(finished) != len(log.turns):
        faults.append(f"ends of turns: {finished}")
    starts = sum(event.type == "TEXT_MESSAGE_START" for event in log.events)
    if starts != sum(turn.starts for turn in log.turns.values()):
        faults.append(f"{starts} starts of turns in the log, and other counts in the turns")
    return faults


def told(log: RunLog) -> dict[str, Any]:
    """What a run must come to, however often it was disturbed: no ids, times or attempts."""
    record = log.record().model_dump(mode="json")
    return {
        **{name: record[name] for name in _SAME},
        "turns": [{name: turn[name] for name in _SAME_OF_TURN} for turn in record["turns"]],
        "steps": [{name: step[name] for name in _SAME_OF_STEP} for step in record["steps"]],
    }


_SAME = (
    "status",
    "input",
    "lang",
    "seed",
    "options",
    "output",
    "outputs",
    "stop_reason",
    "degraded",
    "issues",
    "usage",
    "error",
)
_SAME_OF_TURN = (
    "path",
    "visit",
    "retry",
    "role",
    "round",
    "sample",
    "status",
    "model_key",
    "model_resolved",
    "messages",
    "sampling",
    "text",
    "reasoning",
    "finish_reason",
    "prompt_tokens",
    "completion_tokens",
    "error",
)
_SAME_OF_STEP = ("path", "visit", "retry", "status", "output", "values", "next")


def _rows(connection: Connection, keys: Sequence[str]) -> list[tuple[str, run_queries.RunRows]]:
    own = {f"\n{key}": key for key in keys}  # those of nobody by name
    query = select(runs.c.id, runs.c.idempotency_key).where(runs.c.idempotency_key.in_(own))
    found = []
    for run_id, key in connection.execute(query).all():
        rows = run_queries.run_rows(connection, run_id)
        if rows is not None:
            found.append((own[key], rows))
    return found


def _digest(turn: KnownTurn) -> str:
    return digest((message.role, message.content) for message in turn.asked.messages)
