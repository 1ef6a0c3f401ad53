"""How the server is, and what machine it is on."""

from typing import Literal

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

from agent_lab import __version__
from agent_lab.api.dependencies import LabDep, WorkDep
from agent_lab.api.request_work import shutting_down
from agent_lab.api.wire.errors import error_responses
from agent_lab.contracts import Contract
from agent_lab.errors import ShuttingDownError, StorageError
from agent_lab.observability.metrics import CONTENT_TYPE
from agent_lab.providers.resources import Resources

router = APIRouter(tags=["System"])


class Health(Contract):
    """The server answers."""

    status: Literal["ok"] = "ok"
    version: str


class Readiness(Contract):
    """The server takes work."""

    status: Literal["ready"] = "ready"


@router.get("/healthz")
async def health() -> Health:
    """Whether the process is alive."""
    return Health(version=__version__)


@router.get("/readyz", responses=error_responses(ShuttingDownError, StorageError))
async def readiness(lab: LabDep, work: WorkDep) -> Readiness:
    """Whether new work is taken and can be kept: 503 once the server is asked to end."""
    if work.ending:
        raise shutting_down()
    if lab.runs.why_not_ready is not None:
        raise lab.runs.why_not_ready
    return Readiness()


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(lab: LabDep) -> Response:
    """What Prometheus scrapes: attempts, tokens, cost, breakers, limits, fallbacks."""
    return Response(lab.gateway.metrics.text(), media_type=CONTENT_TYPE)


@router.get("/api/system/resources")
def resources(lab: LabDep) -> Resources:
    """Processor, memory, GPUs and loaded models, as they are now."""
    return lab.gateway.resources()
