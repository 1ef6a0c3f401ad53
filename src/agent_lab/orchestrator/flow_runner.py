"""Runs a flow's bare graph, with the gateway and the recorder that it is given."""

from typing import NamedTuple, cast

from langgraph.errors import GraphRecursionError

from agent_lab.contracts import ErrorInfo, Language, RunRequest
from agent_lab.deliberation.context import shared_head
from agent_lab.errors import InvalidRequestError, UnknownRoleError
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.orchestrator.agent_state import AgentState, failures_of, new_state
from agent_lab.orchestrator.graph_builder import GraphBuilder
from agent_lab.orchestrator.run_context import RunContext

STEPS_PER_NODE = 20
"""How often each node may run on average before a flow counts as endless."""


class FlowOutcome(NamedTuple):
    """What came of a flow."""

    output: str
    """The answer; empty when no node that could give it did."""
    state: AgentState | None
    degraded: tuple[str, ...] = ()
    """What went wrong on the way to an answer all the same."""
    error: ErrorInfo | None = None
    """Why there is no answer."""


def check_request(request: RunRequest, flow: FlowConfig) -> None:
    """Find out, before anything is asked, whether a flow can take a request.

    Raises:
        InvalidRequestError: The input is empty.
        UnknownRoleError: A model is named for a role that the flow does not have.
    """
    if not request.input.strip():
        raise InvalidRequestError(
            "The `prompt` is empty.", hint=f'agent-lab run {flow.name} "Your question"'
        )
    for role in request.models:
        if role not in flow.roles():
            raise UnknownRoleError(role, flow.roles(), f"agent-lab flows show {flow.name}")


async def run_flow(
    flow: FlowConfig,
    run: RunContext,
    *,
    lang: Language,
    request_id: str = "",
    builder: GraphBuilder | None = None,
) -> FlowOutcome:
    """Run a flow to its end.

    Args:
        flow: The flow.
        run: The task, the gateway, the recorder.
        lang: The language of the prompts.
        request_id: The run's id.
        builder: With further types of node.

    Raises:
        InvalidFlowError: The flow cannot run.
    """
    graph = (builder or GraphBuilder()).build_graph_from_config(flow)
    request = run.request
    state = new_state(
        request_id=request_id,
        flow_type=flow.name,
        user_input=request.input,
        lang=lang,
        head=shared_head(request.input, request.attachments, lang, run.secret),
    )
    limit = STEPS_PER_NODE * len(flow.nodes)
    try:
        final = await graph.ainvoke(state, context=run, config={"recursion_limit": limit})
    except GraphRecursionError:
        message = f"Flow `{flow.name}` did not end within {limit} steps."
        return FlowOutcome("", None, error=ErrorInfo(code="endless_flow", message=message))
    return _outcome(flow, cast(AgentState, final))


def _outcome(flow: FlowConfig, state: AgentState) -> FlowOutcome:
    failures, outputs = failures_of(state), state["outputs"]
    asked = {i: error for i, error in failures.items() if error.code != "not_asked"}
    answers = [node_id for node_id in flow.answer_nodes() if node_id in outputs]
    if not answers:
        nothing = ErrorInfo(code="no_answer", message=f"Flow `{flow.name}` gave no answer.")
        return FlowOutcome("", state, error=[nothing, *asked.values()][-1])
    degraded = [f"`{i}` failed: {error.message}" for i, error in asked.items()]
    degraded += [reason for reason in state["degraded"].values() if reason]
    better = flow.answer_nodes()[: flow.answer_nodes().index(answers[0])]
    if any(node_id in failures for node_id in better):
        degraded.append(f"The answer is the text of `{answers[0]}`.")
    return FlowOutcome(outputs[answers[0]], state, tuple(degraded))
