"""What the tests of votes stand on: small councils with prompts of our own, and who said what."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from agent_lab.contracts import JsonObject, Language
from agent_lab.deliberation.votes import Vote
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate, updated
from tests.orchestrator.conftest import Stage, begun, lost, planned, speaker, spoke, staged, worked

NUMBER = "How many apples are 6 bags of 7 apples?"
"""Equal answers to it are one."""
SLOGAN = "Write a slogan for a bakery."
"""Each answer to it is a text of its own."""
VOTING = ("self_consistency", "consensus", "debate", "mixture_of_agents")
"""The shipped flows whose members answer side by side."""
ENTRY = {
    "consensus": 3,
    "debate": 3,
    "mixture_of_agents": 3,
    "multi_perspective": 3,
    "self_consistency": 5,
}
"""How many calls a flow begins with, where it is not one."""


def group(
    node_id: str, ids: str = "abc", kind: str = "execution", prompt: str = "Speak.", **config: Any
) -> JsonObject:
    """A node for each member: `a_<node>`, `b_<node>`."""
    return speaker(
        node_id, prompt, type=kind, group={"members": {i: {} for i in ids}}, config=config
    )


def council(ids: str = "abc", **configs: Mapping[str, Any]) -> FlowPlan:
    """Drafts, a blind count, an exchange, ballots, the count, a judge and an aggregator.

    Args:
        ids: The members, one letter each.
        configs: By node: what its `config` has beside whose answers it is about.
    """
    own = {name: dict(config) for name, config in configs.items()}
    drafts: JsonObject = {"answers": ["drafter"]}
    after: JsonObject = {"answers": ["exchange"], "blind": ["drafter"]}
    asked = "{candidates}\n\n{format}"
    return planned(
        group("drafter", ids),
        {"id": "gate", "type": "vote", "config": {**drafts, **own.get("gate", {})}},
        group(
            "exchange",
            ids,
            "exchange",
            "{own_last}\n\n{peers}",
            **{**after, **own.get("exchange", {})},
        ),
        group("ballot", ids, "ballot", asked, **{**drafts, **own.get("ballot", {})}),
        {
            "id": "vote",
            "type": "vote",
            "config": {**drafts, "ballots": ["ballot"], **own.get("vote", {})},
        },
        speaker("judge", asked, type="judge", config={**drafts, **own.get("judge", {})}),
        speaker("joiner", asked, type="aggregate", config={**drafts, **own.get("joiner", {})}),
        edges="drafter-gate gate-exchange exchange-ballot ballot-vote vote-judge judge-joiner",
    )


def answering(answer: object) -> str:
    """A text that gives an answer."""
    return f"I count.\nANSWER: {answer}"


def drafted(
    task: str = NUMBER, lang: Language = "en", node: str = "drafter", /, **answers: object
) -> AgentState:
    """The state in which members have answered; None: the member failed; a text: as it is."""
    return said_in(begun(task, lang), node, **answers)


def said_in(state: AgentState, node: str, /, **answers: object) -> AgentState:
    """The state after members have answered in the nodes of a group."""
    failed = [f"{i}_{node}" for i, answer in answers.items() if answer is None]
    texts = {
        f"{i}_{node}": answer if isinstance(answer, str) else answering(answer)
        for i, answer in answers.items()
        if answer is not None
    }
    return lost(spoke(state, **texts), *failed)


async def counted(
    plan: FlowPlan,
    state: AgentState,
    node: Literal["gate", "vote", "judge"] = "vote",
    *,
    stage: Stage | None = None,
    seed: int | None = None,
) -> tuple[Vote, StateUpdate]:
    """What a node counts, and what it changes."""
    stage = stage or staged({})
    if seed is not None:
        stage = seeded(stage, seed)
    update = await worked(plan, node, state, stage)
    return update["votes"][node][-1], update


def seeded(stage: Stage, seed: int) -> Stage:
    """The same surroundings with another seed of the run."""
    return stage._replace(run=replace(stage.run, seed=seed))


async def cast(
    plan: FlowPlan, state: AgentState, stage: Stage, ids: str = "abc"
) -> tuple[AgentState, dict[str, StateUpdate]]:
    """Let each member vote; the state afterwards, and what each changed."""
    updates = {i: await worked(plan, f"{i}_ballot", state, stage) for i in ids}
    for update in updates.values():
        state = updated(state, update)
    return state, updates


def ranking(*labels: str) -> str:
    """A ballot as JSON."""
    inside = ", ".join(f'"{label}"' for label in labels)
    return f'{{"reason": "so it is", "ranking": [{inside}]}}'
