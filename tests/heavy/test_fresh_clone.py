"""What README promises a newcomer, on a fresh clone in a clean environment."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, WEIGHTS_FOLDER

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1800)]


def clean_environment(home: Path, **more: str) -> dict[str, str]:
    """The machine's own settings (package index, certificates), and none of ours."""
    ours = ("AGENT_LAB_", "XDG_", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "AGENT_LAB_HOME": str(home), **more}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh") / "clone"
    subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(folder)], check=True)
    return folder


def saved_runs(clone: Path) -> list[Path]:
    return list(clone.glob("outputs/challenge_flows/*.json"))


def make_demo(clone: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment(home, MODEL_CACHE_DIR=str(WEIGHTS_FOLDER))
    return subprocess.run(
        ["make", "demo", *arguments],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_make_demo_is_a_real_debate_and_fetches_nothing_the_second_time(
    clone: Path, tmp_path: Path
):
    before = set(saved_runs(clone))
    first = make_demo(clone, tmp_path)
    assert first.returncode == 0, first.stderr
    second = make_demo(clone, tmp_path)
    assert second.returncode == 0, second.stderr
    assert second.stderr.count("is here already") == 2
    assert "2 of 3 turns found the model loaded" in second.stderr
    new = set(saved_runs(clone)) - before
    runs = [json.loads(path.read_text("utf-8")) for path in new]
    assert len(runs) == 2
    for run in runs:
        assert run["status"] == "completed"
        assert run["degraded"] == []
        assert [turn["role"] for turn in run["turns"]] == ["creator", "challenger", "refiner"]
        assert {turn["model_resolved"] for turn in run["turns"]} == {"qwen2.5-coder-1.5b"}
        assert run["output"] in first.stdout + second.stdout


def test_make_demo_takes_a_smaller_model(clone: Path, tmp_path: Path):
    ran = make_demo(clone, tmp_path, "MODEL=smollm2-135m")
    assert ran.returncode == 0, ran.stderr
    assert "smollm2-135m" in ran.stderr


def test_a_pull_from_the_index_gives_the_official_file(clone: Path, tmp_path: Path):
    environment = clean_environment(tmp_path, MODEL_CACHE_DIR=str(tmp_path / "models"))
    subprocess.run(["make", "setup"], cwd=clone, env=environment, check=True, capture_output=True)
    command = [str(clone / ".venv/bin/agent-lab"), "models", "pull", "qwen2.5-coder-0.5b"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    # Kept under its final name only if its sha256 is the one that the registry names.
    files = {path.name: path.stat().st_size for path in (tmp_path / "models").iterdir()}
    assert files["qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"] == 491_400_064
    assert not [name for name in files if "partial" in name]
