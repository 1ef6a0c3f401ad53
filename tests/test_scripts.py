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


def script(name: str, *arguments: str | Path, reads: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / name, *arguments],
        input=reads,
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


async def test_a_transcript_tells_what_was_said_counted_and_changed(settings: Settings):
    answers = {
        "debater_a": ["35 / 5 = 7\nANSWER: 7", 'CHANGED "35 / 5 = 7": it counts gaps.\nANSWER: 8'],
        "debater_b": ["# 35 / 5\nANSWER: 7", "CHANGED: the others say 8.\nANSWER: 8"],
        "debater_c": ["7 + 1 = 8\nANSWER: 8"] * 2,
    }
    lab = build(settings, gateway=ProviderGateway.scripted(answers))
    record = await lab.runs.run(RunRequest(flow="debate", input="How many posts are there?"))
    ran = script("write_transcript.py", "A debate", reads=record.model_dump_json())
    assert ran.returncode == 0, ran.stderr
    blind, last = (
        ran.stdout.index(f"## Counted: {node} by plurality") for node in ("gate", "vote")
    )
    assert ran.stdout.index("(b_drafter)") < blind < ran.stdout.index("(b_exchange)") < last
    assert "\n> # 35 / 5\n> ANSWER: 7\n" in ran.stdout[:blind]
    assert "| `7` | debater_a, debater_b | 2 |" in ran.stdout[blind:last]
    assert "| `8` | debater_a, debater_c | 2 |" in ran.stdout[last:]
    assert "- debater_a goes from `7` to `8`, which counts\n- debater_b goes" in ran.stdout[last:]
    assert "`8`, which does not count: it does not say where" in ran.stdout[last:]
