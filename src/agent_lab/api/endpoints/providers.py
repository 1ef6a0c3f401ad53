"""Providers: their breakers, their limits, and an operator's reset."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path

from agent_lab.api.dependencies import JsonOnly, LabDep
from agent_lab.api.wire.empty import EmptyRequest
from agent_lab.api.wire.errors import error_responses
from agent_lab.api.wire.providers import ProviderView
from agent_lab.errors import InvalidRequestError, UnknownProviderError, WrongMediaTypeError
from agent_lab.lab import Lab

ProviderName = Annotated[str, Path(examples=["openai"])]

router = APIRouter(prefix="/api/providers", tags=["Providers"])


@router.get("", summary="List providers")
async def list_providers(lab: LabDep) -> tuple[ProviderView, ...]:
    """Where models live, and how each of these places fares."""
    return tuple([await _view(lab, name) for name in lab.gateway.targets.hosts.names()])


@router.get(
    "/{name}",
    summary="Show a provider",
    responses=error_responses(statuses={404: "unknown_provider"}),
)
async def show_provider(name: ProviderName, lab: LabDep) -> ProviderView:
    """A provider: its circuit breakers, its limits, and their latest changes."""
    return await _view(lab, name)


@router.post(
    "/{name}/reset",
    summary="Close a provider's circuit breakers",
    dependencies=[JsonOnly],
    responses=error_responses(
        WrongMediaTypeError,
        InvalidRequestError,
        statuses={400: "invalid_request", 404: "unknown_provider", 413: "request_too_large"},
    ),
)
async def reset_provider(name: ProviderName, body: EmptyRequest, lab: LabDep) -> ProviderView:
    """Let calls through again at once, to the provider and to every model of it."""
    await _view(lab, name)
    lab.gateway.breakers.reset(name)
    return await _view(lab, name)


async def _view(lab: Lab, name: str) -> ProviderView:
    hosts = lab.gateway.targets.hosts
    if name not in hosts.names():
        raise UnknownProviderError(name, hosts.names(), "GET /api/providers")
    now = asyncio.get_running_loop().time()
    return await ProviderView.of(hosts.get(name), lab.gateway, now)
