"""The models: which there are, which fit, and what is done with this machine's memory."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request

from agent_lab.api.dependencies import JsonOnly, LabDep, WorkDep
from agent_lab.api.wire.empty import EmptyRequest
from agent_lab.api.wire.errors import error_responses
from agent_lab.api.wire.models import AddModelRequest, ModelView, WarmRequest
from agent_lab.api.wire.names import KIND
from agent_lab.errors import (
    AgentLabError,
    ConfigurationError,
    ContextLengthError,
    InvalidRequestError,
    MissingDependencyError,
    ModelInUseError,
    NotEnoughVramError,
    ProviderAuthError,
    ProviderError,
    ProviderRateLimitError,
    ProviderRequestError,
    ProviderUnavailableError,
    ShuttingDownError,
    StorageError,
    UnknownFlowError,
    WeightsCorruptError,
    WeightsMissingError,
    WrongMediaTypeError,
)
from agent_lab.lab import Lab
from agent_lab.providers.model_survey import Advice, advise, survey
from agent_lab.providers.registries.model_registry import Capability, ModelEntry

ModelKey = Annotated[str, Path(examples=["qwen2.5-coder-1.5b"])]
ReadyKey = Annotated[str, Path(json_schema_extra={KIND: "models"})]
"""Described as one of the models that can be asked: the others are refused with a reason."""
Language = Annotated[
    str | None,
    Query(
        pattern="^[a-z]{2,3}$",
        examples=["es"],
        description="ISO 639-1 code of a language that the models must speak.",
    ),
]
Able = Annotated[Capability | None, Query(description="What the models must be able to do.")]

router = APIRouter(prefix="/api/models", tags=["Models"])

LOADING_ERRORS = (
    ConfigurationError,
    WeightsMissingError,
    WeightsCorruptError,
    MissingDependencyError,
    NotEnoughVramError,
    ProviderUnavailableError,
    StorageError,
)
"""Why a model cannot be loaded."""


def _responses(*errors: type[AgentLabError], **statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of an operation with a body that ends before the server does."""
    return error_responses(
        WrongMediaTypeError,
        InvalidRequestError,
        ShuttingDownError,
        *errors,
        statuses={
            400: "invalid_request",
            413: "request_too_large",
            **{status: code for code, status in statuses.items()},
        },
    )


@router.get("", summary="List models")
async def list_models(lab: LabDep) -> tuple[ModelView, ...]:
    """The models of the registry: which of them can be asked, are loaded, and would fit."""
    await lab.gateway.find_local_hosts()
    seen = await survey(lab.gateway, lab.gateway.models.all())
    return tuple(ModelView.of(model, lab.gateway) for model in seen)


@router.post(
    "",
    summary="Add a model of a hub",
    status_code=201,
    dependencies=[JsonOnly],
    responses=_responses(
        ConfigurationError,
        ModelInUseError,
        ProviderRateLimitError,
        ProviderAuthError,
        ProviderUnavailableError,
        StorageError,
    ),
)
async def add_model(
    body: AddModelRequest, request: Request, lab: LabDep, work: WorkDep
) -> ModelView:
    """Write a model into the operator's file; it is known at once. Its weights are not fetched."""
    adding = lab.gateway.new_models.add(body.source, key=body.key, replace=body.replace)
    return await _view(lab, await work.finish(work.start(adding), request))


# Before the model of a key: in FastAPI the first path that fits answers.
@router.get(
    "/recommended", summary="Recommend models", responses=error_responses(InvalidRequestError)
)
async def recommend_models(
    lab: LabDep, language: Language = None, capability: Able = None
) -> Advice:
    """The local models that suit this machine, the best first, and two for a debate."""
    return await advise(lab.gateway, language=language, capability=capability)


@router.get(
    "/{key}",
    summary="Show a model",
    responses=error_responses(statuses={404: "unknown_model"}),
)
async def show_model(key: ModelKey, lab: LabDep) -> ModelView:
    """A model of the registry."""
    return await _view(lab, lab.gateway.models.get(key))


@router.post(
    "/{key}/load",
    summary="Load a model",
    dependencies=[JsonOnly],
    responses=_responses(*LOADING_ERRORS, unknown_model=404),
)
async def load_model(
    key: ReadyKey, body: EmptyRequest, request: Request, lab: LabDep, work: WorkDep
) -> ModelView:
    """Load a local model, to stay when nobody uses it for long; answered once it is loaded.

    Others go if it needs their room, unless they are in use: then it waits for them. A model that
    lives elsewhere takes no memory here, and is shown as it is.
    """
    entry = lab.gateway.models.get(key)
    if await _takes_memory(lab, entry):
        await work.finish(work.start(lab.gateway.memory.load([entry])), request)
    return await _view(lab, entry)


@router.post(
    "/{key}/warm",
    summary="Load a model and have it read what prompts begin with",
    dependencies=[JsonOnly],
    responses=_responses(
        UnknownFlowError,
        ContextLengthError,
        ProviderRequestError,
        ProviderError,
        *LOADING_ERRORS,
        unknown_model=404,
    ),
)
async def warm_model(
    key: ReadyKey, body: WarmRequest, request: Request, lab: LabDep, work: WorkDep
) -> ModelView:
    """Load a local model, and spare its first calls the work that all of a flow's prompts share."""
    entry = lab.gateway.models.get(key)
    warmed = [key] if await _takes_memory(lab, entry) else []
    await work.finish(work.start(lab.warm(warmed, body.flow)), request)
    return await _view(lab, entry)


@router.post(
    "/{key}/unload",
    summary="Unload a model",
    dependencies=[JsonOnly],
    responses=_responses(ModelInUseError, unknown_model=404),
)
async def unload_model(
    key: ReadyKey, body: EmptyRequest, request: Request, lab: LabDep, work: WorkDep
) -> ModelView:
    """Free the memory of a model that nobody uses; one that is not loaded is shown as it is."""
    entry = lab.gateway.models.get(key)
    await work.finish(work.start(lab.gateway.memory.unload(entry)), request)
    return await _view(lab, entry)


async def _takes_memory(lab: Lab, entry: ModelEntry) -> bool:
    """Whether a model takes memory here; raises if it is a local one that cannot be loaded."""
    return await lab.gateway.memory.fit(entry) is not None


async def _view(lab: Lab, entry: ModelEntry) -> ModelView:
    (seen,) = await survey(lab.gateway, [entry])
    return ModelView.of(seen, lab.gateway)
