"""Runs that vote, at the command line: what is shown of counts, of baselines and of the cache."""

import json
from pathlib import Path

import pytest

from agent_lab.contracts import RunRecord
from tests.cli.conftest import Run

APPLES = "How many apples are 6 bags of 7 apples?"
DEBATE = ("run", "debate", APPLES)
MODELS = """
[models.fake]
provider = "scripted"
context_window = 8192
[models.fake.options.answers]
debater_a = "6 times 7.\\nANSWER: 42"
debater_b = "I guess.\\nANSWER: 41"
debater_c = "I count them.\\nANSWER: 42"
solver = "I count them.\\nANSWER: 42"
"""


@pytest.fixture(autouse=True)
def model_that_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model whose debaters are of two minds."""
    file = tmp_path / "counting.toml"
    file.write_text(MODELS, "utf-8")
    monkeypatch.setenv("AGENT_LAB_MODELS_FILE", str(file))
    monkeypatch.setenv("AGENT_LAB_DEFAULT_MODEL", "fake")


def heads(shown: str) -> list[str]:
    """The first words of each turn and each count."""
    return [line.partition(" · ")[0] for line in shown.splitlines() if line[:1] in ("━", "⚖")]


def test_counts_stand_behind_the_turns_that_they_count_live_and_afterwards(agent_lab: Run):
    live = agent_lab(*DEBATE, "--stream")
    assert live.code == 0
    drafts, exchanged = ["━━ 1", "━━ 2", "━━ 3"], ["━━ 4", "━━ 5", "━━ 6"]
    expected = [*drafts, "⚖ gate", *exchanged, "⚖ vote"]
    assert heads(live.err) == expected
    afterwards = agent_lab("runs", "show", "last")
    assert heads(afterwards.err) == expected
    counts = [line for line in live.err.splitlines() if line[:1] == "⚖"]
    assert counts == [line for line in afterwards.err.splitlines() if line[:1] == "⚖"]
    assert "  42 · 2 votes · debater_a, debater_c\n  41 · 1 vote · debater_b\n" in live.err
    replayed = agent_lab("runs", "replay", "last")
    assert [line for line in replayed.err.splitlines() if line[:1] == "⚖"] == counts


def test_a_baseline_is_taken_and_told_on_request(agent_lab: Run):
    live = agent_lab(*DEBATE, "--baseline", "--stream")
    assert live.code == 0
    line = (
        "baseline · self_consistency on fake (the only model of the run): answer 42 · same answer"
    )
    assert f"\n{line}" in live.err
    assert "lift: unknown (needs an evaluation)" in live.err
    assert "━━ 7 · baseline.solver[0] · fake" in live.err
    assert "⚖ baseline.vote · blind" in live.err
    shown = agent_lab("runs", "show", "last").err
    assert f"\n{line}" in shown
    assert shown.index("⚖ baseline.vote") < shown.index(line)


def test_where_nobody_looks_on_the_baseline_is_told_in_one_line(agent_lab: Run):
    ran = agent_lab(*DEBATE, "--baseline")
    assert ran.out == "I count them.\nANSWER: 42\n"
    [line] = [line for line in ran.err.splitlines() if "baseline" in line]
    assert line.startswith("agent-lab: baseline · self_consistency on fake")


def test_the_record_has_the_votes_the_ballots_and_the_baseline(agent_lab: Run):
    record = RunRecord.model_validate_json(agent_lab(*DEBATE, "--baseline", "--json").out)
    assert record.baseline is not None
    assert record.baseline["agrees"] is True
    assert [step.path for step in record.steps if step.vote] == ["gate", "vote", "@baseline.vote"]
    assert {ballot["voter"] for ballot in record.ballots} >= {"debater_a", "debater_b"}
    without = RunRecord.model_validate_json(agent_lab(*DEBATE, "--json").out)
    assert without.baseline is None


def test_a_plan_says_what_the_baseline_can_take(agent_lab: Run):
    plain = agent_lab(*DEBATE, "--plan").out
    assert "baseline" not in plain
    [*_, worst, baseline] = agent_lab(*DEBATE, "--plan", "--baseline").out.splitlines()
    read, written = (int(part.split()[0].replace(",", "")) for part in worst.split(", ")[1:3])
    assert baseline == (
        "  baseline: self_consistency, for about as many tokens again as the run takes: "
        f"in the worst case {read + written:,}"
    )


@pytest.mark.parametrize(("cache", "hits"), [("on", 1), ("off", 0), ("default", 0)])
def test_a_turn_from_the_answer_cache_is_told(agent_lab: Run, cache: str, hits: int):
    said = {"role": "solver", "prompt_template": "Say it.", "temperature": 0.7}
    flow = {
        "name": "twice",
        "entry_point": "first",
        "nodes": [{"id": "first", **said}, {"id": "second", **said}],
        "edges": [{"source": "first", "target": "second"}],
    }
    Path("twice.json").write_text(json.dumps(flow), "utf-8")
    live = agent_lab("run", "twice.json", APPLES, "--cache", cache, "--stream")
    assert live.code == 0
    shown = agent_lab("runs", "show", "last").err
    for text in (live.err, shown):
        assert text.count(" · from the answer cache (") == hits


def test_another_word_for_the_cache_is_refused(agent_lab: Run):
    assert agent_lab(*DEBATE, "--cache", "maybe").code == 2
