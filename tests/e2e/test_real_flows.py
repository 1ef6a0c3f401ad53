"""The shipped flows on the real 1.5B model are undegraded, and each role is sent what it needs.

Nothing is asserted of what the model says: that differs from one processor to the next.
"""

import re
from dataclasses import replace
from typing import Any

import pytest

from agent_lab.config import Settings
from agent_lab.contracts import RunRecord, RunRequest, Turn
from agent_lab.flows.graph_configs import get_flow_config
from agent_lab.lab import Lab, build
from tests.conftest import service_of

MODEL = "qwen2.5-coder-1.5b"
TASK = "Write a Python function mean(x), in at most 40 words. {x.__class__}"
pytestmark = pytest.mark.weights(MODEL)


async def ran(lab: Lab, flow: str, **options: Any) -> RunRecord:
    """A run in which every role said something: now and then a model ends before it begins."""
    for seed in range(10):
        request = {"flow": flow, "input": TASK, "model": MODEL, "max_tokens": 20, "seed": seed}
        record = await lab.runs.run(RunRequest.parse({**request, **options}))
        if all(turn.status == "ok" for turn in record.turns):
            return record
    pytest.fail("with none of 10 seeds did all roles say something")


def prompt(turn: Turn) -> str:
    return turn.messages[-1].content


def sent(record: RunRecord) -> dict[str, str]:
    """The last prompt of each node; every one begins with the task as it was written."""
    prompts = {turn.path: prompt(turn) for turn in record.turns}
    for text in prompts.values():
        assert text.startswith(f"# Task\n\n{TASK}\n\n")
    assert len({turn.messages[0] for turn in record.turns}) == 1
    assert (record.status, record.degraded) == ("completed", ())
    return prompts


async def test_challenge_completes_and_each_role_is_sent_what_it_needs(settings: Settings):
    async with build(settings) as lab:
        record = await ran(lab, "challenge")
    prompts = sent(record)
    draft = record.turns[0].text.strip()
    assert "<draft" not in prompts["creator"]
    for role in ("challenger", "refiner"):
        assert '<draft id="' in prompts[role]
        assert draft in prompts[role]
        assert prompts[role].index(draft) < prompts[role].index("# Your role")
    for wanted in ("<settled_issues", "[high]", "[medium]", "[low]", "quote", "No issue found"):
        assert wanted in prompts["challenger"]
    for wanted in ("<open_issues", "fixed", "declined", "Keep what is right", "whole solution"):
        assert wanted in prompts["refiner"]
    assert record.stop_reason in {"issues_closed", "max_rounds"}


async def test_linear_completes_and_each_role_is_sent_what_it_needs(settings: Settings):
    checks = [{"check": "length", "min_characters": 1}]
    async with build(settings) as lab:
        record = await ran(lab, "linear", inputs={"checks": checks})
    prompts = sent(record)
    assert [step.node_id for step in record.steps][-4:] == [
        "execution",
        "output_validator",
        "history_reader",
        "summary",
    ]
    assert "# What it asks for" in prompts["execution"]
    assert "Python" in prompts["execution"].replace(TASK, "")
    assert record.turns[0].text.strip() in prompts["summary"]
    assert "Score of the checks: 1.00, accepted." in prompts["summary"]
    assert record.metrics["quality_score"] == 1.0
    assert record.stop_reason == "completed"


async def test_multi_perspective_completes_and_the_synthesizer_has_every_expert(
    settings: Settings,
):
    async with build(settings) as lab:
        record = await ran(lab, "multi_perspective")
    prompts = sent(record)
    assert set(prompts) == {"security_expert", "performance_expert", "ux_expert", "synthesizer"}
    for lens, node in (("security", "security_expert"), ("user experience", "ux_expert")):
        assert f"lens: {lens}:" in prompts[node]
        assert "<" not in prompts[node].removeprefix(f"# Task\n\n{TASK}")
    for turn in record.turns[:3]:
        assert turn.text.strip() in prompts["synthesizer"]
    for name in ("## Security expert", "## Performance expert", "## UX expert"):
        assert prompts["synthesizer"].count(name) == 1
    assert "conflicts and minority points" in prompts["synthesizer"]


async def test_prompts_do_not_grow_with_rounds(settings: Settings):
    flow = get_flow_config("challenge")
    endless = flow.model_copy(
        update={"loops": tuple(loop.model_copy(update={"until": None}) for loop in flow.loops)}
    )
    async with build(settings) as lab:
        runs = service_of(lab.gateway, {"challenge": endless}, settings.outputs_dir)
        record = await ran(replace(lab, runs=runs), "challenge", inputs={"rounds": 3})
    assert [turn.round for turn in record.turns] == [1, 1, 1, 2, 2, 3, 3]
    for role in ("challenger", "refiner"):
        first, *_, last = (turn for turn in record.turns if turn.role == role)
        # All that may differ: the draft, and the lists of issues with a line for each.
        assert _rest(prompt(first)) == _rest(prompt(last))
        assert prompt(last).count("<draft") == 1
        issues = prompt(last).split("issues id=")[1].split("</")[0]
        assert issues.count("\n") <= 1 + len(record.issues) or "(none)" in issues


def _rest(text: str) -> str:
    """A prompt without what stands in its fences."""
    return re.sub(r'<(\w+) id="\w+">.*?</\1>', r"<\1>", text, flags=re.DOTALL)
