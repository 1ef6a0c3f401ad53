"""Earlier runs come from their saved records: one owner's only, and whole ones only."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent_lab.contracts import RunRequest
from agent_lab.errors import StorageError
from agent_lab.flows.graph_configs import get_flow_config
from agent_lab.orchestrator.history import EarlierRun, NoHistory
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.runs.history import SavedRuns
from agent_lab.runs.service import RunService
from tests.conftest import FIXED_SECRET

ENDED = "2026-01-01T12:00:00Z"


def saved(folder: Path, run_id: str, *, flow: str = "linear", **changes: Any) -> Path:
    """A record as the lab saves it, as far as the history reads it."""
    content = {
        "id": run_id,
        "flow": flow,
        "status": "completed",
        "owner": None,
        "input": f"question {run_id}",
        "output": f"answer {run_id}",
        "ended_at": ENDED,
        "turns": [],
        **changes,
    }
    return written(folder, run_id, json.dumps(content), flow=flow)


def written(folder: Path, name: str, text: str | bytes, *, flow: str = "linear") -> Path:
    path = folder / f"{flow}_flows" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


async def ids(folder: Path, owner: str | None = None, most: int = 100) -> list[str]:
    return [run.run_id for run in await SavedRuns(folder).earlier(owner, most=most)]


async def test_a_run_is_read_as_it_was_saved(tmp_path: Path):
    saved(tmp_path, "A")
    [run] = await SavedRuns(tmp_path).earlier(None, most=1)
    assert run == EarlierRun(
        "A", "linear", "question A", "answer A", datetime(2026, 1, 1, 12, tzinfo=UTC)
    )


async def test_runs_of_all_flows_come_oldest_first(tmp_path: Path):
    for run_id, flow in (("C", "linear"), ("A", "challenge"), ("D", "single"), ("B", "own_flow")):
        saved(tmp_path, run_id, flow=flow)
    assert await ids(tmp_path) == ["A", "B", "C", "D"]


@pytest.mark.parametrize(("most", "expected"), [(1, ["D"]), (2, ["C", "D"]), (9, list("ABCD"))])
async def test_only_the_latest_ones_are_looked_at(tmp_path: Path, most: int, expected: list[str]):
    for run_id in "ABCD":
        saved(tmp_path, run_id)
    assert await ids(tmp_path, most=most) == expected


@pytest.mark.parametrize(
    ("owner", "expected"),
    [(None, ["A", "D"]), ("ana", ["B"]), ("bea", ["C"]), ("", []), ("an", [])],
)
async def test_nobody_reads_what_another_one_asked(
    tmp_path: Path, owner: str | None, expected: list[str]
):
    for run_id, whose in (("A", None), ("B", "ana"), ("C", "bea"), ("D", None)):
        saved(tmp_path, run_id, owner=whose)
    assert await ids(tmp_path, owner) == expected


async def test_runs_of_others_do_not_use_up_how_many_are_looked_at(tmp_path: Path):
    saved(tmp_path, "A", owner="ana")
    for run_id in "BCDEF":
        saved(tmp_path, run_id, owner="bea")
    assert await ids(tmp_path, "ana", most=1) == ["A"]


@pytest.mark.parametrize("status", ["failed", "cancelled", "running", "queued", "waiting", ""])
async def test_a_run_without_an_answer_is_no_history(tmp_path: Path, status: str):
    saved(tmp_path, "A", status=status)
    assert await ids(tmp_path) == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "7",
        '"text"',
        "{}",
        b"\xff\xfe\x00",
        "[" * 100_000,
        json.dumps({"id": "B", "status": "completed", "owner": None}),
        json.dumps({"execution_id": "B", "flow_type": "challenge", "final_output": "x"}),
    ],
    ids=[
        "empty",
        "cut",
        "list",
        "null",
        "number",
        "string",
        "no keys",
        "no text",
        "too deep",
        "half a record",
        "the first lab's",
    ],
)
async def test_a_file_that_is_no_record_is_passed_over(
    tmp_path: Path, content: str | bytes, caplog: pytest.LogCaptureFixture
):
    saved(tmp_path, "A")
    path = written(tmp_path, "B", content)
    saved(tmp_path, "C")
    assert await ids(tmp_path) == ["A", "C"]
    assert str(path) in caplog.text


@pytest.mark.parametrize("key", ["id", "flow", "input", "output", "ended_at"])
@pytest.mark.parametrize("value", [None, ["x"], {"a": 1}, True])
async def test_a_record_with_a_value_of_another_kind_is_passed_over(
    tmp_path: Path, key: str, value: Any, caplog: pytest.LogCaptureFixture
):
    saved(tmp_path, "A", **{key: value})
    saved(tmp_path, "B")
    assert await ids(tmp_path) == ["B"]
    assert f"`{'run_id' if key == 'id' else key}`" in caplog.text


async def test_what_is_private_in_a_broken_record_is_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    saved(tmp_path, "A", output=["confidential"])
    assert await ids(tmp_path) == []
    assert "no record of a run" in caplog.text
    assert "confidential" not in caplog.text


async def test_other_files_and_folders_are_not_read(tmp_path: Path):
    saved(tmp_path, "A")
    (tmp_path / "linear_flows" / "B.json").mkdir()
    (tmp_path / "linear_flows" / "C.txt").write_text("x")
    saved(tmp_path / "elsewhere", "D")
    (tmp_path / "E.json").write_text("{}")
    assert await ids(tmp_path) == ["A"]


@pytest.mark.parametrize("what", ["nothing", "a file"])
async def test_where_nothing_was_saved_there_is_no_history(tmp_path: Path, what: str):
    folder = tmp_path / "outputs"
    if what == "a file":
        folder.write_text("")
    assert await ids(folder) == []


async def test_a_folder_that_cannot_be_read_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def broken(*_: Any) -> Any:
        raise OSError(5, "input/output error")

    monkeypatch.setattr(Path, "glob", broken)
    with pytest.raises(StorageError, match="cannot be read"):
        await ids(tmp_path)


async def test_a_record_that_may_not_be_read_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    forbidden = saved(tmp_path, "A")
    saved(tmp_path, "B")
    read_text = Path.read_text

    def guarded(path: Path, *options: Any, **named: Any) -> str:
        if path == forbidden:
            raise PermissionError(13, "permission denied", str(path))
        return read_text(path, *options, **named)

    monkeypatch.setattr(Path, "read_text", guarded)
    assert await ids(tmp_path) == ["B"]


async def test_without_a_keeper_there_is_no_history():
    assert list(await NoHistory().earlier("ana", most=9)) == []


def service(folder: Path, script: Any) -> RunService:
    return RunService(
        ProviderGateway.scripted(script),
        {"linear": get_flow_config("linear")},
        outputs=folder,
        secret=FIXED_SECRET,
    )


@pytest.mark.parametrize(("owner", "is_shown"), [("ana", True), ("bea", False), (None, False)])
async def test_a_saved_run_is_the_history_of_its_owners_next_one(
    tmp_path: Path, owner: str | None, is_shown: bool
):
    answers = {"execution": "The moon pulls the sea.", "summary": "It is the moon."}
    runs = service(tmp_path, answers)
    request = RunRequest(flow="linear", input="How do tides depend on the moon?")
    first = await runs.run(request, owner="ana")
    again = await runs.run(request, owner=owner)
    [prompt] = [turn.messages[-1].content for turn in again.turns if turn.path == "summary"]
    assert ("Answered: It is the moon." in prompt) is is_shown
    [read] = [step for step in again.steps if step.path == "history_reader"]
    assert read.output == (first.id if is_shown else "")


async def test_a_run_is_saved_although_the_history_is_broken(tmp_path: Path):
    written(tmp_path, "0", "{")
    saved(tmp_path, "1", input="tides moon \ud800", output="half \udfff of a character")
    runs = service(tmp_path, {"execution": "an answer", "summary": "handed over"})
    record = await runs.run(RunRequest(flow="linear", input="the tides of the moon"))
    assert (record.status, record.output, record.degraded) == ("completed", "handed over", ())
    assert runs.record_path("linear", record.id).exists()
    [read] = [step for step in record.steps if step.path == "history_reader"]
    assert read.output == "1"
