"""Runs a flow's bare graph, with the gateway and the recorder that it is given."""

from typing import cast

from pydantic_core import PydanticSerializationError

from agent_lab.contracts import Language, RunRequest
from agent_lab.deliberation.context import shared_head
from agent_lab.errors import InvalidRequestError, UnknownRoleError
from agent_lab.flows.catalogue import Catalogue
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.orchestrator.agent_state import AgentState, new_state
from agent_lab.orchestrator.baseline import with_baseline
from agent_lab.orchestrator.budgets import bounded
from agent_lab.orchestrator.cast import wishes
from agent_lab.orchestrator.graph_builder import GraphBuilder
from agent_lab.orchestrator.outcome import FlowOutcome, outcome_of
from agent_lab.orchestrator.run_context import RunContext


def check_request(request: RunRequest, plan: FlowPlan, catalogue: Catalogue) -> None:
    """Find out, before anything is asked, whether a flow can take a request.

    Args:
        request: What is asked.
        plan: The flow.
        catalogue: With the types of node, and the flows that nodes run.

    Raises:
        InvalidRequestError: The input is empty, or holds half of a character.
        UnknownRoleError: A model is named for a role that the flow does not have.
    """
    if not request.input.strip():
        raise InvalidRequestError(
            "The `prompt` is empty.", hint=f'agent-lab run {plan.name} "Your question"'
        )
    if not _can_be_written(request):
        raise InvalidRequestError(
            "The request holds half of a character (a lone surrogate), which no file and no model "
            "can take.",
            hint="text that is valid UTF-8",
        )
    known = {*(role for role, _ in wishes(plan, request, catalogue)), *plan.aliases}
    for role in request.models:
        if role not in known:
            raise UnknownRoleError(role, sorted(known), f"agent-lab flows show {plan.name}")


def _can_be_written(request: RunRequest) -> bool:
    try:
        request.model_dump_json()
    except PydanticSerializationError:
        return False
    return True


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
        builder: With further types of node, and the graphs that were built before.

    Raises:
        InvalidFlowError: The flow cannot run.
        InvalidRequestError: An input has a value that it cannot have.
    """
    request = run.request
    builder = builder or GraphBuilder()
    plan, graph = builder.prepare(flow, request.inputs)
    state = new_state(
        request_id=request_id,
        flow_type=flow.name,
        user_input=request.input,
        lang=lang,
        head=shared_head(request.input, request.attachments, lang, run.secret),
        inputs=plan.values,
    )
    run = bounded(plan, run)
    final = await graph.ainvoke(state, context=run)
    outcome = outcome_of(plan, cast(AgentState, final))
    if request.baseline is None:
        return outcome
    return await with_baseline(outcome, plan, run, builder)
