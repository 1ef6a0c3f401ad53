"""In every shipped flow, a turn finds computed what it has in common with the prompt before it.

A change that puts a role's own words before the shared head, or an engine that forgets, makes every
turn of every debate read the task again: on a laptop that is most of the time that it takes.
"""

from itertools import pairwise

import pytest

from agent_lab.config import Settings
from agent_lab.contracts import RunRecord, RunRequest, Turn
from agent_lab.flows.graph_configs import FLOW_CONFIGS
from agent_lab.lab import build

SMALLEST = "smollm2-135m"
POINTS = 16
TASK = "Explain how a hash table handles collisions, point by point.\n" + "\n".join(
    f"{i}. What happens to lookups when bucket {i} has several keys and the table is resized?"
    for i in range(1, POINTS + 1)
)
"""About 400 tokens."""


async def ran(settings: Settings, flow: str) -> RunRecord:
    one_slot = settings.model_copy(update={"local_slots": 1})
    async with build(one_slot) as lab:
        for seed in range(10):
            request = {
                "flow": flow,
                "input": TASK,
                "model": SMALLEST,
                "max_tokens": 30,
                "seed": seed,
                "lang": "en",
            }
            record = await lab.runs.run(RunRequest.parse(request))
            # Now and then the smallest model ends before it begins.
            if all(turn.status == "ok" for turn in record.turns):
                return record
    pytest.fail("with none of 10 seeds did all roles say something")


def common(turn: Turn, before: Turn) -> float:
    """The share of a prompt, in characters, with which another one begins, too."""
    own, other = ("".join(m.content for m in each.messages) for each in (turn, before))
    return _prefix(own, other) / len(own)


def _prefix(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


@pytest.mark.weights(SMALLEST)
@pytest.mark.parametrize("flow", FLOW_CONFIGS)
async def test_what_prompts_have_in_common_is_read_once(flow: str, settings: Settings):
    turns = (await ran(settings, flow)).turns
    # With one slot, turns end in the order in which the engine has read their prompts.
    for before, turn in pairwise(turns):
        share = common(turn, before)
        assert share > 0.3, f"the prompt of `{turn.role}` begins with words of its own"
        found = turn.cached_tokens / turn.prompt_tokens
        assert found > 0.85 * share, f"`{turn.role}` found {found:.0%}, and {share:.0%} was there"
        if turn.role == "refiner":
            assert found > 0.6
