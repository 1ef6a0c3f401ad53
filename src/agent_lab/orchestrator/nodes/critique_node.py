"""Criticises the current draft: a role's turn whose issues go into the ledger."""

from typing import Any

from typing_extensions import override

from agent_lab.deliberation.issues import (
    Issue,
    Review,
    Severity,
    parse_review,
    raise_issues,
)
from agent_lab.flows.catalogue import NodeOptions
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import Name, NodeConfig
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate
from agent_lab.orchestrator.node_types import NodeFunction, node
from agent_lab.orchestrator.prompts import Prompt, current
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.orchestrator.turns import said, take_turn


class CritiqueOptions(NodeOptions):
    """What a critique is of."""

    drafts: tuple[Name, ...]
    """The nodes that write the draft, the latest version first."""
    floor: Severity = "low"
    """Least severity that counts as open in conditions (`open_issue_count`)."""

    @override
    def nodes_named(self) -> dict[str, tuple[str, ...]]:
        """The nodes that write the draft."""
        return {"drafts": self.drafts}


@node(
    "critique",
    title={"en": "Critique", "es": "Crítica"},
    description={
        "en": "Looks for what is wrong with the draft; its issues go into the ledger.",
        "es": "Busca los fallos del borrador; quedan anotados como problemas.",
    },
    options=CritiqueOptions,
    takes=("draft",),
    gives="critique",
    values={
        "found": "how many issues this review raised",
        "parsed_by": "how they were read: lines, none_found, unparsed",
    },
)
def critique_node(config: NodeConfig, flow: FlowPlan) -> NodeFunction:
    """Make the node of one critic."""
    options = CritiqueOptions.model_validate(config.config)
    drafts = tuple(i for name in options.drafts for i in flow.members_of(name))
    prompt = Prompt(config, flow, options.drafts)

    async def criticise(state: AgentState, run: RunContext) -> StateUpdate:
        lost = prompt.lost_ground(state)
        if lost is not None:
            return {"failures": {config.id: lost}}
        turn = await take_turn(config, flow, state, run, prompt.messages(state, run))
        if turn.error is not None:
            return said(config, turn)
        review = _read(turn.text)
        draft = current(drafts, state) or ""
        values: dict[str, Any] = {
            f"{config.id}_found": len(review.issues),
            f"{config.id}_parsed_by": review.parsed_by,
        }
        return {
            **said(config, turn),
            "issues": lambda ledger: raise_issues(ledger, review, draft, run.place.round),
            "issue_floor": options.floor,
            "values": values,
        }

    return criticise


def _read(text: str) -> Review:
    """The issues of a review; one that has another form is one issue: it must be answered."""
    review = parse_review(text)
    if review.parsed_by != "unparsed" or not text.strip():
        return review
    whole = Issue(id="C1", claim=" ".join(text.split()), severity="medium")
    return review.model_copy(update={"issues": (whole,)})
