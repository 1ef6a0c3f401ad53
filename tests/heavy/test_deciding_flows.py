"""The flows that decide together run undegraded on a real model of 1.5B.

Nothing is asserted of what the model says, or of how it votes: that differs from one processor to
the next. How much of it could be read is printed.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from agent_lab.config import Settings
from agent_lab.contracts import RunRecord, RunRequest
from agent_lab.deliberation.votes import Vote
from agent_lab.lab import Lab, build

MODEL = "qwen2.5-coder-1.5b"
COUNTED = "A baker makes 12 trays of 8 rolls and sells 59 of them. How many rolls are left?"
WRITTEN = "Write a slogan for a small bakery by the sea, in at most eight words."
FLOWS: Mapping[str, Mapping[str, Any]] = {
    "self_consistency": {"samples": 3},
    "consensus": {},
    "debate": {"agreement": 1},
    "mixture_of_agents": {},
}

pytestmark = [pytest.mark.heavy, pytest.mark.weights(MODEL)]


async def ran(lab: Lab, flow: str, task: str, lang: str) -> RunRecord:
    """A run in which every role said something: now and then a model ends before it begins."""
    for seed in range(10):
        request = {
            "flow": flow,
            "input": task,
            "inputs": FLOWS[flow],
            "model": MODEL,
            "seed": seed,
            "lang": lang,
        }
        record = await lab.runs.run(RunRequest.parse(request))
        if all(turn.status == "ok" for turn in record.turns):
            return record
    pytest.fail("with none of 10 seeds did all roles say something")


def votes(record: RunRecord) -> Iterator[Vote]:
    return (Vote.model_validate(step.vote) for step in record.steps if step.vote is not None)


def read_of(vote: Vote) -> tuple[int, int]:
    """How many ballots could be read, and of how many."""
    return vote.tally.valid + vote.tally.abstained, vote.tally.eligible


@pytest.mark.parametrize(("task", "lang"), [(COUNTED, "en"), (WRITTEN, "es")])
@pytest.mark.parametrize("flow", FLOWS)
async def test_a_flow_that_decides_runs_undegraded(
    flow: str, task: str, lang: str, settings: Settings, capsys: pytest.CaptureFixture[str]
):
    async with build(settings) as lab:
        record = await ran(lab, flow, task, lang)
    counted = [vote for vote in votes(record) if vote.eligible]
    read, cast = map(sum, zip(*map(read_of, counted), strict=True)) if counted else (0, 0)
    with capsys.disabled():
        print(  # noqa: T201 - figures that a test cannot assert
            f"\n{flow} · {lang} · {record.outputs.get('method', 'aggregated')}: "
            f"{read} of {cast} ballots read, {len(record.turns)} turns, "
            f"{record.stop_reason}, answer {record.output[-60:]!r}"
        )
    assert (record.status, record.degraded) == ("completed", ())
    assert record.output.strip()
    for vote in counted:
        assert set(vote.tally.invalid) <= set(vote.eligible)
        assert len(vote.tally.invalid) + sum(read_of(vote)[:1]) == vote.tally.eligible
