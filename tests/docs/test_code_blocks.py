"""The code blocks of the README do what they say."""

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

README = (REPOSITORY / "README.md").read_text("utf-8")
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
SMALLEST = "smollm2-135m"


def blocks(language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(README) if kind == language]


def commands() -> list[str]:
    lines = "".join(blocks("bash")).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip().startswith("agent-lab ")]


@pytest.mark.parametrize("block", blocks("python"))
def test_a_python_block_runs(block: str, capsys: pytest.CaptureFixture[str]):
    exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})  # noqa: S102 - our own README
    assert capsys.readouterr().out


@pytest.mark.weights(SMALLEST)
@pytest.mark.parametrize("command", commands())
def test_a_command_runs(command: str, monkeypatch: pytest.MonkeyPatch):
    from agent_lab.cli.main import execute

    monkeypatch.setenv("AGENT_LAB_DEFAULT_MODEL", SMALLEST)
    monkeypatch.setenv("MAX_TOKENS_DEFAULT", "8")
    Path("notes.md").write_text("Some notes.", "utf-8")
    command = re.sub(r"qwen[\w.-]+", SMALLEST, command)
    arguments = shlex.split(command)[1:]
    limited = ["--max-tokens", "8"] if arguments[0] in {"run", "ask"} else []
    assert execute([*arguments, *limited]) == 0


def test_the_readme_has_blocks_to_test():
    assert blocks("python")
    assert len(commands()) >= 5


def test_every_link_to_a_file_leads_to_it():
    for target in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (REPOSITORY / target).exists(), target
