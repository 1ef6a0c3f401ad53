"""Who wrote what, with which model, is in no prompt of any flow that votes."""

from typing import Any

import pytest

from agent_lab.contracts import Language
from agent_lab.flows.graph_configs import get_flow_config
from agent_lab.orchestrator.run_context import KnownModel
from agent_lab.providers.provider_gateway import ProviderGateway
from tests.orchestrator.conftest import Stage, fences, ran, staged
from tests.orchestrator.councils import NUMBER, SLOGAN, VOTING, answering

IDS = ("zeta", "quark", "ypsilon")
MODELS = ("lama-7-giga", "kwen-3-mega", "falke-9-maxi")
FAMILY = "kamel"
"""Words that stand in nothing that the lab writes."""
SAID = {role: 40 + i for i, role in enumerate(("dora", "emil", "fritz"))}
"""By role: what it answers."""
MEMBERS = [
    {"id": i, "name": f"Name of {i}", "role": role, "model": key}
    for i, role, key in zip(IDS, SAID, MODELS, strict=True)
]
WHO = {"consensus": "models", "debate": "debaters", "mixture_of_agents": "proposers"}
"""By flow: the input that says who takes part."""
NAMES = (*IDS, *SAID, *MODELS, FAMILY, "Name of", "drafter", "proposer_", "debater_", "model_")


def speaks(call: Any) -> str:
    """Answers that differ, ballots that tie, nobody who says its name."""
    schema = call.params.get("response_schema") or {"properties": {}}
    if "ranking" in schema["properties"]:
        return "RANKING: A > B > C" if "own_output" in call.messages[-1].content else "unreadable"
    if "preference" in schema["properties"]:
        return "PREFERENCE: A"
    if NUMBER in call.messages[-1].content:
        return answering(SAID.get(call.role, 42))
    return f"Slogan {SAID.get(call.role, 42)}."


async def council(name: str, task: str, lang: Language) -> Stage:
    inputs: dict[str, Any] = {WHO[name]: MEMBERS} if name in WHO else {"samples": 3}
    if name == "mixture_of_agents":
        inputs["layers"] = 2
    stage = staged(
        speaks,
        request={"input": task, "inputs": inputs},
        gateway=lambda provider: ProviderGateway.scripted(provider, MODELS),
        known={key: KnownModel(FAMILY, 7.0) for key in MODELS},
    )
    outcome = await ran(get_flow_config(name), stage, lang=lang)
    assert outcome.error is None
    return stage


@pytest.mark.parametrize("lang", ["en", "es"])
@pytest.mark.parametrize("task", [NUMBER, SLOGAN])
@pytest.mark.parametrize("name", VOTING)
async def test_no_prompt_names_a_member_a_role_or_a_model(name: str, task: str, lang: Language):
    stage = await council(name, task, lang)
    assert stage.turns
    for turn in stage.turns:
        prompt = "\n".join(message.content for message in turn.messages)
        assert [word for word in NAMES if word in prompt] == [], turn.path


KINDS = {"candidate", "peer", "own_output"}


@pytest.mark.parametrize("task", [NUMBER, SLOGAN])
@pytest.mark.parametrize("name", VOTING)
async def test_fences_say_what_a_text_is_and_not_whose(name: str, task: str):
    stage = await council(name, task, "en")
    for turn in stage.turns:
        for message in turn.messages:
            assert {fence.kind for fence in fences(message.content)} <= KINDS


async def test_all_kinds_of_voting_turns_are_among_those_that_were_looked_at():
    asked = set()
    for name in VOTING:
        for task in (NUMBER, SLOGAN):
            asked |= {t.path.rpartition("_")[2] for t in (await council(name, task, "en")).turns}
    for kind in ("drafter", "ballot", "ballot.repair", "exchange", "judge[0]", "ranker"):
        assert kind in asked
    assert {"proposer", "aggregator", "solver[0]"} <= asked


@pytest.mark.parametrize("name", sorted(WHO))
async def test_each_member_asks_the_model_that_was_chosen_for_it_in_every_node(name: str):
    stage = await council(name, SLOGAN, "en")
    by_role = {(turn.role, turn.model_resolved) for turn in stage.turns if turn.role in SAID}
    assert by_role == set(zip(SAID, MODELS, strict=True))
