"""Aggregators: in which windows and orders they see proposals, and what is lost with a turn."""

from itertools import permutations
from typing import Any

import pytest

from agent_lab.contracts import Language
from agent_lab.errors import ProviderUnavailableError
from agent_lab.flows.graph_configs import get_flow_config
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate
from agent_lab.orchestrator.node_types import NODES
from agent_lab.orchestrator.run_context import Place
from tests.orchestrator.conftest import (
    Stage,
    begun,
    fences,
    outside_fences,
    planned,
    ran,
    staged,
    worked,
)
from tests.orchestrator.councils import SLOGAN, council, drafted, group, seeded

IDS = "abcdefghijklmnopqrst"


def proposed(count: int, lang: Language = "en") -> AgentState:
    return drafted(SLOGAN, lang, **{i: f"slogan {i}" for i in IDS[:count]})


def shown(prompt: str) -> list[str]:
    return [fence.text for fence in fences(prompt) if fence.kind == "candidate"]


async def joined(
    count: int, *replies: Any, seed: int = 1, **config: Any
) -> tuple[list[list[str]], StateUpdate, Stage]:
    """What each turn sees, and what the node changes."""
    said = list(replies) or [f"joined {i}" for i in range(30)]
    stage = seeded(staged({"joiner": said}), seed)
    update = await worked(council(IDS[:count], joiner=config), "joiner", proposed(count), stage)
    return [shown(turn.messages[-1].content) for turn in stage.turns], update, stage


async def test_one_turn_sees_all_proposals_that_fit():
    windows, update, stage = await joined(3)
    assert [sorted(window) for window in windows] == [["slogan a", "slogan b", "slogan c"]]
    assert update["outputs"] == {"joiner": "joined 0"}
    assert [turn.path for turn in stage.turns] == ["joiner"]


@pytest.mark.parametrize("count", range(1, 21))
@pytest.mark.parametrize(("window", "kept"), [(6, 3), (2, 1), (2, 40), (5, 1), (50, 49)])
async def test_every_proposal_is_seen_once_in_windows_of_a_size(count: int, window: int, kept: int):
    windows, update, stage = await joined(count, window=window, kept=kept)
    assert all(len(texts) <= window for texts in windows)
    seen = [text for texts in windows for text in texts if text.startswith("slogan")]
    assert sorted(seen) == sorted(f"slogan {i}" for i in IDS[:count])
    for number, texts in enumerate(windows):
        before = [text for text in texts if text.startswith("joined")]
        places = min(number, kept, window - 1)
        assert before == [f"joined {i}" for i in range(number - places, number)]
    assert update["outputs"]["joiner"] == f"joined {len(windows) - 1}"
    # No more turns than the flow's worst case has.
    options = council(IDS[:count], joiner={"window": window, "kept": kept})
    assert len(stage.turns) <= most_turns(options)


def most_turns(plan: Any) -> int:
    config = plan.node("joiner")
    options = NODES.get("aggregate").kind.options_or_none(config.config)
    assert options is not None
    return int(options.most_turns(plan))


async def test_ten_proposals_take_two_windows_of_six():
    windows, _, stage = await joined(10)
    assert [len(texts) for texts in windows] == [6, 5]
    assert windows[1][0] == "joined 0"
    assert [turn.path for turn in stage.turns] == ["joiner[0]", "joiner[1]"]


async def test_thirteen_take_three_and_the_last_one_holds_what_both_others_made():
    windows, _, _ = await joined(13)
    assert [len(texts) for texts in windows] == [6, 6, 4]
    assert windows[2][:2] == ["joined 0", "joined 1"]


async def test_the_order_is_drawn_by_the_seed_of_the_run():
    orders = [tuple((await joined(3, seed=seed))[0][0]) for seed in (1, 1, *range(2, 20))]
    assert orders[0] == orders[1]
    assert len(set(orders)) > 3
    assert set(orders) <= set(permutations([f"slogan {i}" for i in "abc"]))


@pytest.mark.parametrize(("lang", "word"), [("en", "Candidate"), ("es", "Candidato")])
async def test_proposals_have_labels_and_no_authors(lang: Language, word: str):
    stage = staged({"joiner": "joined"})
    await worked(council(), "joiner", proposed(3, lang), stage)
    prompt = stage.prompt("joiner")
    for label in "ABC":
        assert f"## {word} {label}\n" in outside_fences(prompt)
    assert "drafter" not in prompt


async def test_equal_proposals_are_each_seen():
    # They are texts to be joined, not votes.
    stage = staged({"joiner": "joined"})
    await worked(council(), "joiner", drafted(SLOGAN, a="Warm.", b="Warm.", c="Bread."), stage)
    assert sorted(shown(stage.prompt("joiner"))) == ["Bread.", "Warm.", "Warm."]


async def test_a_lost_proposal_is_left_out():
    stage = staged({"joiner": "joined"})
    await worked(council(), "joiner", drafted(SLOGAN, a="Warm.", b=None, c="Bread."), stage)
    assert sorted(shown(stage.prompt("joiner"))) == ["Bread.", "Warm."]


async def test_where_every_proposal_was_lost_nobody_is_asked():
    stage = staged({})
    update = await worked(council(), "joiner", drafted(SLOGAN, a=None, b=None, c=None), stage)
    failure = update["failures"]["joiner"]
    assert failure is not None
    assert failure.code == "not_asked"
    assert stage.turns == []


LAYERED = planned(group("proposer", "abc", "aggregate", "{candidates}", answers=["proposer"]))


@pytest.mark.parametrize(("lang", "nothing"), [("en", "(none)"), ("es", "(ninguno)")])
async def test_the_first_layer_has_nothing_to_see_and_is_asked_all_the_same(
    lang: Language, nothing: str
):
    stage = staged({"a_proposer": "Warm."})
    update = await worked(LAYERED, "a_proposer", begun(SLOGAN, lang), stage)
    assert nothing in stage.prompt("a_proposer")
    assert update["outputs"] == {"a_proposer": "Warm."}


async def test_each_of_a_later_layer_sees_all_of_the_last_one_in_an_order_of_its_own():
    state = drafted(SLOGAN, "en", "proposer", a="Warm.", b="Bread.", c="We bake.")
    stage = staged(lambda call: "joined")
    for i in "abc":
        await worked(LAYERED, f"{i}_proposer", state, stage, Place(round=2, visit=1))
    orders = [shown(stage.prompt(f"{i}_proposer")) for i in "abc"]
    for place in range(3):
        assert {order[place] for order in orders} == {"Warm.", "Bread.", "We bake."}


async def test_a_layer_is_left_out_of_which_everybody_failed():
    stage = staged({})
    state = drafted(SLOGAN, "en", "proposer", a=None, b=None, c=None)
    update = await worked(LAYERED, "a_proposer", state, stage, Place(round=2, visit=1))
    failure = update["failures"]["a_proposer"]
    assert failure is not None
    assert failure.code == "not_asked"


async def test_a_window_that_fails_is_told_and_the_next_one_goes_on():
    windows, update, _ = await joined(10, ProviderUnavailableError("gone"), "joined")
    assert [len(texts) for texts in windows] == [6, 4]
    failures = update["failures"]
    assert failures["joiner"] is None
    lost_one = failures["joiner[0]"]
    assert lost_one is not None
    assert lost_one.code == "provider_unavailable"
    assert update["outputs"] == {"joiner": "joined"}


async def test_where_the_last_window_fails_the_earlier_one_is_the_text():
    _, update, _ = await joined(10, "joined", ProviderUnavailableError("gone"))
    assert update["outputs"] == {"joiner": "joined"}
    assert update["failures"]["joiner"] is None
    assert update["failures"]["joiner[1]"] is not None


async def test_where_every_window_fails_the_node_fails():
    gone = ProviderUnavailableError("gone")
    _, update, _ = await joined(10, gone, gone)
    failure = update["failures"]["joiner"]
    assert failure is not None
    assert failure.code == "provider_unavailable"
    assert "outputs" not in update


async def test_a_lost_window_degrades_the_run():
    def answer(call: Any) -> Any:
        if call.role == "aggregator":
            return ProviderUnavailableError("gone") if "joined" not in str(call) else "joined"
        return f"slogan of {call.role}"

    inputs = {"proposers": list("abcdefghi")}
    stage = staged(answer, request={"input": SLOGAN, "inputs": inputs})
    outcome = await ran(get_flow_config("mixture_of_agents"), stage)
    assert outcome.output.startswith("slogan of")
    assert any(reason.startswith("`aggregator[0]` failed") for reason in outcome.degraded)
