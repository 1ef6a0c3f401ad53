"""Runs a shipped flow as a bare graph, with the gateway that it is given: nothing is saved.

These are the functions that the first lab's users know. Runs that are to be kept go through
`runs`: `agent_lab.run_orchestrator`.
"""

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError
from ulid import ULID

from agent_lab.contracts import JsonObject, RunRecord, RunRequest, field_problems
from agent_lab.deliberation.context import shared_head
from agent_lab.deliberation.votes import ballots_of, votes_of
from agent_lab.errors import InvalidRequestError
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import FlowConfig, get_flow_config
from agent_lab.flows.language import detect_language
from agent_lab.orchestrator.agent_state import AgentState, new_state
from agent_lab.orchestrator.any_gateway import as_gateway
from agent_lab.orchestrator.blocking import run_blocking
from agent_lab.orchestrator.flow_metrics import (
    build_api_response,
    build_error_response,
    build_execution_metrics,
    camel_case_metrics,
    get_flow_summary,
    total_usage,
)
from agent_lab.orchestrator.flow_runner import check_request, run_flow
from agent_lab.orchestrator.graph_builder import get_graph_builder
from agent_lab.orchestrator.outcome import FlowOutcome, issues_of
from agent_lab.orchestrator.run_context import SEEDS, Gateway, RunContext, utc_now
from agent_lab.orchestrator.run_recorder import Collector
from agent_lab.providers.provider_gateway import ProviderGateway

_SECRET_BYTES = 32
_STATE = TypeAdapter(AgentState)


async def arun_routing_agent(
    user_input: str,
    gateway: Any = None,
    flow_type: str = "challenge",
    verbose: bool = False,
    **options: Any,
) -> JsonObject:
    """Run a flow and return what `POST /api/orchestrate` would answer.

    Args:
        user_input: The question.
        gateway: Who answers: a `ProviderGateway`, or any object with `generate`; None: one from
            the environment, closed at the end.
        flow_type: The flow's name.
        verbose: With uncut outputs and the prompts.
        options: Further fields of `RunRequest`: model, models, strategy, max_tokens,
            temperature, seed, lang, attachments.

    Returns:
        The answer; a run that failed has `success` false and `error`.

    Raises:
        InvalidRequestError: The question is empty, or an option is wrong.
        UnknownFlowError: There is no such flow.
        UnknownRoleError: A model is named for a role that the flow does not have.
        ConfigurationError: The gateway cannot generate.
    """
    request = RunRequest.parse({"flow": flow_type, "input": user_input, **options})
    flow = get_flow_config(flow_type)
    plan, _ = get_graph_builder().prepare(flow, request.inputs)
    check_request(request, plan, get_graph_builder().catalogue())
    async with _opened(gateway) as answering:
        record = await _run(request, flow, answering)
    if record.error is not None:
        return build_error_response(record.error, record.id, record, plan, verbose=verbose)
    return build_api_response(record, plan, verbose=verbose)


def run_routing_agent(
    user_input: str,
    gateway: Any = None,
    flow_type: str = "challenge",
    verbose: bool = False,
    **options: Any,
) -> JsonObject:
    """`arun_routing_agent` for callers without an event loop.

    Raises:
        ConfigurationError: It was called inside a running event loop.
    """
    return run_blocking(
        "run_routing_agent",
        "arun_routing_agent",
        lambda: arun_routing_agent(user_input, gateway, flow_type, verbose, **options),
    )


def run_orchestrator(prompt: str, flow_type: str = "challenge", gateway: Any = None) -> JsonObject:
    """`run_routing_agent` with metrics in camel case and milliseconds.

    `agent_lab.run_orchestrator` is the one to use: it also saves the run.
    """
    answer = run_routing_agent(prompt, gateway, flow_type)
    return {**answer, "metrics": camel_case_metrics(answer["metrics"], flow_type)}


async def arun(
    state: Mapping[str, Any], flow_type: str = "challenge", gateway: Any = None
) -> AgentState:
    """Run a flow's graph from a state to its end.

    Args:
        state: At least `user_input` (or `input`); any other key of `AgentState`.
        flow_type: The flow's name.
        gateway: Who answers; None: the gateway of `get_graph_builder()`, else one from the
            environment, closed at the end.

    Returns:
        The final state: every node's text in `outputs`, what failed in `failures`.

    Raises:
        InvalidRequestError: The state has a key that no state has, or no question.
        UnknownFlowError: There is no such flow.
    """
    flow = get_flow_config(flow_type)
    secret = secrets.token_bytes(_SECRET_BYTES)
    builder = get_graph_builder()
    plan, graph = builder.prepare(flow)
    begin = _completed(state, plan, secret)
    request = RunRequest(flow=flow.name, input=begin["user_input"])
    async with _opened(builder.gateway if gateway is None else gateway) as answering:
        seed = secrets.randbelow(SEEDS)
        context = RunContext(gateway=answering, request=request, seed=seed, secret=secret)
        return cast(AgentState, await graph.ainvoke(begin, context=context))


def run(state: Mapping[str, Any], flow_type: str = "challenge", gateway: Any = None) -> AgentState:
    """`arun` for callers without an event loop.

    Raises:
        ConfigurationError: It was called inside a running event loop.
    """
    return run_blocking("run", "arun", lambda: arun(state, flow_type, gateway))


@asynccontextmanager
async def _opened(gateway: Any) -> AsyncIterator[Gateway]:
    """The caller's gateway, which stays open, or one of our own, which does not."""
    if gateway is not None:
        yield as_gateway(gateway)
        return
    own = ProviderGateway.from_settings()
    try:
        yield own
    finally:
        await own.aclose()


async def _run(request: RunRequest, flow: FlowConfig, gateway: Gateway) -> RunRecord:
    collector, run_id, begin = Collector(), str(ULID()), utc_now()
    seed = secrets.randbelow(SEEDS) if request.seed is None else request.seed
    lang = request.lang or detect_language(request.input)
    context = RunContext(
        gateway=gateway,
        request=request,
        seed=seed,
        secret=secrets.token_bytes(_SECRET_BYTES),
        recorder=collector,
    )
    builder = get_graph_builder()
    outcome = await run_flow(flow, context, lang=lang, request_id=run_id, builder=builder)
    end, turns = utc_now(), tuple(collector.turns)
    total = (end - begin).total_seconds()
    return RunRecord(
        id=run_id,
        flow=flow.name,
        flow_version=flow.version,
        created_at=begin,
        started_at=begin,
        ended_at=end,
        input=request.input,
        lang=lang,
        seed=seed,
        summary=get_flow_summary(turns, total),
        steps=tuple(collector.steps),
        turns=turns,
        usage=total_usage(turns),
        metrics=build_execution_metrics(turns, total, collector.steps),
        ballots=ballots_of(votes_of(collector.steps)),
        **_result(outcome),
    )


def _result(outcome: FlowOutcome) -> JsonObject:
    if outcome.error is not None:
        return {"status": "failed", "stop_reason": outcome.error.code, "error": outcome.error}
    return {
        "status": "completed",
        "stop_reason": outcome.stop_reason,
        "output": outcome.output,
        "outputs": dict(outcome.outputs),
        "issues": issues_of(outcome),
        "degraded": outcome.degraded,
        "baseline": outcome.baseline,
    }


def _completed(given: Mapping[str, Any], flow: FlowPlan, secret: bytes) -> AgentState:
    """A whole state from what a caller gives of it; the first lab's `input` is the question."""
    known = {name: value for name, value in given.items() if value is not None}
    question = known.pop("input", "")
    known["user_input"] = known.get("user_input") or question
    _refuse_unknown(known)
    lang = known.get("lang") or detect_language(str(known["user_input"]))
    begin = new_state(
        request_id=str(ULID()),
        flow_type=flow.name,
        user_input=known["user_input"],
        lang=lang,
        head="",
        inputs=flow.values,
    )
    try:
        state = _STATE.validate_python({**begin, **known, "flow_type": flow.name})
    except ValidationError as error:
        raise InvalidRequestError(f"The state is wrong: {field_problems(error)}.") from error
    request = RunRequest(flow=flow.name, input=state["user_input"])
    check_request(request, flow, get_graph_builder().catalogue())
    head = state["head"] or shared_head(state["user_input"], (), state["lang"], secret)
    return {**state, "head": head}


def _refuse_unknown(state: Mapping[str, Any]) -> None:
    unknown = sorted(set(state) - set(AgentState.__annotations__))
    if unknown:
        raise InvalidRequestError(
            f"No state has the key `{unknown[0]}`; keys are "
            + ", ".join(f"`{name}`" for name in AgentState.__annotations__)
            + "."
        )
