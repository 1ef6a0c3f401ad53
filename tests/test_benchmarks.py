"""The benchmarks run; what they find depends on the machine."""

import subprocess
import sys

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
