"""The command line, run in this process or as a process of its own."""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from agent_lab.cli.main import execute


class Ran(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]

SCRIPTED_MODELS = """
[models.fake]
provider = "scripted"
context_window = 4096
[models.fake.options]
delay_s = {delay}
[models.fake.options.answers]
creator = "the draft"
challenger = "one issue"
refiner = "the final answer"
default = "a direct answer"

[models.stuck]
provider = "scripted"
context_window = 4096
[models.stuck.options]
delay_s = 3600
[models.stuck.options.answers]
challenger = "one late issue"
"""


@pytest.fixture(autouse=True)
def own_database(own_environment: None, empty_database: Path) -> Path:
    """A database without runs, where the commands look for it: to make one takes its time."""
    file = Path(os.environ["XDG_DATA_HOME"]) / "ai-agent-lab" / "lab.db"
    file.parent.mkdir(parents=True)
    shutil.copyfile(empty_database, file)
    return file


@pytest.fixture
def agent_lab(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run one command in this process."""

    def run(*arguments: str | Path) -> Ran:
        capsys.readouterr()
        code = execute([str(argument) for argument in arguments])
        return Ran(code, *capsys.readouterr())

    return run


@pytest.fixture
def fake_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Make a scripted model the default one; its words take the given seconds each."""

    def install(delay: float = 0.0) -> None:
        path = tmp_path / "models.toml"
        path.write_text(SCRIPTED_MODELS.format(delay=delay), "utf-8")
        monkeypatch.setenv("AGENT_LAB_MODELS_FILE", str(path))
        monkeypatch.setenv("AGENT_LAB_DEFAULT_MODEL", "fake")

    install()
    return install


@pytest.fixture
def other_models(fake_model: object, tmp_path: Path) -> Callable[[], None]:
    """From now on the stuck model answers at once, and the other one says something else."""

    def change() -> None:
        path = tmp_path / "models.toml"
        models = re.sub(r"delay_s = \S+", "delay_s = 0", path.read_text("utf-8"))
        path.write_text(models.replace("the draft", "another draft"), "utf-8")

    return change


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start one command as a process of its own, which does not outlive the test."""
    with subprocess.Popen(
        [sys.executable, "-m", "agent_lab.cli.main", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """What a command writes to stderr, up to the end of the line with this text."""
    assert process.stderr is not None
    shown = ""
    while text not in shown:
        character = process.stderr.read(1)
        assert character, shown
        shown += character
    return shown + process.stderr.readline()


def saved_runs(folder: Path = Path("outputs")) -> list[dict[str, Any]]:
    """Every saved run below a folder."""
    return [json.loads(path.read_text("utf-8")) for path in sorted(folder.rglob("*.json"))]


def on_a_terminal(
    *arguments: str, typed: str = "", interrupt_after: str = "", code: int = 0
) -> str:
    """What a terminal shows of a command."""
    master, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "agent_lab.cli.main", *arguments],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        os.write(master, typed.encode())
        shown = ""
        if interrupt_after:
            while interrupt_after not in shown:
                shown += os.read(master, 1).decode(errors="replace")
            process.send_signal(signal.SIGINT)
        shown += _read_all(master)
    assert process.returncode == code
    return shown


def _read_all(master: int) -> str:
    chunks = []
    while select.select([master], [], [], 30)[0]:
        try:
            chunk = os.read(master, 4096)
        except OSError:
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(master)
    return b"".join(chunks).decode()
