"""The scripts do what their first lines say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from agent_lab.config import Settings
from agent_lab.contracts import RunRequest
from agent_lab.lab import build
from agent_lab.providers.provider_gateway import ProviderGateway
from tests.conftest import REPOSITORY


def script(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / name, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.weights("smollm2-135m")
def test_direct_inference_asks_one_model():
    ran = script("direct_inference.py", "Hi", "--model", "smollm2-135m", "--max-tokens", "4")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()
    assert re.search(r"smollm2-135m: [1-4] tokens? ", ran.stderr)


def test_direct_inference_says_what_is_wrong():
    ran = script("direct_inference.py", "Hi", "--model", "gpt")
    assert ran.returncode == 2
    assert "Unknown model `gpt`" in ran.stderr
    assert "agent-lab models list" in ran.stderr


def test_generated_pages_are_up_to_date():
    ran = script("generate_docs.py", "--check")
    assert ran.returncode == 0, ran.stderr


async def test_a_saved_run_can_be_drawn(settings: Settings, tmp_path: Path):
    critique = "the critique: [high] and [/no markup]"
    answers = {"creator": "draft", "challenger": critique, "refiner": "final"}
    lab = build(settings, gateway=ProviderGateway.scripted(answers))
    record = await lab.runs.run(RunRequest(flow="challenge", input="Why?"))
    saved = lab.runs.record_path(record.flow, record.id)
    ran = script("draw_debate.py", saved, tmp_path / "debate.svg")
    assert ran.returncode == 0, ran.stderr
    picture = (tmp_path / "debate.svg").read_text("utf-8")
    assert "the&#160;critique" in picture
    assert "[high]&#160;and&#160;[/no&#160;markup]" in picture
    assert "@font-face" not in picture
