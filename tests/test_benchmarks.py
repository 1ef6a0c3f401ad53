"""The benchmarks run; what they find depends on the machine."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY


def test_all_arms_of_the_orchestrator_ask_the_same_and_are_told_in_one_table():
    ran = subprocess.run(
        [sys.executable, REPOSITORY / "benchmarks" / "orchestrator.py", "--quick"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert "| three roles | ours, `run_flow` |" in ran.stdout
    assert "| runs at once | ours, us a run |" in ran.stdout
    assert "| challenge | 3 |" in ran.stdout


def test_all_arms_of_durability_ask_the_same_and_are_told_beside_the_gates():
    ran = subprocess.run(
        [sys.executable, REPOSITORY / "benchmarks" / "durability.py", "--quick"],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert ran.returncode == 0, ran.stderr
    assert "| three turns, 20 at once, 3 turns |" in ran.stdout
    assert "| LangGraph, SQLite saver |" in ran.stdout
    assert "kB of a run in the SQLite file, at most 8" in ran.stdout


@pytest.mark.heavy
@pytest.mark.weights("smollm2-135m")
def test_all_arms_of_local_models_are_loaded_alike_and_told_beside_the_gates():
    ran = subprocess.run(
        [sys.executable, REPOSITORY / "benchmarks" / "local.py", "--quick"],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert ran.returncode == 0, ran.stderr
    assert "| smollm2-135m | 8 |" in ran.stdout
    assert "| smollm2-135m | refiner |" in ran.stdout
    assert "| model | busy loops |" in ran.stdout
    assert "smollm2-135m, 1 at once: lab / bare, at least 0.95" in ran.stdout


def test_a_vote_of_equal_answers_gains_nothing_and_the_benchmark_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    models = tmp_path / "models.toml"
    models.write_text(
        '[models.deep_thought]\nprovider = "scripted"\ncontext_window = 8192\n'
        '[models.deep_thought.options.answers]\nsolver = "ANSWER: 42"\n',
        "utf-8",
    )
    monkeypatch.setenv("AGENT_LAB_MODELS_FILE", str(models))
    ran = deliberated("--model", "deep_thought", "--samples", "3")
    assert ran.returncode == 1, ran.stderr
    # Of all 64 products two are 42.
    assert "| vote of 3 | 0.031 |" in ran.stdout
    assert "| greedy | 0.031 |" in ran.stdout
    assert "| 0.8 or more | 64 | 0.031 |" in ran.stdout
    assert "- of the draws the stop rule saves: 0.333, with the same winner: 1.000" in ran.stdout
    assert "- FAIL: vote minus one sample, above zero: +0.000 [+0.000, +0.000]" in ran.stdout


@pytest.mark.heavy
@pytest.mark.weights("smollm2-135m")
def test_a_vote_of_a_real_model_is_told_beside_the_gate():
    ran = deliberated("--items", "4", "--samples", "3")
    assert ran.returncode in (0, 1), ran.stderr
    assert "| mean of 3 samples |" in ran.stdout
    assert "- calls: 16, seconds: " in ran.stdout
    verdict = "pass" if ran.returncode == 0 else "FAIL"
    assert f"- {verdict}: vote minus one sample" in ran.stdout


def deliberated(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, REPOSITORY / "benchmarks" / "deliberation.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
