"""Improves the current draft: a role's turn that closes the issues of the ledger."""

from typing_extensions import override

from agent_lab.deliberation.context import unfenced
from agent_lab.deliberation.issues import Severity, close_issues, strip_closing
from agent_lab.flows.catalogue import NodeOptions
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import Name, NodeConfig
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate
from agent_lab.orchestrator.node_types import NodeFunction, node
from agent_lab.orchestrator.prompts import Prompt, current
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.orchestrator.turns import said, take_turn


class RefineOptions(NodeOptions):
    """What is refined."""

    drafts: tuple[Name, ...]
    """The nodes that write the draft, the latest version first; this node's own first of all."""
    floor: Severity = "low"
    """Least severity that counts as open in conditions (`open_issue_count`)."""

    @override
    def nodes_named(self) -> dict[str, tuple[str, ...]]:
        """The nodes that write the draft."""
        return {"drafts": self.drafts}


@node(
    "refine",
    title={"en": "Refinement", "es": "Refinamiento"},
    description={
        "en": "Writes the next version of the draft and closes the open issues.",
        "es": "Escribe la siguiente versión del borrador y cierra los problemas abiertos.",
    },
    options=RefineOptions,
    takes=("draft", "critique"),
    gives="draft",
)
def refine_node(config: NodeConfig, flow: FlowPlan) -> NodeFunction:
    """Make the node of one refiner."""
    options = RefineOptions.model_validate(config.config)
    drafts = tuple(i for name in options.drafts for i in flow.members_of(name))
    prompt = Prompt(config, flow, options.drafts)

    async def refine(state: AgentState, run: RunContext) -> StateUpdate:
        lost = prompt.lost_ground(state)
        if lost is not None:
            return {"failures": {config.id: lost}}
        turn = await take_turn(config, flow, state, run, prompt.messages(state, run))
        if turn.error is not None:
            return said(config, turn)
        draft = current(drafts, state) or ""
        refined = _refined(unfenced(turn.text), draft)
        # The lines that close issues are in the ledger; the draft goes on without them.
        return {
            **said(config, turn),
            "outputs": {config.id: refined},
            "issues": lambda ledger: close_issues(ledger, turn.text, draft, refined),
            "issue_floor": options.floor,
        }

    return refine


def _refined(text: str, draft: str) -> str:
    """The new draft: the text without its closing lines; the old one if there is nothing else."""
    if strip_closing(f"-\n{text}") == "-":
        return draft
    return strip_closing(text)
