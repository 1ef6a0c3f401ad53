"""What the lab knows: flows and what they can be made of, strategies."""

from typing import Annotated

from fastapi import APIRouter, Body, Path
from pydantic import JsonValue

from agent_lab.api.dependencies import JsonOnly, LabDep
from agent_lab.api.wire.catalogue import (
    FlowSummary,
    FlowView,
    NodeKindView,
    RouterView,
)
from agent_lab.api.wire.errors import error_responses
from agent_lab.errors import InvalidRequestError, UnknownFlowError, WrongMediaTypeError
from agent_lab.flows.flow_validator import FlowReport
from agent_lab.flows.schema import EXAMPLE
from agent_lab.providers.registries.strategy_registry import Strategy

FlowName = Annotated[str, Path(examples=["challenge"])]
StrategyName = Annotated[str, Path(examples=["optimized"])]
FlowBody = Annotated[
    dict[str, JsonValue],
    Body(description="The flow, as its file has it; any JSON object is taken.", examples=[EXAMPLE]),
]

router = APIRouter(prefix="/api", tags=["Catalogue"])


@router.get("/flows", summary="List flows")
async def list_flows(lab: LabDep) -> tuple[FlowSummary, ...]:
    """The flows that can be run."""
    return tuple(map(FlowSummary.of, lab.flows.values()))


@router.post(
    "/flows/validate",
    summary="Look for all that is wrong with a flow",
    dependencies=[JsonOnly],
    responses=error_responses(
        WrongMediaTypeError,
        InvalidRequestError,
        statuses={400: "invalid_request", 413: "request_too_large"},
    ),
)
def validate_flow(flow: FlowBody, lab: LabDep) -> FlowReport:  # in a thread: it computes
    """Prove a flow without running anything: every fault, and what a run can take at the most.

    A flow that cannot run is answered 200 all the same: the report says why.
    """
    return lab.check_flow(flow)


@router.get("/node-kinds", summary="List types of node")
async def list_node_kinds(lab: LabDep) -> tuple[NodeKindView, ...]:
    """What the nodes of a flow can do, with the form of what each can be told."""
    return tuple(map(NodeKindView.of, lab.builder.catalogue().kinds.values()))


@router.get("/routers", summary="List routers")
async def list_routers(lab: LabDep) -> tuple[RouterView, ...]:
    """The functions that conditions of a flow can ask."""
    routers = lab.builder.catalogue().routers
    return tuple(RouterView(name=name, routes=routes) for name, routes in routers.items())


@router.get(
    "/flows/{name}",
    summary="Show a flow",
    responses=error_responses(statuses={404: "unknown_flow"}),
)
async def show_flow(name: FlowName, lab: LabDep) -> FlowView:
    """A flow with its nodes, edges and prompts."""
    if name not in lab.flows:
        raise UnknownFlowError(name, list(lab.flows), "GET /api/flows")
    return FlowView.of(lab.flows[name])


@router.get("/strategies", summary="List strategies")
async def list_strategies(lab: LabDep) -> tuple[Strategy, ...]:
    """How models can be sampled and bounded."""
    return tuple(lab.gateway.strategies.all())


@router.get(
    "/strategies/{name}",
    summary="Show a strategy",
    responses=error_responses(statuses={404: "unknown_strategy"}),
)
async def show_strategy(name: StrategyName, lab: LabDep) -> Strategy:
    """A strategy."""
    return lab.gateway.strategies.get(name)
