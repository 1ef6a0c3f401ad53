"""The server does what its description says, whatever is sent to it."""

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.cli.conftest import started
from tests.cli.test_serve import address_of

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1200)]

MODEL = """
[models.fake]
provider = "scripted"
context_window = 4096
cost_profile = { input = 0.0, output = 0.0 }
options = { answers = { default = "an answer" } }
"""
# What the description cannot say of a run: which roles and inputs belong to which flow (400, 422),
# and that a run may end without an answer because its budget is too small for a single turn (402).
CONFIG = """
[[operations]]
include-path-regex = "/(orchestrate|api/runs|api/models)$"
[operations.checks]
positive_data_acceptance.expected-statuses = ["2xx", "400", "402", "422", "5xx"]
"""


def test_schemathesis_finds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "models.toml").write_text(MODEL, "utf-8")
    (tmp_path / "schemathesis.toml").write_text(CONFIG, "utf-8")
    monkeypatch.setenv("AGENT_LAB_MODELS_FILE", str(tmp_path / "models.toml"))
    monkeypatch.setenv("AGENT_LAB_DEFAULT_MODEL", "fake")
    with started("serve", "--port", "0") as server:
        address = f"{address_of(server)}/openapi.json"
        with urllib.request.urlopen(address, timeout=30) as response:  # noqa: S310 - loopback
            described = json.load(response)["paths"].values()
        program = str(Path(sys.executable).with_name("st"))
        config = str(tmp_path / "schemathesis.toml")
        command = [program, "--config-file", config, "run", address]
        ran = subprocess.run(
            [*command, "--checks", "all", "--max-examples", "20", "--no-color"],
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 0, ran.stdout
    counted = re.search(r"Operations: +(\d+) selected / (\d+) total", ran.stdout)
    assert counted, ran.stdout
    assert counted[1] == counted[2] == str(sum(len(methods) for methods in described))
    cases = re.search(r"(\d+) generated, (\d+) passed", ran.stdout)
    assert cases, ran.stdout
    assert cases[1] == cases[2]
    with capsys.disabled():
        sys.stdout.write(f"\nschemathesis: {counted[1]} operations, {cases[1]} cases, 0 failures\n")
