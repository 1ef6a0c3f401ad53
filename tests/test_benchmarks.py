"""The benchmarks run; what they find depends on the machine."""

import subprocess
import sys

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
