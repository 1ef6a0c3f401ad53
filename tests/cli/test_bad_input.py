"""Bad input: one line on stderr that names the thing and the way out, and nothing half-written."""

import io
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.conftest import Run, saved_runs
from tests.conftest import WEIGHTS_FOLDER

SMALLEST = "smollm2-135m"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
Prepare = Callable[[pytest.MonkeyPatch, Path], None]


def nothing(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Everything is in order."""


def no_weights(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.delenv("AGENT_LAB_DEFAULT_MODEL")


def corrupt_weights(patch: pytest.MonkeyPatch, folder: Path) -> None:
    copy = folder / FILE
    shutil.copyfile(WEIGHTS_FOLDER / FILE, copy)
    with copy.open("r+b") as file:
        file.seek(50_000_000)
        file.write(b"damaged")
    patch.setenv("MODEL_CACHE_DIR", str(folder))


def small_window(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv("AGENT_LAB_LOCAL_CONTEXT", "256")
    patch.setattr(sys, "stdin", io.StringIO("word " * 400))


def blocked_outputs(patch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "file").write_text("", "utf-8")
    patch.setenv("AGENT_LAB_OUTPUTS_DIR", str(folder / "file" / "outputs"))


def binary_attachment(patch: pytest.MonkeyPatch, folder: Path) -> None:
    Path("picture.png").write_bytes(b"\x89PNG\xff\xfe")


def broken_models_file(patch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "own.toml").write_text('[models.x]\nprovider = "local"\nwindow = 3\n', "utf-8")
    patch.setenv("AGENT_LAB_MODELS_FILE", str(folder / "own.toml"))


def broken_flow_files(patch: pytest.MonkeyPatch, folder: Path) -> None:
    folder = Path.cwd().parent
    (folder / "broken.json").write_text('{"name": "x",\n "nodes": [,]}', "utf-8")
    (folder / "twice.json").write_text('{"name": "x", "nodes": [], "name": "y"}', "utf-8")
    (folder / "list.json").write_text("[1, 2]", "utf-8")
    (folder / "deep.json").write_text("[" * 100_000, "utf-8")
    (folder / "binary.json").write_bytes(b"\xff\xfe{}")
    (folder / "faulty.json").write_text('{"name": "x", "nodes": [], "colour": "red"}', "utf-8")


class Case(NamedTuple):
    """A command that cannot work, and what it must say."""

    command: tuple[str, ...]
    code: int
    says: tuple[str, ...]
    prepare: Prepare = nothing
    leaves: int = 0
    """Saved runs: a run that failed on its way is a whole record, too."""


RUN = ("run", "challenge", "Why?")
CASES = {
    "unknown flow": Case(
        ("run", "chalenge", "Why?"),
        2,
        ("Unknown flow `chalenge`", "`challenge`", "agent-lab flows list"),
    ),
    "unknown model": Case(
        (*RUN, "--model", "smollm"), 2, ("Unknown model `smollm`", "`smollm2-135m`", "models list")
    ),
    "unknown model of a role": Case(
        (*RUN, "--role", "creator=gpt"), 2, ("Unknown model `gpt`", "agent-lab models list")
    ),
    "unknown role": Case(
        (*RUN, "--role", "critic=fake"),
        2,
        ("Unknown role `critic`", "`creator`", "agent-lab flows show challenge"),
    ),
    "malformed role": Case(
        (*RUN, "--role", "creator"), 2, ("`--role creator`", "`ROLE=MODEL`", "agent-lab run")
    ),
    "unknown strategy": Case(
        (*RUN, "--strategy", "optimised"),
        2,
        ("Unknown strategy `optimised`", "`optimized`", "agent-lab"),
    ),
    "empty prompt": Case(("run", "challenge", " "), 2, ("`prompt`", "agent-lab run challenge")),
    "empty direct prompt": Case(("ask", ""), 2, ("`prompt`", "agent-lab ask")),
    "temperature out of range": Case(
        (*RUN, "--temperature", "3"),
        2,
        ("--temperature", "less than or equal to 2", "agent-lab run --help"),
    ),
    "prompt longer than the window": Case(
        ("run", "challenge", "-", "--model", SMALLEST),
        2,
        ("tokens, but", "256 tokens", "AGENT_LAB_LOCAL_CONTEXT", "agent-lab run"),
        small_window,
        leaves=1,
    ),
    "weights missing while offline": Case(
        (*RUN, "--model", SMALLEST),
        4,
        (f"`{SMALLEST}`", f"agent-lab models pull {SMALLEST}"),
    ),
    "no model at all": Case(
        RUN, 4, ("No local model", "agent-lab models pull qwen2.5-coder-1.5b"), no_weights
    ),
    "pull while offline": Case(
        ("models", "pull", SMALLEST), 5, (f"`{SMALLEST}`", "offline", "AGENT_LAB_OFFLINE")
    ),
    "corrupt weights": Case(
        (*RUN, "--model", SMALLEST),
        4,
        (FILE, "b179c9523d0e", f"agent-lab models pull {SMALLEST} --force"),
        corrupt_weights,
    ),
    "attachment missing": Case(
        (*RUN, "--attach", "notes.md"), 2, ("`notes.md`", "no such file", "--attach")
    ),
    "attachment not text": Case(
        (*RUN, "--attach", "picture.png"),
        2,
        ("`picture.png`", "not UTF-8 text", "--attach"),
        binary_attachment,
    ),
    "outputs folder not writable": Case(
        RUN, 4, ("outputs", "cannot be written", "AGENT_LAB_OUTPUTS_DIR"), blocked_outputs
    ),
    "answer file not writable": Case(
        (*RUN, "-o", "/proc/none/answer.md"), 4, ("`/proc/none`", "cannot be written", "-o FILE")
    ),
    "wrong models file": Case(
        ("models", "list"), 4, ("`models.x`", "`window`", "context_window"), broken_models_file
    ),
    "no server to load a model": Case(
        ("models", "load", "fake", "--server", "http://127.0.0.1:9"),
        5,
        ("`http://127.0.0.1:9`", "Connection refused", "agent-lab serve"),
    ),
    "server that is no address": Case(
        ("models", "unload", "fake", "--server", "file:///etc/passwd"),
        2,
        ("`file:///etc/passwd`", "http://HOST:PORT", "--server"),
    ),
    "source of a model of another form": Case(
        ("models", "add", "owner/repo"),
        2,
        ("`owner/repo`", "hf:OWNER/REPO", "agent-lab models add"),
    ),
    "model of the hub while offline": Case(
        ("models", "add", "hf:owner/repo"), 4, ("`hf:owner/repo`", "AGENT_LAB_OFFLINE")
    ),
    "language that is no code": Case(
        ("models", "recommend", "--language", "Spanish"), 2, ("`Spanish`", "--language es")
    ),
    "recommendation for an unknown capability": Case(
        ("models", "recommend", "--capability", "tool"),
        2,
        ("`tool`", "`tools`", "agent-lab models recommend --help"),
    ),
    "unknown command": Case(("runn",), 2, ("runn", "agent-lab --help")),
    "unknown flow to look at": Case(
        ("flows", "validate", "chalenge"), 2, ("`chalenge`", "`challenge`", "agent-lab flows list")
    ),
    "flow file missing": Case(
        ("run", "mine.json", "Why?"), 2, ("`mine.json`", "no such file", "agent-lab flows schema")
    ),
    "flow file no JSON": Case(
        ("flows", "validate", "../broken.json"),
        2,
        ("`../broken.json`", "line 2, column 12", "agent-lab flows schema"),
        broken_flow_files,
    ),
    "flow file with a field twice": Case(
        ("flows", "show", "../twice.json"), 2, ("`name` twice",), broken_flow_files
    ),
    "flow file no object": Case(
        ("flows", "test", "../list.json"), 2, ("no JSON object but a list",), broken_flow_files
    ),
    "flow file too deep": Case(
        ("flows", "validate", "../deep.json"), 2, ("nested too deeply",), broken_flow_files
    ),
    "flow file no text": Case(
        ("flows", "validate", "../binary.json"), 2, ("not UTF-8 text",), broken_flow_files
    ),
    "flow file faulty": Case(
        ("run", "../faulty.json", "Why?"), 3, ("`x`", "colour", "nodes"), broken_flow_files
    ),
    "malformed input": Case(
        (*RUN, "--input", "rounds"), 2, ("`--input rounds`", "`NAME=VALUE`", "flows show challenge")
    ),
    "unknown input": Case(
        (*RUN, "--input", "round=2"), 2, ("`round`", "`rounds`", "agent-lab flows show challenge")
    ),
    "input out of range": Case((*RUN, "--input", "rounds=0"), 2, ("`rounds`", "less than 1")),
    "unknown member": Case(
        ("run", "multi_perspective", "Why?", "--input", "experts=ux,securty"),
        2,
        ("`securty`", "`security`"),
    ),
    "plan with an unknown model": Case((*RUN, "--plan", "--model", "gpt"), 2, ("`gpt`",)),
    "plan with an unknown strategy": Case((*RUN, "--plan", "--strategy", "x"), 2, ("`x`",)),
    "plan with an unknown role": Case((*RUN, "--plan", "--role", "critic=fake"), 2, ("`critic`",)),
    "plan of an empty prompt": Case(("run", "challenge", " ", "--plan"), 2, ("`prompt`",)),
    "missing argument": Case(("run", "challenge"), 2, ("prompt", "agent-lab run --help")),
    "unknown option": Case((*RUN, "--models", "x"), 2, ("--models", "agent-lab run --help")),
    "unknown language": Case((*RUN, "--lang", "fr"), 2, ("fr", "en", "es", "agent-lab run --help")),
}
NEEDS_WEIGHTS = {"prompt longer than the window", "corrupt weights"}


@pytest.mark.usefixtures("fake_model")
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case,
            id=name,
            marks=[pytest.mark.weights(SMALLEST)] if name in NEEDS_WEIGHTS else [],
        )
        for name, case in CASES.items()
    ],
)
def test_bad_input_is_one_line_that_names_the_way_out(
    case: Case, agent_lab: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    case.prepare(monkeypatch, tmp_path)
    before = set(Path.cwd().rglob("*"))
    ran = agent_lab(*case.command)
    assert ran.code == case.code, ran.err
    assert ran.out == ""
    assert len(ran.err.splitlines()) == 1, ran.err
    for text in case.says:
        assert text in ran.err
    assert len(saved_runs()) == case.leaves
    new = {path for path in set(Path.cwd().rglob("*")) - before if path.is_file()}
    assert {path.suffix for path in new} <= {".json"}
    assert len(new) == case.leaves
