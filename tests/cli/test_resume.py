"""Runs that are interrupted, killed or broken off, and gone on with, as processes of their own."""

import resource
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from agent_lab.cli.live_view import resumed
from agent_lab.cli.watching import Watch
from agent_lab.contracts import RunRecord
from agent_lab.errors import StorageError
from agent_lab.runs.events import RESUMED
from tests.cli.conftest import Run, read_until, saved_runs, started
from tests.cli.test_live_view import event

pytestmark = pytest.mark.usefixtures("fake_model")
SMALLEST = "smollm2-135m"
DEBATE = ("run", "challenge", "Tell a long story.", "--stream")
LONGEST_WAIT_S = 60
Change = Callable[[], None]


@contextmanager
def in_mid_turn() -> Iterator[subprocess.Popen[str]]:
    """A debate whose first turn has ended, and whose second one has begun and does not end."""
    with started(*DEBATE, "--role", "challenger=stuck") as process:
        read_until(process, "challenger · stuck")
        yield process


def stopped(process: subprocess.Popen[str]) -> str:
    """What a process says after Ctrl-C."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LONGEST_WAIT_S)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    return err


def record_of(agent_lab: Run, name: str = "last") -> RunRecord:
    return RunRecord.model_validate_json(agent_lab("runs", "show", name, "--json").out)


def test_ctrl_c_in_mid_turn_says_what_is_saved_and_how_to_go_on(agent_lab: Run):
    with in_mid_turn() as process:
        err = stopped(process)
    [saved] = saved_runs()
    assert (saved["status"], len(saved["turns"])) == ("cancelled", 1)
    assert err.endswith(
        f"agent-lab: Interrupted. 1 turn is saved in `outputs/challenge_flows/{saved['id']}.json`. "
        f"Try: agent-lab runs resume {saved['id']}\n"
    )
    assert record_of(agent_lab).status == "cancelled"


@pytest.mark.weights(SMALLEST)
def test_ctrl_c_stops_a_real_model_in_mid_word():
    model = ("--role", f"challenger={SMALLEST}", "--max-tokens", "2000", "--seed", "1")
    with started(*DEBATE, *model) as process:
        read_until(process, "challenger")
        assert process.stderr is not None
        process.stderr.read(4)
        err = stopped(process)
    [saved] = saved_runs()
    assert saved["status"] == "cancelled"
    # The challenger may have been brief, and done before the signal came.
    ended = {1: "1 turn is", 2: "2 turns are"}[len(saved["turns"])]
    assert f"\nagent-lab: Interrupted. {ended} saved in `outputs/" in err


def test_ctrl_c_does_not_claim_to_have_written_a_file_that_could_not_be():
    with in_mid_turn() as process:
        Path("outputs", "challenge_flows").rmdir()
        Path("outputs").rmdir()
        Path("outputs").write_text("in the way", "utf-8")
        err = stopped(process)
    assert "Interrupted. 1 turn is saved in the database only. Try: agent-lab runs resume " in err


def test_a_second_ctrl_c_waits_for_nothing_and_loses_nothing(
    agent_lab: Run, own_database: Path, other_models: Change
):
    with in_mid_turn() as process, closing(sqlite3.connect(own_database)) as connection:
        connection.execute("BEGIN IMMEDIATE")  # the end of the run cannot be written
        process.send_signal(signal.SIGINT)
        read_until(process, "another Ctrl-C ends it at once.")
        err = stopped(process)
        connection.rollback()
    run_id = record_of(agent_lab).id
    assert err == (
        f"agent-lab: Interrupted. 1 turn is saved. Try: agent-lab runs resume {run_id}\n"
    )
    other_models()
    assert agent_lab("runs", "resume", run_id).out == "the final answer\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_broke_off_is_gone_on_with_and_no_turn_is_asked_again(
    agent_lab: Run, other_models: Change, number: signal.Signals
):
    with in_mid_turn() as process:
        process.send_signal(number)
        process.communicate(timeout=LONGEST_WAIT_S)
    before = record_of(agent_lab)
    assert [turn.text for turn in before.turns] == ["the draft"]
    other_models()
    resumed = agent_lab("runs", "resume", "last", "--stream")
    assert (resumed.code, resumed.out) == (0, "the final answer\n")
    after = record_of(agent_lab)
    assert [turn.text for turn in after.turns] == [
        "the draft",
        "one late issue",
        "the final answer",
    ]
    assert after.turns[0] == before.turns[0]
    assert (after.id, after.status) == (before.id, "completed")
    assert [saved["id"] for saved in saved_runs()] == [after.id]
    assert "↻ 1 turn is in the journal, and not asked again.\n" in resumed.err
    headings = [line for line in resumed.err.splitlines() if line.startswith("━━")]
    assert headings == ["━━ 2 · challenger · stuck", "━━ 3 · refiner · fake"]
    replayed = agent_lab("runs", "replay", "last")
    assert "↻ 1 turn is in the journal" in replayed.err
    assert replayed.err.count("━━") == 3


def test_what_is_resumed_without_a_view_says_what_is_not_asked_again(
    agent_lab: Run, other_models: Change
):
    with in_mid_turn() as process:
        process.kill()
        process.communicate(timeout=LONGEST_WAIT_S)
    other_models()
    ran = agent_lab("runs", "resume", "last", "--json", "-o", "answer.json")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == (
        "agent-lab: 1 turn is in the journal, and not asked again.\n"
        "agent-lab: Stopped: max_rounds\n"
    )
    record = RunRecord.model_validate_json(Path("answer.json").read_text("utf-8"))
    assert record == record_of(agent_lab)


def test_ctrl_c_in_a_resumed_run_is_as_in_the_first_one(agent_lab: Run, other_models: Change):
    with in_mid_turn() as process:
        stopped(process)
    run_id = record_of(agent_lab).id
    with started("runs", "resume", "last", "--stream") as process:
        read_until(process, "━━ 2 · challenger · stuck")
        err = stopped(process)
    assert "Interrupted. 1 turn is saved in `outputs/" in err
    assert err.endswith(f"Try: agent-lab runs resume {run_id}\n")
    assert record_of(agent_lab).status == "cancelled"
    other_models()
    assert agent_lab("runs", "resume", "last").out == "the final answer\n"


def test_a_run_whose_process_lives_is_not_taken_over_but_can_be_stopped(
    agent_lab: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AGENT_LAB_RUN_LEASE_S", "1")  # and it looks four times as often
    with in_mid_turn() as process:
        refused = agent_lab("runs", "resume", "last")
        assert (refused.code, refused.out) == (1, "")
        assert "is being executed" in refused.err
        asked = agent_lab("runs", "cancel", "last")
        assert (asked.code, asked.out) == (0, "")
        assert "Another process executes run `" in asked.err
        out, err = process.communicate(timeout=LONGEST_WAIT_S)
    assert (process.returncode, out) == (1, "")
    run_id = record_of(agent_lab).id
    assert err.endswith(f"agent-lab: The run was cancelled. Try: agent-lab runs resume {run_id}\n")


def test_a_run_that_cannot_be_written_any_more_says_how_to_go_on(
    agent_lab: Run, own_database: Path, other_models: Change, tmp_path: Path
):
    models = (tmp_path / "models.toml").read_text("utf-8")
    (tmp_path / "models.toml").write_text(models.replace("3600", "0.7"), "utf-8")
    with in_mid_turn() as process:
        # From now on no file of this process grows, as on a full disk.
        size = own_database.with_name("lab.db-wal").stat().st_size
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))
        out, err = process.communicate(timeout=LONGEST_WAIT_S)
    assert (process.returncode, out) == (4, "")
    run_id = record_of(agent_lab).id
    [said] = [line for line in err.splitlines() if line.startswith("agent-lab: ")]
    assert f"`{own_database}`" in said
    assert (
        f"Run `{run_id}` breaks off; 1 turn is saved. Try: Free some space, or look at the disk, "
        f"then: agent-lab runs resume {run_id}" in said
    )
    assert "Traceback" not in err
    other_models()
    assert agent_lab("runs", "resume", run_id).out == "the final answer\n"


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        ("", "agent-lab runs resume 01X"),
        ("Free some space, then: agent-lab runs resume RUN_ID", None),
        ("Is the server up?", "Is the server up?; then: agent-lab runs resume 01X"),
    ],
)
def test_an_error_that_breaks_a_run_off_names_the_run(hint: str, said: str | None):
    watch = Watch(None)
    watch.go_on("01X", 0, 0)
    error = watch.broken_off(StorageError("No space.", hint=hint))
    assert error.message == "No space. Run `01X` breaks off; 0 turns are saved."
    assert error.hint == (said or "Free some space, then: agent-lab runs resume 01X")


def test_only_going_on_is_said_to_be_going_on():
    content = {"turns": 2}
    happened = event("ACTIVITY_SNAPSHOT", activityType=RESUMED, content=content)
    assert resumed(happened) == "2 turns are in the journal, and not asked again."
    assert resumed(event("ACTIVITY_SNAPSHOT", activityType="lab.decision", content=content)) == ""
