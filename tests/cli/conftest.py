"""The command line, run in this process or as a process of its own."""

import json
import os
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
"""


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


def saved_runs(folder: Path = Path("outputs")) -> list[dict[str, Any]]:
    """Every saved run below a folder."""
    return [json.loads(path.read_text("utf-8")) for path in sorted(folder.rglob("*.json"))]
