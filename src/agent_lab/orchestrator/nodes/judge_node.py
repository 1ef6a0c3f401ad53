"""Decides between candidates by pairs, each in both orders; who wrote them it does not see.

A judge whose preference turns with the order has none (L. Zheng et al., "Judging LLM-as-a-Judge
with MT-Bench and Chatbot Arena", 2023): then both orders count, and the pair is level.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Annotated, NamedTuple

from pydantic import Field
from typing_extensions import override

from agent_lab.contracts import ErrorInfo
from agent_lab.deliberation.ballots.ballot import Ballot, Policy
from agent_lab.deliberation.ballots.counting import count
from agent_lab.deliberation.ballots.reading import Preference, read_preference
from agent_lab.deliberation.ballots.schemas import (
    PREFERENCE_SCHEMA,
    ballot_instructions,
    ballot_schema,
    repair_instructions,
)
from agent_lab.deliberation.presentation import Presentation
from agent_lab.deliberation.votes import Vote
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import Name, NodeConfig
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate
from agent_lab.orchestrator.members import sample_path
from agent_lab.orchestrator.node_types import NodeFunction, node
from agent_lab.orchestrator.poll import Poll, PollOptions, listed, poll_of
from agent_lab.orchestrator.prompts import Prompt
from agent_lab.orchestrator.run_context import KnownModel, RunContext
from agent_lab.orchestrator.structured_turns import MOST_TURNS, REPAIR, Form, Heard, ask

LABELS = ("A", "B")


class JudgeOptions(PollOptions):
    """What is judged."""

    vote: Name | None = None
    """The count whose level candidates are judged; None, or where nobody was level: all."""
    most: Annotated[int, Field(ge=2, le=8)] = 4
    """Candidates that are compared; of more, so many are drawn."""

    @override
    def nodes_named(self) -> Mapping[str, tuple[str, ...]]:
        """The nodes that answer, and the one that has counted."""
        return {**super().nodes_named(), **({} if self.vote is None else {"vote": (self.vote,)})}

    @override
    def most_turns(self, plan: FlowPlan) -> int:
        """Each pair in both orders, and once more for each verdict that cannot be read."""
        candidates = min(self.most, self.most_members(plan))
        return max(1, MOST_TURNS * candidates * (candidates - 1))


class Comparison(NamedTuple):
    """One pair in one order, and what the judge says of it."""

    path: str
    pair: tuple[str, str]
    heard: Heard[Preference]

    @property
    def preferred(self) -> str | None:
        """The candidate that it prefers; empty: neither. None: it said nothing that counts."""
        part = self.heard.part
        if part is None:
            return None
        return dict(zip(LABELS, self.pair, strict=True)).get(part.preferred, "")


@node(
    "judge",
    title={"en": "Judge", "es": "Juez"},
    description={
        "en": "Compares candidates by pairs, each in both orders and without their authors; its "
        "text is the answer that it prefers.",
        "es": "Compara candidatos por pares, cada par en ambos órdenes y sin autores; su texto es "
        "la respuesta que prefiere.",
    },
    options=JudgeOptions,
    prompt_names=("candidates",),
    takes=("text", "draft", "ballot"),
    values={
        "winner": "the candidate that it prefers, as people read it",
        "consistent": "share of the pairs on which both orders say the same; none: there were none",
    },
)
def judge_node(config: NodeConfig, flow: FlowPlan) -> NodeFunction:
    """Make the node."""
    options = JudgeOptions.model_validate(config.config)
    prompt = Prompt(config, flow)

    async def judge(state: AgentState, run: RunContext) -> StateUpdate:
        poll = poll_of(options, flow, state)
        ids = _judged(options, poll, state, run)
        if not ids:
            nothing = f"`{config.id}` has nothing to judge."
            return {"failures": {config.id: ErrorInfo(code="not_asked", message=nothing)}}
        lang = state["lang"]
        form = Form(
            PREFERENCE_SCHEMA,
            ballot_schema("preference", LABELS, with_reason=False),
            repair_instructions("preference", lang),
            lambda text, native: read_preference(text, native=native),
        )
        instructions = ballot_instructions("preference", LABELS, lang)

        async def compare(number: int, pair: tuple[str, str]) -> Comparison:
            shown = listed(Presentation(shown=pair), poll.texts, state, run)
            messages = prompt.messages(state, run, {"candidates": shown, "format": instructions})
            path = sample_path(config.id, number)
            return Comparison(
                path, pair, await ask(config, flow, state, run, messages, form, path=path)
            )

        pairs = [order for a, b in combinations(ids, 2) for order in ((a, b), (b, a))]
        made = await asyncio.gather(*(compare(n, pair) for n, pair in enumerate(pairs)))
        return _update(config, options, poll, ids, made, state, run)

    return judge


def _judged(
    options: JudgeOptions, poll: Poll, state: AgentState, run: RunContext
) -> tuple[str, ...]:
    """The candidates that are compared."""
    votes = state["votes"].get(options.vote or "", ())
    level = votes[-1].tally.tied if votes else ()
    # Where one leads, but not by enough, the others are compared with it.
    is_tie = len(level) > 1
    ids = sorted(c.id for c in poll.candidates if not is_tie or c.id in level)
    # Seeded, so that a run that is resumed compares the same.
    draw = random.Random(f"{run.seed} judged")  # noqa: S311 - no secret
    return tuple(sorted(draw.sample(ids, min(options.most, len(ids)))))


def _update(
    config: NodeConfig,
    options: JudgeOptions,
    poll: Poll,
    ids: tuple[str, ...],
    made: Sequence[Comparison],
    state: AgentState,
    run: RunContext,
) -> StateUpdate:
    vote = _counted(config, options, poll, ids, made, state, run)
    failures: dict[str, ErrorInfo | None] = {one.path: one.heard.error for one in made}
    winner = vote.tally.winner if made else ids[0]
    answered = [one.heard.turn.model_resolved for one in made if one.heard.error is None]
    update: StateUpdate = {
        "votes": {config.id: (*state["votes"].get(config.id, ()), vote)},
        "failures": failures,
        "models": {config.id: answered[0]} if answered else {},
    }
    if winner is None:
        unread = ErrorInfo(code="no_verdict", message=f"`{config.id}` gave no readable verdict.")
        asked = [one.heard.error for one in made if one.heard.error is not None]
        failures[config.id] = asked[0] if len(asked) == len(made) else unread
        return update
    names = {candidate.id: candidate.display for candidate in poll.candidates}
    failures[config.id] = None
    update["outputs"] = {config.id: poll.text_of(winner)}
    update["values"] = {
        f"{config.id}_winner": names.get(winner) or winner,
        f"{config.id}_consistent": _consistent(made),
    }
    return update


def _counted(
    config: NodeConfig,
    options: JudgeOptions,
    poll: Poll,
    ids: tuple[str, ...],
    made: Sequence[Comparison],
    state: AgentState,
    run: RunContext,
) -> Vote:
    """The verdicts as ballots: each order of each pair has a voice."""
    round_ = options.round_of(run)
    ballots = [
        Ballot(
            voter=one.path,
            round=round_,
            verdict=one.preferred,
            reason=one.heard.part.reason,
            parsed_by=REPAIR if one.heard.repaired else one.heard.part.parsed_by,
        )
        for one in made
        if one.heard.part is not None
    ]
    policy = Policy(method="judge", quorum=0, ties=("seeded",), seed=run.seed, round=round_)
    voters = tuple(one.path for one in made)
    tally = count(ballots, ids, voters, policy)
    unread = {one.path: one.heard.problem for one in made if one.heard.problem}
    return Vote(
        node=config.id,
        round=round_,
        kind=poll.kind,
        eligible=voters,
        positions=poll.positions,
        candidates=poll.candidates,
        ballots=tuple(ballots),
        shown={one.path: one.pair for one in made},
        tally=tally.model_copy(update={"invalid": {**tally.invalid, **unread}}),
        flags=_flags(poll, made, state, run),
    )


def _flags(
    poll: Poll, made: Sequence[Comparison], state: AgentState, run: RunContext
) -> tuple[str, ...]:
    """That the judge is of a debater's family, which it may favour."""
    unknown, models = KnownModel(), state["models"]
    spoke = [models[path] for one in poll.said for path in one.member.paths if path in models]
    families = {run.known.get(model, unknown).family for model in spoke}
    own = {run.known.get(one.heard.turn.model_resolved, unknown).family for one in made}
    return ("judge_of_own_family",) if (families & own) - {""} else ()


def _consistent(made: Sequence[Comparison]) -> float | None:
    pairs = list(zip(made[::2], made[1::2], strict=True))
    agree = [
        one.preferred == other.preferred
        for one, other in pairs
        if one.preferred is not None and other.preferred is not None
    ]
    return sum(agree) / len(agree) if agree else None
