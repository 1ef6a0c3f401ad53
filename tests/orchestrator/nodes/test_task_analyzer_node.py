"""The task analyzer: what a task is and asks for, by rules, without a model."""

import pytest

from agent_lab.contracts import Language
from agent_lab.deliberation.tasks import analyze_task, requirements_text
from agent_lab.orchestrator.agent_state import AgentState
from tests.orchestrator.conftest import begun, planned, staged, worked

PLAN = planned({"id": "analyzer", "type": "task_analyzer"})
DEMANDING = "Write a Python function parse(text). Answer in at most 80 words. Include an example."


@pytest.mark.parametrize(
    ("text", "lang", "task_type", "demanding"),
    [
        (DEMANDING, "en", "code", True),
        ("What is a tide?", "en", "question", False),
        ("Traduce esto al inglés: hola", "es", "translation", False),
        ("Explain. " * 500, "en", None, True),
    ],
    ids=["code", "question", "translation", "long"],
)
async def test_a_task_is_named_and_its_requirements_are_listed(
    text: str, lang: Language, task_type: str | None, demanding: bool
):
    update = await worked(PLAN, "analyzer", begun(text, lang), staged({}))
    analysis = analyze_task(text, lang)
    assert update["task_type"] == analysis.task_type
    assert task_type in (None, analysis.task_type)
    assert update["demanding"] is demanding
    assert update["requirements"] == requirements_text(analysis, lang)
    assert update["values"] == {
        "analyzer_task_type": analysis.task_type,
        "analyzer_demanding": demanding,
    }
    assert update["outputs"] == {"analyzer": f"{analysis.task_type}\n{update['requirements']}"}


async def test_a_task_that_asks_for_nothing_in_particular_says_so(
    fresh: AgentState, spanish: AgentState
):
    told = [
        (await worked(PLAN, "analyzer", state, staged({})))["requirements"]
        for state in (fresh, spanish)
    ]
    assert told == ["Nothing beyond the task itself.", "Nada más allá de la propia tarea."]


async def test_no_model_is_asked(fresh: AgentState):
    stage = staged({})
    await worked(PLAN, "analyzer", fresh, stage)
    assert stage.roles == []
    assert stage.turns == []


@pytest.mark.parametrize("text", ["", " ", "\x00", "\u202e", "{x.__class__}", "😀" * 5000])
async def test_any_task_can_be_analysed(text: str):
    update = await worked(PLAN, "analyzer", begun(text), staged({}))
    assert update["task_type"]
