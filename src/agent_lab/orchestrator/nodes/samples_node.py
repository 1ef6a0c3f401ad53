"""Asks the same prompt several times: as often as a vote of the answers needs, and no more.

X. Wang et al., "Self-Consistency Improves Chain of Thought Reasoning in Language Models" (2022).
"""

import asyncio
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from agent_lab.contracts import ErrorInfo
from agent_lab.deliberation.context import unfenced
from agent_lab.deliberation.stop_rules.stop import STOP_RULES, RuleName
from agent_lab.flows.catalogue import NodeOptions
from agent_lab.flows.conditions import Value
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import MOST_SAMPLES, NodeConfig
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate
from agent_lab.orchestrator.draws import Draws
from agent_lab.orchestrator.members import sample_path
from agent_lab.orchestrator.node_types import NodeFunction, node
from agent_lab.orchestrator.outcome import limit_stop
from agent_lab.orchestrator.poll import ASKED, DEFAULT_SAMPLES, WantedKind
from agent_lab.orchestrator.prompts import Prompt
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.orchestrator.turns import take_turn


class SamplesOptions(NodeOptions):
    """How many answers are drawn."""

    samples: Annotated[int, Field(ge=1, le=MOST_SAMPLES - 1)] = DEFAULT_SAMPLES
    """At the most."""
    tokens: Annotated[int, Field(ge=0)] = 0
    """Read and written, that all draws together may take: of further ones there are as many as
    fit, by what the earlier ones took. 0: no limit.
    """
    answer: WantedKind = "auto"
    """What kind of answer is wanted: votes on equal answers are what ends the drawing."""
    stop: Literal["auto", "none"] | RuleName = "auto"
    """When no further answer is drawn. `auto`: of up to 7 samples once nobody can catch up with the
    leader any more, of more once it is 95 % likely to win. `none`: all are drawn.
    """

    @field_validator("stop")
    @classmethod
    def _while_drawing(cls, stop: str) -> str:
        if stop not in ("auto", "none") and STOP_RULES.get(stop).sees != "votes":
            raise PydanticCustomError(
                "stop_rule",
                "`{stop}` looks at whole rounds, not at single votes",
                {"stop": stop},
            )
        return stop

    @override
    def most_turns(self, plan: FlowPlan) -> int:
        """One for each sample."""
        return self.samples


@node(
    "samples",
    title={"en": "Samples", "es": "Muestras"},
    description={
        "en": "Asks the same prompt several times, until a vote of the answers is settled.",
        "es": "Hace la misma pregunta varias veces, hasta que el voto de las respuestas se decide.",
    },
    options=SamplesOptions,
    values={ASKED: "how many answers were asked for", "drawn": "how many came"},
)
def samples_node(config: NodeConfig, flow: FlowPlan) -> NodeFunction:
    """Make the node."""
    options = SamplesOptions.model_validate(config.config)
    prompt = Prompt(config, flow)

    async def draw(state: AgentState, run: RunContext) -> StateUpdate:
        lost = prompt.lost_ground(state)
        if lost is not None:
            return {"failures": {config.id: lost}}
        messages = prompt.messages(state, run)
        draws = Draws(options.samples, options.tokens, options.answer, options.stop, state)
        while wave := draws.next_wave():
            turns = await asyncio.gather(
                *(
                    take_turn(
                        config,
                        flow,
                        state,
                        run,
                        messages,
                        path=sample_path(config.id, sample),
                        sample=sample,
                    )
                    for sample in wave
                )
            )
            draws.take(turns)
            if any(turn.error is not None and limit_stop(turn.error) for turn in turns):
                break  # a budget has refused one: it would refuse the others, too
        return _update(config.id, draws)

    return draw


def _update(node_id: str, draws: Draws) -> StateUpdate:
    turns = {sample_path(node_id, i): turn for i, turn in enumerate(draws.turns)}
    failures: dict[str, ErrorInfo | None] = {path: turn.error for path, turn in turns.items()}
    spoken = {path: turn for path, turn in turns.items() if turn.error is None}
    values: dict[str, Value] = {f"{node_id}_{ASKED}": len(turns), f"{node_id}_drawn": len(spoken)}
    update: StateUpdate = {
        "values": values,
        "outputs": {path: unfenced(turn.text) for path, turn in spoken.items()},
        "models": {path: turn.model_resolved for path, turn in spoken.items()},
        "failures": failures,
        "stops": {node_id: draws.stopped.reason if draws.stopped else ""},
    }
    first = next(iter(spoken.values()), None)
    if first is None:
        error = draws.turns[0].error if draws.turns else None
        nothing = ErrorInfo(code="not_asked", message=f"`{node_id}` drew nothing.")
        failures[node_id] = error or nothing
        return update
    failures[node_id] = None
    update["outputs"][node_id] = unfenced(first.text)
    update["models"][node_id] = first.model_resolved
    return update
