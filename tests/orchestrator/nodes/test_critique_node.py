"""A critique: its issues go into the ledger, whatever form the model gave them."""

from typing import Any

import pytest

from agent_lab.deliberation.issues import Issue, Ledger
from agent_lab.errors import ProviderUnavailableError
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate, updated
from agent_lab.orchestrator.condition_values import condition_values
from agent_lab.orchestrator.run_context import Place
from tests.orchestrator.conftest import (
    DRAFT,
    OPEN,
    debate,
    fenced_in,
    lost,
    planned,
    ran,
    speaker,
    spoke,
    staged,
    worked,
)

PLAN = debate()


async def criticised(state: AgentState, text: Any, **options: Any) -> tuple[StateUpdate, Any]:
    stage = staged({"challenger": text})
    return await worked(options.pop("plan", PLAN), "challenger", state, stage, **options), stage


def ledger(state: AgentState, update: StateUpdate) -> Ledger:
    return updated(state, update)["issues"]


async def test_an_issue_is_entered_with_its_place_in_the_draft(drafted: AgentState):
    update, _ = await criticised(drafted, '[high] "sum(x)": an empty list fails; return 0.')
    [issue] = ledger(drafted, update)
    assert (issue.id, issue.quote, issue.severity, issue.status) == (
        "C1",
        "sum(x)",
        "high",
        "open",
    )
    assert update["values"] == {"challenger_found": 1, "challenger_parsed_by": "lines"}


@pytest.mark.parametrize(
    ("text", "found", "parsed_by", "status"),
    [
        ("[low] it is short", 1, "lines", ["open"]),
        ('[high] "words of nobody": wrong', 1, "lines", ["void"]),
        ("No issue found: a, b, c", 0, "none_found", []),
        ("I do not like it at all.", 1, "unparsed", ["open"]),
    ],
    ids=["in lines", "about other words", "none", "in prose"],
)
async def test_every_form_of_critique_is_read(
    drafted: AgentState, text: str, found: int, parsed_by: str, status: list[str]
):
    update, _ = await criticised(drafted, text)
    assert update["values"]["challenger_found"] == found
    assert update["values"]["challenger_parsed_by"] == parsed_by
    assert [issue.status for issue in ledger(drafted, update)] == status


async def test_a_critique_in_prose_is_one_issue_that_must_be_answered(drafted: AgentState):
    update, _ = await criticised(drafted, "I do not\nlike it at all.")
    [issue] = ledger(drafted, update)
    assert (issue.claim, issue.severity) == ("I do not like it at all.", "medium")


async def test_the_critic_is_shown_the_newest_draft_and_what_is_settled(disputed: AgentState):
    settled = updated(
        spoke(disputed, refiner="a new draft"),
        {"issues": (OPEN.model_copy(update={"status": "fixed", "reason": "it gives 0"}),)},
    )
    _, stage = await criticised(settled, "No issue found")
    prompt = stage.prompt("challenger")
    assert fenced_in(prompt, "draft") == "a new draft"
    assert "it gives 0" in fenced_in(prompt, "settled_issues")
    assert DRAFT not in prompt


async def test_an_issue_quotes_the_newest_draft_or_is_void(disputed: AgentState):
    state = spoke(disputed, refiner="a new draft")
    update, _ = await criticised(state, '[high] "len(x)": wrong', place=Place(round=2))
    assert ledger(state, update)[-1].status == "void"


async def test_a_failed_critique_leaves_the_ledger_as_it_was(disputed: AgentState):
    update, _ = await criticised(disputed, ProviderUnavailableError("gone"))
    assert set(update) == {"failures"}


async def test_without_a_draft_nobody_criticises(fresh: AgentState):
    update, stage = await criticised(lost(fresh, "creator"), "never asked")
    failure = update["failures"]["challenger"]
    assert failure is not None
    assert failure.code == "not_asked"
    assert stage.turns == []


@pytest.mark.parametrize(("floor", "count"), [("low", 3), ("medium", 2), ("high", 1)])
async def test_conditions_count_open_issues_from_the_critics_floor_up(
    drafted: AgentState, floor: str, count: int
):
    nodes = [node.model_dump() for node in PLAN.nodes]
    nodes[1]["config"]["floor"] = floor
    plan = planned(*nodes, edges="creator-challenger challenger-refiner")
    text = "[high] one thing\n[medium] another thing\n[low] a third thing"
    update, _ = await criticised(drafted, text, plan=plan)
    assert condition_values(updated(drafted, update))["open_issue_count"] == count


async def test_the_round_of_an_issue_is_that_of_its_critic(drafted: AgentState):
    update, _ = await criticised(drafted, "[low] it is short", place=Place(round=4))
    assert ledger(drafted, update)[0].round == 4


@pytest.mark.parametrize("turned", [False, True], ids=["in order", "turned round"])
async def test_critics_that_work_at_the_same_time_lose_none_of_their_issues(turned: bool):
    members = ["security", "speed"]
    plan = planned(
        speaker("creator"),
        {
            "id": "critic",
            "type": "critique",
            "prompt_template": "{draft}",
            "config": {"drafts": ["creator"]},
            "group": {"members": {i: {} for i in (members[::-1] if turned else members)}},
        },
        {
            "id": "refiner",
            "type": "refine",
            "prompt_template": "{draft}{open_issues}",
            "config": {"drafts": ["refiner", "creator"]},
        },
        edges="creator-critic critic-refiner",
        outputs={"open": "open_issue_count"},
    )
    stage = staged(
        {
            "creator": "alpha and beta",
            "security_critic": '[high] "alpha": it leaks.',
            "speed_critic": '[low] "beta": it is slow.\n[low] "alpha": it is slow, too.',
            "refiner": "alpha only\nC2 fixed: no beta",
        }
    )
    outcome = await ran(plan, stage)
    assert outcome.state is not None
    issues = outcome.state["issues"]
    # What repeats the place of an open issue is merged into it, as it is from critic to critic.
    assert [(i.quote, i.severity, i.status) for i in issues] == [
        ("alpha", "high", "open"),
        ("beta", "low", "fixed"),
    ]
    shown = fenced_in(stage.prompt("refiner"), "open_issues")
    assert "C1 [high]" in shown
    assert "C2 [low]" in shown
    assert outcome.outputs == {"open": 1}


async def test_the_ledger_is_that_of_the_state_and_of_no_run_before(drafted: AgentState):
    update, _ = await criticised(drafted, "[low] it is short")
    assert drafted["issues"] == ()
    for _ in range(2):  # an entry can be made anywhere, and leaves nothing behind
        assert [i.id for i in ledger(drafted, update)] == ["C1"]
    other = updated(drafted, {"issues": (Issue(id="C7", claim="x", severity="low"),)})
    assert [i.id for i in ledger(other, update)] == ["C7", "C8"]
