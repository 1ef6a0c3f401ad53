"""Earlier runs come from what is kept of them: one owner's only, and completed ones only."""

from pathlib import Path
from typing import Any

import pytest

from agent_lab.contracts import RunRequest
from agent_lab.errors import StorageError
from agent_lab.flows.graph_configs import FLOW_CONFIGS
from agent_lab.orchestrator.history import EarlierRun, NoHistory
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.runs.history import SavedRuns
from agent_lab.runs.service import RunService
from agent_lab.storage.commit_queue import CommitQueue
from agent_lab.storage.database import Database
from agent_lab.storage.run_store import RunStore
from tests.conftest import service_of


def service(folder: Path, script: Any = "x") -> RunService:
    gateway = ProviderGateway.scripted(script if callable(script) else lambda call: script)
    return service_of(gateway, FLOW_CONFIGS, folder / "outputs")


def history(folder: Path) -> SavedRuns:
    database = Database(f"sqlite:///{folder / 'runs.db'}")
    return SavedRuns(RunStore(database, CommitQueue(database)))


async def asked(runs: RunService, task: str, owner: str | None = None, flow: str = "single") -> str:
    return (await runs.run(RunRequest(flow=flow, input=task), owner=owner)).id


async def test_a_run_is_read_as_it_was_kept(tmp_path: Path):
    record = await service(tmp_path, "an answer").run(RunRequest(flow="single", input="why"))
    assert record.ended_at is not None
    assert await history(tmp_path).earlier(None, most=1) == [
        EarlierRun(record.id, "single", "why", "an answer", record.ended_at)
    ]


async def test_a_long_answer_is_read_whole_although_it_is_kept_once(tmp_path: Path):
    long = "a long answer, " * 50
    record = await service(tmp_path, long).run(RunRequest(flow="challenge", input=f"{long} why?"))
    [found] = await history(tmp_path).earlier(None, most=1)
    assert (found.input, found.output) == (f"{long} why?", record.output)


async def test_runs_of_all_flows_come_oldest_first(tmp_path: Path):
    runs = service(tmp_path)
    flows = ("linear", "challenge", "single")
    expected = [await asked(runs, "what", flow=flow) for flow in flows]
    assert [run.run_id for run in await history(tmp_path).earlier(None, most=9)] == expected


@pytest.mark.parametrize("most", [1, 2, 9])
async def test_only_the_latest_ones_are_looked_at(tmp_path: Path, most: int):
    runs = service(tmp_path)
    ids = [await asked(runs, str(number)) for number in range(4)]
    found = await history(tmp_path).earlier(None, most=most)
    assert [run.run_id for run in found] == ids[-most:]


@pytest.mark.parametrize(
    ("owner", "expected"),
    [(None, ["A", "D"]), ("ana", ["B"]), ("bea", ["C"]), ("", []), ("an", [])],
)
async def test_nobody_reads_what_another_one_asked(
    tmp_path: Path, owner: str | None, expected: list[str]
):
    runs = service(tmp_path)
    for task, whose in (("A", None), ("B", "ana"), ("C", "bea"), ("D", None)):
        await asked(runs, task, whose)
    assert [run.input for run in await history(tmp_path).earlier(owner, most=9)] == expected


async def test_a_run_without_an_answer_is_no_history(tmp_path: Path):
    def broken(call: Any) -> Any:
        return OSError("gone")

    record = await service(tmp_path, broken).run(RunRequest(flow="single", input="why"))
    assert record.status == "failed"
    assert list(await history(tmp_path).earlier(None, most=9)) == []


async def test_a_database_that_cannot_be_read_is_said(tmp_path: Path):
    (tmp_path / "runs.db").write_bytes(b"no database, whatever it is called" * 100)
    with pytest.raises(StorageError, match="not a database"):
        await history(tmp_path).earlier(None, most=9)


async def test_without_a_keeper_there_is_no_history():
    assert list(await NoHistory().earlier("ana", most=9)) == []


@pytest.mark.parametrize(("owner", "is_shown"), [("ana", True), ("bea", False), (None, False)])
async def test_a_kept_run_is_the_history_of_its_owners_next_one(
    tmp_path: Path, owner: str | None, is_shown: bool
):
    answers = {"execution": "The moon pulls the sea.", "summary": "It is the moon."}
    runs = service(tmp_path, lambda call: answers[call.role])
    request = RunRequest(flow="linear", input="How do tides depend on the moon?")
    first = await runs.run(request, owner="ana")
    again = await runs.run(request, owner=owner)
    [prompt] = [turn.messages[-1].content for turn in again.turns if turn.path == "summary"]
    assert ("Answered: It is the moon." in prompt) is is_shown
    [read] = [step for step in again.steps if step.path == "history_reader"]
    assert read.output == (first.id if is_shown else "")
