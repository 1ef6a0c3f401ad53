"""Who speaks in a turn, and what it took, in words."""

from datetime import UTC, datetime

import pytest

from agent_lab.cli.turn_texts import Speaker, node_path, speaker, took
from agent_lab.contracts import Timings, Turn

NOW = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.mark.parametrize(
    ("path", "node", "role", "expected", "own"),
    [
        ("creator", "creator", "creator", Speaker("creator", ""), "creator"),
        ("a_drafter", "a_drafter", "debater_a", Speaker("debater_a", ""), "a_drafter"),
        ("inner.creator", "creator", "creator", Speaker("inner.creator", ""), "inner.creator"),
        ("solver[3]", "solver", "solver", Speaker("solver", "[3]"), "solver"),
        (
            "@baseline.solver[0]",
            "solver",
            "solver",
            Speaker("baseline.solver", "[0]"),
            "@baseline.solver",
        ),
        (
            "a_ballot.repair",
            "a_ballot",
            "debater_a",
            Speaker("debater_a", " · asked once more"),
            "a_ballot",
        ),
        (
            "inner.judge[1].repair",
            "judge",
            "judge",
            Speaker("inner.judge", "[1] · asked once more"),
            "inner.judge",
        ),
    ],
)
def test_a_path_says_who_speaks(path: str, node: str, role: str, expected: Speaker, own: str):
    assert speaker(path, node, role) == expected
    assert node_path(path, node) == own


def turn(**fields: object) -> Turn:
    known = {"node_id": "a", "path": "a", "role": "a", "status": "ok", "started_at": NOW}
    known |= {"prompt_tokens": 9, "completion_tokens": 3, "timings": Timings(decode=2.0)}
    return Turn.model_validate({**known, "model_warm": True, **fields})


def test_a_turn_says_where_its_time_went():
    line = "2.5 s (write 2.0 s) · 9 tokens read, 3 written · model was loaded"
    assert took(turn(seconds=2.5)) == line


def test_a_turn_from_the_answer_cache_says_so_and_has_no_times_of_its_own():
    line = "0.0 s · from the answer cache (9 tokens read, 3 written when a model was asked)"
    assert took(turn(cache_hit=True)) == line
