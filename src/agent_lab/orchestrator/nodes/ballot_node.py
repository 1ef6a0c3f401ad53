"""A member's ballot on the candidates; where equal answers are one, its own answer is its ballot.

The candidates stand in an order of the voter's own and without their authors. A ballot is read or
asked for once more, never guessed.
"""

from typing import Self

from pydantic import model_validator
from typing_extensions import override

from agent_lab.contracts import ErrorInfo
from agent_lab.deliberation.ballots.ballot import Ballot, Payload, options_sha
from agent_lab.deliberation.ballots.choosing import (
    AUTO,
    MethodName,
    counts_answers,
    method_for,
    payload_of,
    refuse_choice_of_texts,
)
from agent_lab.deliberation.ballots.reading import BallotReading, read_ballot
from agent_lab.deliberation.ballots.schemas import (
    ballot_instructions,
    ballot_schema,
    repair_instructions,
)
from agent_lab.deliberation.presentation import Presentation
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import NodeConfig
from agent_lab.orchestrator.agent_state import AgentState, CastBallot, StateUpdate
from agent_lab.orchestrator.node_types import NodeFunction, node
from agent_lab.orchestrator.poll import PollOptions, poll_of, shown_to
from agent_lab.orchestrator.prompts import Prompt
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.orchestrator.structured_turns import MOST_TURNS, REPAIR, Form, Heard, ask
from agent_lab.orchestrator.turns import said

INVALID = "invalid"


class BallotOptions(PollOptions):
    """What is voted on."""

    method: MethodName = AUTO
    """How the ballots are going to be counted, which says what they must hold."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        refuse_choice_of_texts(self.method, self.answer)
        return self

    @override
    def most_turns(self, plan: FlowPlan) -> int:
        """One, and one more where the ballot cannot be read."""
        return MOST_TURNS


@node(
    "ballot",
    title={"en": "Ballot", "es": "Voto"},
    description={
        "en": "Ranks, scores or chooses among the candidates, whose authors it does not see; it is "
        "not asked where equal answers are one: then the answers are the ballots.",
        "es": "Ordena, puntúa o elige entre los candidatos sin ver sus autores; no se le pregunta "
        "cuando las respuestas iguales son una: entonces las respuestas son los votos.",
    },
    options=BallotOptions,
    prompt_names=("candidates",),
    gives="ballot",
    values={"parsed_by": "how the ballot was read; `invalid`: not at all"},
)
def ballot_node(config: NodeConfig, flow: FlowPlan) -> NodeFunction:
    """Make the node of one voter."""
    options = BallotOptions.model_validate(config.config)
    prompt = Prompt(config, flow)

    async def cast(state: AgentState, run: RunContext) -> StateUpdate:
        poll = poll_of(options, flow, state)
        method = method_for(options.method, poll.kind)
        if counts_answers(method, poll.kind):
            return {}
        if not poll.candidates:
            nothing = f"`{config.id}` has nothing to vote on."
            return {"failures": {config.id: ErrorInfo(code="not_asked", message=nothing)}}
        shown, listed = shown_to(poll, flow.place_in_group(config.id), state, run)
        payload = payload_of(method, poll.kind)
        instructions = ballot_instructions(payload, tuple(shown.by_label()), state["lang"])
        messages = prompt.messages(state, run, {"candidates": listed, "format": instructions})
        heard = await ask(config, flow, state, run, messages, _form(payload, shown, state))
        if heard.error is not None:
            return said(config, heard.turn)
        cast = _cast(heard, shown, options.round_of(run))
        return {
            **said(config, heard.turn),
            "ballots": {config.id: cast},
            "values": {f"{config.id}_parsed_by": cast.ballot.parsed_by if cast.ballot else INVALID},
        }

    return cast


def _form(payload: Payload, shown: Presentation, state: AgentState) -> Form[BallotReading]:
    labels = tuple(shown.by_label())
    return Form(
        ballot_schema(payload, labels),
        ballot_schema(payload, labels, with_reason=False),
        repair_instructions(payload, state["lang"]),
        lambda text, native: read_ballot(text, payload, labels, native=native),
        lambda reading: reading.problem,
    )


def _cast(heard: Heard[BallotReading], shown: Presentation, round_: int) -> CastBallot:
    """The ballot on the candidates themselves; who votes is for those to say who count."""
    read = heard.part
    if read is None:
        return CastBallot(None, shown.shown, heard.problem)
    ids = shown.by_label()

    def several(labels: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if labels is None else tuple(ids[label] for label in labels)

    scores = read.scores or {}
    ballot = Ballot(
        voter="",
        round=round_,
        options_sha=options_sha(sorted(shown.shown)),
        choice=None if read.choice is None else ids[read.choice],
        approved=several(read.approved),
        ranking=several(read.ranking),
        scores={ids[label]: points for label, points in scores.items()} or None,
        abstain=read.abstain,
        reason=read.reason,
        parsed_by=REPAIR if heard.repaired else read.parsed_by,
    )
    return CastBallot(ballot, shown.shown)
