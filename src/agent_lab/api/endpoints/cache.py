"""The answer cache: what is kept, and an operator's wish to forget it."""

from typing import Annotated

from fastapi import APIRouter, Query

from agent_lab.api.dependencies import LabDep
from agent_lab.api.wire.cache import CacheCleared, CacheView
from agent_lab.api.wire.errors import error_responses
from agent_lab.api.wire.names import ModelKey
from agent_lab.errors import InvalidRequestError, UnknownModelError

router = APIRouter(prefix="/api/cache", tags=["Cache"])


@router.get("", summary="Show the answer cache")
async def show_cache(lab: LabDep) -> CacheView:
    """How much is kept, how much may be, and how often it helped."""
    return CacheView.of(lab.gateway.cache)


@router.delete(
    "",
    summary="Empty the answer cache",
    responses=error_responses(UnknownModelError, InvalidRequestError),
)
async def clear_cache(
    lab: LabDep,
    model: Annotated[
        ModelKey | None, Query(description="Whose answers are forgotten; else all are.")
    ] = None,
) -> CacheCleared:
    """Forget answers, so that the same is asked anew; one that is on its way is kept."""
    if model is not None:
        lab.gateway.models.get(model)
    return CacheCleared(dropped=lab.gateway.cache.clear(model))
