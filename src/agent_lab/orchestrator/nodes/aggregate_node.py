"""Makes one answer of several proposals, whose authors it does not see.

J. Wang et al., "Mixture-of-Agents Enhances Large Language Model Capabilities" (2024); of more
proposals than a window holds, those of W. Li et al., "Rethinking Mixture-of-Agents" (2025), are
joined one window after the other.
"""

from math import ceil
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import override

from agent_lab.contracts import ErrorInfo, Turn
from agent_lab.deliberation.context import unfenced
from agent_lab.deliberation.presentation import Presentation, presented
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import NodeConfig
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate
from agent_lab.orchestrator.members import sample_path
from agent_lab.orchestrator.node_types import NodeFunction, node
from agent_lab.orchestrator.poll import PollOptions, listed, poll_of
from agent_lab.orchestrator.prompts import NO_ISSUES, Prompt
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.orchestrator.turns import said, take_turn


class AggregateOptions(PollOptions):
    """Which proposals are joined."""

    window: Annotated[int, Field(ge=2, le=50)] = 6
    """Proposals that one turn sees; of more, another turn joins the next ones with its own."""
    kept: Annotated[int, Field(ge=1, le=49)] = 3
    """Places of a later window that hold what earlier ones gave, as far as there is that much."""

    @override
    def most_turns(self, plan: FlowPlan) -> int:
        """One for each window."""
        further = max(0, self.most_members(plan) - self.window)
        return 1 + ceil(further / self._new)

    @property
    def _new(self) -> int:
        """Proposals of a later window that no earlier one has held, at the least."""
        return max(1, self.window - self.kept)

    def next_window(self, left: list[str], written: list[str]) -> list[str]:
        """Take the texts of the next turn from those that are left.

        Args:
            left: The proposals that nobody has joined yet; those of the window are taken out.
            written: What earlier turns have made.
        """
        kept = written[-min(self.kept, self.window - 1) :]
        size = self.window - len(kept)
        window, left[:] = [*kept, *left[:size]], left[size:]
        return window


@node(
    "aggregate",
    title={"en": "Aggregator", "es": "Agregador"},
    description={
        "en": "Makes one answer of several proposals, in drawn order and without their authors.",
        "es": "Hace una respuesta de varias propuestas, en orden sorteado y sin autores.",
    },
    options=AggregateOptions,
    prompt_names=("candidates",),
    takes=("text", "draft"),
)
def aggregate_node(config: NodeConfig, flow: FlowPlan) -> NodeFunction:
    """Make the node."""
    options = AggregateOptions.model_validate(config.config)
    prompt = Prompt(config, flow)

    async def aggregate(state: AgentState, run: RunContext) -> StateUpdate:
        poll = poll_of(options, flow, state)
        texts = {one.member.id: one.text for one in poll.said if one.text and not one.failure}
        if not texts and any(one.failure for one in poll.said):
            nothing = f"`{config.id}` has nothing to join."
            return {"failures": {config.id: ErrorInfo(code="not_asked", message=nothing)}}
        reader = flow.place_in_group(config.id)
        order = presented(list(texts), reviewer=reader, round=run.place.round, seed=run.seed)
        left, written = [texts[member] for member in order.shown], list[str]()
        lost, last = dict[str, ErrorInfo | None](), None
        while left or not lost:  # of a first layer there are no proposals yet
            window = options.next_window(left, written)
            names = [str(place) for place in range(len(window))]
            shown = listed(
                Presentation(shown=tuple(names)), dict(zip(names, window, strict=True)), state, run
            )
            shown = shown or NO_ISSUES[state["lang"]]
            messages = prompt.messages(state, run, {"candidates": shown})
            path = sample_path(config.id, len(lost)) if lost or left else config.id
            turn = await take_turn(config, flow, state, run, messages, path=path)
            lost[path] = turn.error
            if turn.error is None:
                written.append(unfenced(turn.text))
            last = turn if turn.error is None or last is None else last
        return _update(config, last, lost)

    return aggregate


def _update(
    config: NodeConfig, last: Turn | None, lost: dict[str, ErrorInfo | None]
) -> StateUpdate:
    if last is None:
        return {}
    update = said(config, last)
    failures: dict[str, Any] = {**lost, config.id: last.error}
    return {**update, "failures": failures}
