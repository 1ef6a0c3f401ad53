"""`agent-lab runs`: what is listed, shown, replayed, exported, stopped and deleted."""

import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.api.wire.events import encode
from agent_lab.cli.runs.export_run import as_line
from agent_lab.cli.runs.times import age, read_moment
from agent_lab.contracts import RunRecord
from agent_lab.errors import InvalidRequestError
from agent_lab.orchestrator.run_recorder import EventType
from agent_lab.runs.events import RunEvent
from agent_lab.runs.listing import RunPage
from agent_lab.runs.replay import ReplayReport
from tests.cli.conftest import Run, on_a_terminal, saved_runs

pytestmark = pytest.mark.usefixtures("fake_model")
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def ran(agent_lab: Run, flow: str = "challenge", prompt: str = "Why?") -> RunRecord:
    return RunRecord.model_validate_json(agent_lab("run", flow, prompt, "--json").out)


def listed(agent_lab: Run, *arguments: str) -> RunPage:
    shown = agent_lab("runs", "list", *arguments, "--json")
    assert (shown.code, shown.err) == (0, "")
    return RunPage.model_validate_json(shown.out)


def change(database: Path, **values: Any) -> None:
    """Make every run one that has another history."""
    with sqlite3.connect(database) as connection:
        changed = ", ".join(f"{name} = :{name}" for name in values)
        connection.execute(f"UPDATE runs SET {changed}", values)  # noqa: S608 - names of our own
    connection.close()


def test_runs_are_listed_the_latest_first(agent_lab: Run):
    first, second = ran(agent_lab, prompt="Why is\nthat?"), ran(agent_lab, "single")
    shown = agent_lab("runs", "list")
    assert (shown.code, shown.err) == (0, "")
    head, *rows = shown.out.splitlines()
    assert head.split() == ["ID", "STATUS", "FLOW", "TURNS", "TOKENS", "COST", "AGE", "INPUT"]
    assert [row.split()[:4] for row in rows] == [
        [second.id, "completed", "single", "1"],
        [first.id, "completed", "challenge", "3"],
    ]
    assert rows[1].endswith(" s  Why is that?")


def test_where_no_run_is_the_list_says_how_to_start_one(agent_lab: Run):
    shown = agent_lab("runs", "list")
    assert shown.code == 0
    assert 'agent-lab run challenge "…"' in shown.err


def test_a_long_list_says_how_to_see_more(agent_lab: Run):
    ids = [ran(agent_lab, "single").id for _ in range(3)]
    shown = agent_lab("runs", "list", "--limit", "2")
    assert f"agent-lab runs list … --after {ids[1]}\n" in shown.err
    page = listed(agent_lab, "--limit", "2", "--after", ids[1])
    assert ([run.id for run in page.runs], page.next) == ([ids[0]], None)


@pytest.mark.parametrize(
    ("only", "found"),
    [
        (("--flow", "single"), 1),
        (("--flow", "linear"), 0),
        (("--status", "completed"), 2),
        (("--status", "failed"), 0),
        (("--owner", "somebody"), 0),
        (("--since", "1h"), 2),
        (("--since", "2999-01-01"), 0),
        (("--until", "1h"), 0),
        (("--until", "2999-01-01", "--since", "2026-01-01"), 2),
    ],
)
def test_a_list_can_be_narrowed(agent_lab: Run, only: tuple[str, ...], found: int):
    ran(agent_lab)
    ran(agent_lab, "single")
    assert len(listed(agent_lab, *only).runs) == found


def test_a_run_whose_process_has_died_is_listed_as_interrupted(agent_lab: Run, own_database: Path):
    record = ran(agent_lab)
    change(own_database, status="running", worker="dead")
    shown = agent_lab("runs", "list")
    assert f"{record.id} interrupted " in shown.out
    assert "agent-lab runs resume ID" in shown.err
    assert "interrupted" in agent_lab("runs", "show", "last").err


@pytest.mark.parametrize(
    "name", ["last", slice(0, 26), slice(0, 8), slice(-4, None), slice(-9, None)], ids=str
)
def test_a_run_is_found_by_any_part_of_its_id_that_is_its_own(agent_lab: Run, name: Any):
    record = ran(agent_lab, "single")
    typed = name if isinstance(name, str) else record.id[name].lower()
    shown = agent_lab("runs", "show", typed, "--json")
    assert RunRecord.model_validate_json(shown.out).id == record.id


def test_a_part_that_several_ids_have_names_them(agent_lab: Run):
    first, second = ran(agent_lab, "single"), ran(agent_lab, "single")
    shown = agent_lab("runs", "show", first.id[:5])
    assert (shown.code, shown.out) == (2, "")
    assert first.id in shown.err
    assert second.id in shown.err


@pytest.mark.parametrize("command", ["show", "resume", "cancel", "replay", "export"])
@pytest.mark.parametrize("name", ["last", "0123", "x", "0" * 26, "ZZZZ", "é" * 9])
def test_a_run_that_is_not_there_is_named(agent_lab: Run, command: str, name: str):
    shown = agent_lab("runs", command, name)
    assert shown == (2, "", f"agent-lab: There is no run `{name}`. Try: agent-lab runs list\n")


def test_show_gives_the_answer_on_stdout_and_the_turns_on_stderr(agent_lab: Run):
    record = ran(agent_lab)
    shown = agent_lab("runs", "show", record.id)
    assert (shown.code, shown.out) == (0, "the final answer\n")
    for text in (f"{record.id} · challenge · completed", "Why?", "━━ 2 · challenger · fake\n"):
        assert text in shown.err
    assert "Stopped: max_rounds." in shown.err
    assert "tokens read" in shown.err
    assert "# Task" not in shown.err


def test_show_gives_the_prompts_if_they_are_asked_for(agent_lab: Run):
    ran(agent_lab)
    shown = agent_lab("runs", "show", "last", "-v").err
    assert shown.count("# Task") == 3
    assert "the draft" in shown


def test_what_is_shown_is_what_was_saved(agent_lab: Run):
    record = ran(agent_lab)
    assert RunRecord.model_validate_json(agent_lab("runs", "show", "last", "--json").out) == record
    exported = agent_lab("runs", "export", "last", "--record").out
    assert RunRecord.model_validate_json(exported) == record


def test_a_failed_run_says_why_it_failed(agent_lab: Run, tmp_path: Path):
    (tmp_path / "models.toml").write_text(
        '[models.fake]\nprovider = "scripted"\ncontext_window = 4096\n', "utf-8"
    )
    assert agent_lab("run", "challenge", "Why?").code != 0
    shown = agent_lab("runs", "show", "last")
    assert (shown.code, shown.out) == (0, "")
    assert "· failed" in shown.err
    assert "✗ " in shown.err
    assert "has no answer for role `creator`" in shown.err


def test_nothing_that_a_run_holds_can_drive_the_terminal(agent_lab: Run, tmp_path: Path):
    models = (tmp_path / "models.toml").read_text("utf-8")
    evil = models.replace("the draft", "\\u001b[2Jthe draft").replace("one issue", "\\u001b[31m x")
    (tmp_path / "models.toml").write_text(evil, "utf-8")
    ran(agent_lab, prompt="\x1b]0;owned\x07 Why?")
    for command in (("list",), ("show", "last", "-v"), ("replay", "last", "-v")):
        shown = agent_lab("runs", *command)
        assert "\x1b" not in shown.out + shown.err
        assert shown.out


def test_a_replay_shows_the_debate_again_and_asks_nobody(
    agent_lab: Run, other_models: Callable[[], None]
):
    live = agent_lab("run", "challenge", "Why?", "--stream")
    other_models()
    again = agent_lab("runs", "replay", "last", "--speed", "1000000")
    assert (again.code, again.out) == (0, live.out)
    debate = live.err[: live.err.index("3 turns in")]
    assert again.err == (
        f"{debate}agent-lab: By its journal alone it comes out the same: 3 turns, 0 calls of "
        "models.\n"
    )


def test_what_a_replay_finds_is_given_as_json(agent_lab: Run):
    ran(agent_lab)
    shown = agent_lab("runs", "replay", "last", "--json")
    assert (shown.code, shown.err) == (0, "")
    report = ReplayReport.model_validate_json(shown.out)
    assert (report.turns, report.calls, report.same_output) == (3, 0, True)


def test_a_replay_that_comes_out_otherwise_says_so(agent_lab: Run, own_database: Path):
    ran(agent_lab)
    change(own_database, output='["forged"]')
    shown = agent_lab("runs", "replay", "last")
    assert shown.code == 1
    assert "agent-lab: Not as it was: " in shown.err


def test_a_replay_on_a_terminal_shows_the_answer_once(agent_lab: Run):
    ran(agent_lab)
    assert on_a_terminal("runs", "replay", "last").count("the final answer") == 1


def test_a_replay_of_parallel_turns_shows_one_after_the_other(agent_lab: Run):
    ran(agent_lab, "multi_perspective")
    shown = agent_lab("runs", "replay", "last").err
    assert [line[:4] for line in shown.splitlines() if "━━" in line] == [
        f"━━ {number}" for number in range(1, 5)
    ]


def test_a_log_is_exported_one_event_a_line(agent_lab: Run):
    record = ran(agent_lab)
    shown = agent_lab("runs", "export", record.id)
    events = [json.loads(line) for line in shown.out.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert (events[0]["type"], events[-1]["type"]) == ("RUN_STARTED", "RUN_FINISHED")
    texts = [event["turn"]["text"] for event in events if event["type"] == "TEXT_MESSAGE_END"]
    assert texts == [turn.text for turn in record.turns]
    assert agent_lab("runs", "export", record.id, "-o", "new/log.jsonl") == (0, "", "")
    assert Path("new/log.jsonl").read_text("utf-8") == shown.out


@pytest.mark.parametrize("kind", ["RUN_STARTED", "STEP_STARTED", "RUN_FINISHED", "RUN_ERROR"])
def test_an_exported_event_is_what_the_api_gives_with_its_place(kind: EventType):
    event = RunEvent(run_id="x", seq=7, ts=NOW, type=kind, payload={"text": "é\n", "runId": "x"})
    [data] = [part[6:] for part in encode(event).decode().split("\n") if part.startswith("data: ")]
    assert json.loads(as_line(event)) == {**json.loads(data), "seq": 7}
    assert "\n" not in as_line(event)


def test_a_run_that_has_ended_cannot_be_stopped(agent_lab: Run):
    record = ran(agent_lab)
    shown = agent_lab("runs", "cancel", "last")
    assert (shown.code, shown.out) == (1, "")
    assert f"`{record.id}` is completed" in shown.err


def test_a_run_that_nobody_executes_can_be_cancelled(agent_lab: Run, own_database: Path):
    record = ran(agent_lab)
    change(own_database, status="running", worker="dead")
    shown = agent_lab("runs", "cancel", "last")
    assert (shown.code, shown.out) == (0, "")
    assert shown.err == (
        f"agent-lab: Run `{record.id}` is cancelled; 3 turns are kept. "
        f"Try: agent-lab runs resume {record.id}\n"
    )
    assert listed(agent_lab, "--status", "cancelled").runs[0].id == record.id


class TestPrune:
    def test_old_runs_are_deleted_with_their_files(self, agent_lab: Run):
        ran(agent_lab)
        ran(agent_lab, "single")
        shown = agent_lab("runs", "prune", "--older-than", "0s", "--yes")
        assert shown == (0, "", "agent-lab: 2 runs deleted.\n")
        assert listed(agent_lab).runs == ()
        assert saved_runs() == []

    def test_files_can_be_kept(self, agent_lab: Run):
        ran(agent_lab)
        agent_lab("runs", "prune", "--older-than", "0s", "--yes", "--keep-files")
        assert len(saved_runs()) == 1

    def test_a_dry_run_only_counts(self, agent_lab: Run):
        ran(agent_lab)
        shown = agent_lab("runs", "prune", "--older-than", "0s", "--dry-run")
        assert shown == (0, "", "agent-lab: 1 run would be deleted.\n")
        assert len(listed(agent_lab).runs) == 1

    @pytest.mark.parametrize(
        "only",
        [
            ("--older-than", "1d"),
            ("--older-than", "0s", "--flow", "linear"),
            ("--older-than", "0s", "--status", "failed, cancelled"),
        ],
    )
    def test_what_is_not_meant_stays(self, agent_lab: Run, only: tuple[str, ...]):
        ran(agent_lab)
        assert agent_lab("runs", "prune", *only, "--yes").code == 0
        assert len(listed(agent_lab).runs) == 1

    def test_what_has_not_ended_stays(self, agent_lab: Run, own_database: Path):
        ran(agent_lab)
        change(own_database, status="running", worker="dead")
        assert agent_lab("runs", "prune", "--older-than", "0s", "--yes").code == 0
        assert len(listed(agent_lab).runs) == 1
        shown = agent_lab("runs", "prune", "--older-than", "0s", "--status", "running")
        assert shown.code == 2
        assert "`running`" in shown.err

    def test_without_a_terminal_nothing_is_deleted_unless_yes_is_said(
        self, agent_lab: Run, monkeypatch: pytest.MonkeyPatch
    ):
        ran(agent_lab)
        monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
        shown = agent_lab("runs", "prune", "--older-than", "0s")
        assert shown.code == 2
        assert "1 run would be deleted" in shown.err
        assert "--yes" in shown.err
        assert len(listed(agent_lab).runs) == 1

    @pytest.mark.parametrize(("typed", "code", "left"), [("y\n", 0, 0), ("n\n", 1, 1)])
    def test_on_a_terminal_it_is_asked(self, agent_lab: Run, typed: str, code: int, left: int):
        ran(agent_lab)
        shown = on_a_terminal("runs", "prune", "--older-than", "0s", typed=typed, code=code)
        assert "Delete 1 run for good? [y/N]" in shown
        assert len(listed(agent_lab).runs) == left


class TestTimes:
    @pytest.mark.parametrize(
        ("typed", "moment"),
        [
            ("90s", NOW - timedelta(seconds=90)),
            ("2h", NOW - timedelta(hours=2)),
            ("1.5d", NOW - timedelta(hours=36)),
            ("2w", NOW - timedelta(days=14)),
            ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
            ("2026-11-01T10:00+02:00", datetime(2026, 11, 1, 8, tzinfo=UTC)),
        ],
    )
    def test_a_moment_is_so_long_ago_or_a_date(self, typed: str, moment: datetime):
        assert read_moment(typed, "--since", NOW) == moment

    @pytest.mark.parametrize(
        "typed", ["", "2", "h", "-2h", "yesterday", "999999999w", "2026-13-01"]
    )
    def test_anything_else_is_refused(self, agent_lab: Run, typed: str):
        shown = agent_lab("runs", "list", f"--since={typed}")
        assert (shown.code, shown.out) == (2, "")
        assert "--since 2h, 3d or 2026-11-01" in shown.err

    @given(st.text())
    def test_no_text_breaks_it(self, typed: str):
        with suppress(InvalidRequestError):
            assert read_moment(typed, "--since", NOW).tzinfo is UTC

    @pytest.mark.parametrize(
        ("ago", "shown"),
        [
            (timedelta(seconds=-3), "0 s"),
            (timedelta(seconds=119), "119 s"),
            (timedelta(minutes=2), "2 min"),
            (timedelta(minutes=119), "119 min"),
            (timedelta(hours=47), "47 h"),
            (timedelta(days=40), "40 d"),
        ],
    )
    def test_an_age_is_one_figure(self, ago: timedelta, shown: str):
        assert age(NOW - ago, NOW) == shown
