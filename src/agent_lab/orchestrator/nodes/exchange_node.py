"""A member answers again once it has seen the others; a changed answer needs a reason."""

from agent_lab.contracts import ErrorInfo
from agent_lab.deliberation.context import unfenced
from agent_lab.deliberation.flips import FlipPolicy, Statement, read_flip
from agent_lab.deliberation.presentation import distinct_peers
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import NodeConfig
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate
from agent_lab.orchestrator.node_types import NodeFunction, node
from agent_lab.orchestrator.poll import Poll, PollOptions, poll_of
from agent_lab.orchestrator.prompts import NO_ISSUES, Prompt, fenced
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.orchestrator.turns import said, take_turn


class ExchangeOptions(PollOptions):
    """Whose answers are seen."""

    flip_policy: FlipPolicy = "reason"
    """What a change of the answer needs to count: words of the own earlier text and what is wrong
    with them, or something that a tool has confirmed.
    """


@node(
    "exchange",
    title={"en": "Exchange", "es": "Intercambio"},
    description={
        "en": "A member sees the others' answers, without their number or authors, and answers "
        "again.",
        "es": "Un miembro ve las respuestas de los demás, sin cuántas ni de quién, y responde otra "
        "vez.",
    },
    options=ExchangeOptions,
    prompt_names=("peers",),
    values={"flipped": "whether its answer is another one now"},
)
def exchange_node(config: NodeConfig, flow: FlowPlan) -> NodeFunction:
    """Make the node of one member."""
    options = ExchangeOptions.model_validate(config.config)
    prompt = Prompt(config, flow)

    async def exchange(state: AgentState, run: RunContext) -> StateUpdate:
        poll = poll_of(options, flow, state)
        members = (one.member for one in poll.said)
        own = next((member.id for member in members if config.id in member.paths), config.id)
        # What a member said before its last turn failed is still its answer.
        texts = {one.member.id: one.text for one in poll.said if one.text is not None}
        keys = {member: poll.read(text).key for member, text in texts.items()}
        peers = distinct_peers(texts, keys, own=own, seed=run.seed, round=run.place.round)
        if not peers:
            alone = f"`{config.id}` has nobody to exchange answers with."
            return {"failures": {config.id: ErrorInfo(code="not_asked", message=alone)}}
        before = texts.get(own, "")
        earlier = [t for one in poll.said if one.member.id == own for t in (one.text, one.before)]
        readable = [s for t in earlier if t is not None if (s := _stated(poll, t)).key is not None]
        given = {
            "own_last": fenced("own_output", before or NO_ISSUES[state["lang"]], run),
            "peers": "\n\n".join(fenced("peer", text, run) for text in peers),
        }
        turn = await take_turn(config, flow, state, run, prompt.messages(state, run, given))
        if turn.error is not None:
            return said(config, turn)
        flip = read_flip(
            own,
            next(iter(readable), Statement(before, None)),
            _stated(poll, unfenced(turn.text)),
            round=run.place.round,
            ledger=state["issues"],
            policy=options.flip_policy,
        )
        return {
            **said(config, turn),
            "flips": () if flip is None else (flip,),
            "values": {f"{config.id}_flipped": flip is not None},
        }

    return exchange


def _stated(poll: Poll, text: str) -> Statement:
    """What a text says; a number that is only guessed to be its answer is no position."""
    answer = poll.read(text)
    return Statement(text, None if answer.parsed_by == "last_number" else answer.key)
