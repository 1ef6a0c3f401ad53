"""What the tests of runs stand on: a lab's database that can be put back to any moment of a run."""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import pytest

from agent_lab.contracts import JsonObject, RunRecord, RunRequest
from agent_lab.flows.graph_configs import FLOW_CONFIGS, FlowConfig
from agent_lab.providers.base import ProviderCall
from agent_lab.providers.local.scripted_provider import ScriptedProvider
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.runs.service import RunService
from tests.conftest import service_of

TASK = "Compute the mean of a list."
LONG = "a text that is long enough to be kept only once in the database of this lab, "
VOLATILE = {"id", "created_at", "started_at", "ended_at", "summary", "metrics"}
OF_TURNS = {"seq", "started_at", "seconds", "timings", "attempts"}
OF_STEPS = {"started_at", "seconds"}


class Place(NamedTuple):
    """A folder with a database, and whoever executes runs in it."""

    folder: Path

    def service(
        self, script: Any, flows: Mapping[str, FlowConfig] = FLOW_CONFIGS, **options: Any
    ) -> tuple[RunService, ScriptedProvider]:
        """A process of its own, as far as the database can tell."""
        provider = script if isinstance(script, ScriptedProvider) else ScriptedProvider(script)
        gateway = ProviderGateway.scripted(provider)
        return service_of(gateway, flows, self.folder / "outputs", **options), provider

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / "runs.db")) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def put_back(self, run_id: str, seq: int) -> None:
        """Make the database what it was when this event was the last one, and nobody lives."""
        self.sql("DELETE FROM run_events WHERE run_id = ? AND seq > ?", run_id, seq)
        self.sql(
            "UPDATE turns SET status = 'started', starts = 1, seq = NULL, text = NULL, "
            "result = NULL WHERE run_id = ? AND seq > ?",
            run_id,
            seq,
        )
        started = self.sql(
            "SELECT payload FROM run_events WHERE run_id = ? AND type = 'TEXT_MESSAGE_START'",
            run_id,
        )
        names = {text.split('"')[3] for (text,) in started}
        for turn_id, *key in self.sql(
            "SELECT id, path, visit, retry FROM turns WHERE run_id = ?", run_id
        ):
            if ":".join(map(str, key)) not in names:
                self.sql("DELETE FROM turns WHERE id = ?", turn_id)
        self.sql(
            "UPDATE runs SET status = 'running', output = NULL, ended_at = NULL WHERE id = ?",
            run_id,
        )
        self.sql("DELETE FROM workers")

    def unfinish(self, run_id: str, key: tuple[str, int, int]) -> None:
        """Make a turn one that has begun and not ended, whatever came after it."""
        where = "run_id = ? AND path = ? AND visit = ? AND retry = ?"
        self.sql(f"UPDATE turns SET status = 'started' WHERE {where}", run_id, *key)  # noqa: S608
        name = '{"messageId":"' + ":".join(map(str, key)) + '"}'
        ended = "run_id = ? AND type = 'TEXT_MESSAGE_END' AND payload = ?"
        self.sql(f"DELETE FROM run_events WHERE {ended}", run_id, name)  # noqa: S608


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def deterministic(call: ProviderCall) -> str:
    """An answer that only equal questions get."""
    return f"{LONG}{call.role} {digest_of(call) % 10**6}"


def digest_of(call: ProviderCall) -> int:
    """A number that only equal questions have."""
    return crc32(call.messages[-1].content.encode())


def comparable(record: RunRecord) -> JsonObject:
    """A record without what may differ between two executions."""
    content = record.model_dump(mode="json", exclude=VOLATILE)
    for turn in content["turns"]:
        for name in OF_TURNS:
            del turn[name]
    for step in content["steps"]:
        for name in OF_STEPS:
            del step[name]
        if step["node_id"] == "machine":  # measured anew, unless the journal has it
            step["values"], step["output"] = {}, ""
    for name in ("turns", "steps"):  # those of parallel branches end in any order
        content[name].sort(key=lambda item: (item["path"], item["visit"], item["retry"]))
    return content


def asking(flow: str, **fields: Any) -> RunRequest:
    return RunRequest.parse({"flow": flow, "input": TASK, "seed": 7, **fields})


Script = Callable[[ProviderCall], Any]
