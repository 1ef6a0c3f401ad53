"""Hands the answer over: as it is, or worded by a model that knows how it came about."""

from typing_extensions import override

from agent_lab.contracts import ErrorInfo, Language
from agent_lab.flows.catalogue import NodeOptions
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import Name, NodeConfig
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate, failures_of, updated
from agent_lab.orchestrator.node_types import NodeFunction, node
from agent_lab.orchestrator.prompts import Prompt, current, fenced
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.orchestrator.turns import said, take_turn

WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "score": "Score of the checks: {score:.2f}, {verdict}.",
        "accepted": "accepted",
        "rejected": "not accepted",
        "failed": "`{node}` failed: {reason}",
        "nothing": "Nothing went wrong.",
    },
    "es": {
        "score": "Nota de las comprobaciones: {score:.2f}, {verdict}.",
        "accepted": "aceptada",
        "rejected": "no aceptada",
        "failed": "`{node}` falló: {reason}",
        "nothing": "Nada salió mal.",
    },
}


class SummaryOptions(NodeOptions):
    """What is summed up."""

    answer: Name
    """The node whose text is the answer."""

    @override
    def nodes_named(self) -> dict[str, tuple[str, ...]]:
        """The node whose text is the answer."""
        return {"answer": (self.answer,)}


@node(
    "summary",
    title={"en": "Summary", "es": "Resumen"},
    description={
        "en": "Gives the final answer; without a prompt it hands the text on as it is.",
        "es": "Da la respuesta final; sin instrucción entrega el texto tal cual.",
    },
    prompt="optional",
    options=SummaryOptions,
    values={"report": "how the answer came about: score, failed nodes; for its own prompt"},
)
def summary_node(config: NodeConfig, flow: FlowPlan) -> NodeFunction:
    """Make the node."""
    options = SummaryOptions.model_validate(config.config)
    answers = flow.members_of(options.answer)
    prompt = Prompt(config, flow)

    async def sum_up(state: AgentState, run: RunContext) -> StateUpdate:
        text, lost = current(answers, state), prompt.lost_ground(state)
        if lost is not None or text is None:
            nothing = f"`{options.answer}` gave nothing to work on."
            return {"failures": {config.id: lost or ErrorInfo(code="not_asked", message=nothing)}}
        # Reasons quote judges and providers: data, as all that others wrote.
        told = fenced("report", report_of(state), run)
        report: StateUpdate = {"values": {f"{config.id}_report": told}}
        if not config.prompt_template:
            return {"outputs": {config.id: text}, **report}
        informed = updated(state, report)
        turn = await take_turn(config, flow, informed, run, prompt.messages(informed, run))
        return {**said(config, turn), **report}

    return sum_up


def report_of(state: AgentState) -> str:
    """How the answer came about, in lines: the checks' score, and the nodes that failed."""
    words, lines = WORDS[state["lang"]], []
    if state["score"] is not None:
        verdict = words["accepted" if state["accepted"] else "rejected"]
        lines.append(words["score"].format(score=state["score"], verdict=verdict))
    lines += [
        words["failed"].format(node=node_id, reason=error.message)
        for node_id, error in failures_of(state).items()
    ]
    lines += [reason for reason in state["degraded"].values() if reason]
    return "\n".join(lines) or words["nothing"]
