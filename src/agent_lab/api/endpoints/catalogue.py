"""What the lab knows: flows, models, strategies."""

from typing import Annotated

from fastapi import APIRouter, Path

from agent_lab.api.dependencies import LabDep
from agent_lab.api.wire.catalogue import FlowSummary, FlowView, ModelView
from agent_lab.api.wire.errors import error_responses
from agent_lab.errors import UnknownFlowError
from agent_lab.lab import Lab
from agent_lab.providers.registries.strategy_registry import Strategy

FlowName = Annotated[str, Path(examples=["challenge"])]
ModelKey = Annotated[str, Path(examples=["qwen2.5-coder-1.5b"])]
StrategyName = Annotated[str, Path(examples=["optimized"])]

router = APIRouter(prefix="/api", tags=["Catalogue"])


def models_of(lab: Lab) -> tuple[ModelView, ...]:
    """Every model of a lab, as lists show it."""
    return tuple(ModelView.of(entry, lab.gateway) for entry in lab.gateway.models.all())


@router.get("/flows", summary="List flows")
async def list_flows(lab: LabDep) -> tuple[FlowSummary, ...]:
    """The flows that can be run."""
    return tuple(map(FlowSummary.of, lab.flows.values()))


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


@router.get("/models", summary="List models")
async def list_models(lab: LabDep) -> tuple[ModelView, ...]:
    """The models of the registry, and which of them can be asked and are loaded."""
    await lab.gateway.find_local_hosts()
    return models_of(lab)


@router.get(
    "/models/{key}",
    summary="Show a model",
    responses=error_responses(statuses={404: "unknown_model"}),
)
async def show_model(key: ModelKey, lab: LabDep) -> ModelView:
    """A model of the registry."""
    return ModelView.of(lab.gateway.models.get(key), lab.gateway)


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
