"""Runs that wait for a person, at the command line."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

REVIEWED = {
    "name": "reviewed",
    "entry_point": "creator",
    "nodes": [
        {"id": "creator", "prompt_template": "Draft."},
        {"id": "review", "type": "human", "prompt_template": "Is it right? {creator_output}"},
        {"id": "refiner", "prompt_template": "{creator_output} {review_output}"},
    ],
    "edges": [
        {"source": "creator", "target": "review"},
        {"source": "review", "target": "refiner"},
    ],
}


@pytest.fixture(autouse=True)
def flow(tmp_path: Path, fake_model: None) -> Path:
    path = tmp_path / "reviewed.json"
    path.write_text(json.dumps(REVIEWED), "utf-8")
    return path


def test_a_run_that_waits_says_for_what_and_how_to_answer(agent_lab: Run, flow: Path):
    ran = agent_lab("run", flow, "why?")
    assert (ran.code, ran.out) == (0, "")
    assert "waits for `review:0:0`" in ran.err
    assert "the draft" in ran.err
    assert "agent-lab runs answer" in ran.err


def test_with_an_answer_it_goes_on_to_its_end(agent_lab: Run, flow: Path):
    agent_lab("run", flow, "why?")
    ran = agent_lab("runs", "answer", "last", "No, it is not.")
    assert (ran.code, ran.out) == (0, "the final answer\n")
    again = agent_lab("runs", "answer", "last", "Yes, it is.")
    assert again.code == 1
    assert "waits for nobody" in again.err
    assert agent_lab("runs", "replay", "last").code == 0


def test_a_waiting_run_is_shown_as_one(agent_lab: Run, flow: Path):
    agent_lab("run", flow, "why?")
    assert json.loads(agent_lab("runs", "show", "last", "--json").out)["status"] == "waiting"
    resumed = agent_lab("runs", "resume", "last")
    assert resumed.code == 1
    assert "agent-lab runs answer" in resumed.err
