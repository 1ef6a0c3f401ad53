"""Direct mode: `POST /api/inference`, and the first lab's paths."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response

from agent_lab.api.dependencies import JsonOnly, LabDep, RequestId, WorkDep
from agent_lab.api.wire.errors import error_responses
from agent_lab.api.wire.inference import FirstLabModel, InferenceRequest, InferenceResponse
from agent_lab.errors import (
    AllProvidersFailedError,
    BudgetExceededError,
    CircuitOpenError,
    ContentFilteredError,
    ContextLengthError,
    InvalidRequestError,
    MissingDependencyError,
    MissingKeyError,
    ModelNotServedError,
    NotEnoughVramError,
    OverloadedError,
    ProviderAuthError,
    ProviderError,
    ProviderOverloadedError,
    ProviderRateLimitError,
    ProviderRequestError,
    ProviderSpendCapError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RequestOverLimitError,
    ShuttingDownError,
    TruncatedAnswerError,
    UnknownModelError,
    UnknownStrategyError,
    WeightsCorruptError,
    WeightsMissingError,
    WrongMediaTypeError,
)

router = APIRouter(tags=["Direct mode"])

GENERATION_ERRORS = (
    UnknownModelError,
    UnknownStrategyError,
    ContextLengthError,
    ProviderRequestError,
    BudgetExceededError,
    WrongMediaTypeError,
    InvalidRequestError,
    ProviderRateLimitError,
    OverloadedError,
    ProviderError,
    AllProvidersFailedError,
    ProviderAuthError,
    ProviderSpendCapError,
    ModelNotServedError,
    ContentFilteredError,
    TruncatedAnswerError,
    MissingKeyError,
    WeightsMissingError,
    WeightsCorruptError,
    MissingDependencyError,
    ProviderUnavailableError,
    ProviderOverloadedError,
    CircuitOpenError,
    NotEnoughVramError,
    ShuttingDownError,
    ProviderTimeoutError,
)
"""What any call of a model can end with."""


async def infer(
    body: InferenceRequest, request: Request, lab: LabDep, work: WorkDep, request_id: RequestId
) -> Response:
    """Ask one model directly. Leaving stops the model's work."""
    asked = body.to_generation_request()
    answering = work.start(lab.gateway.generate(asked))
    result = await work.finish(answering, request)
    answer = InferenceResponse.of(result, body.prompt, request_id, datetime.now(UTC))
    # Already checked: FastAPI would check it a second time, for more than the call cost.
    return Response(answer.model_dump_json(), media_type="application/json")


for path in ("/api/inference", "/inference", "/api/inference/", "/inference/"):
    router.add_api_route(
        path,
        infer,
        summary="Ask one model",
        methods=["POST"],
        dependencies=[JsonOnly],
        response_model=InferenceResponse,
        responses=error_responses(
            *GENERATION_ERRORS, RequestOverLimitError, statuses={413: "request_too_large"}
        ),
        deprecated=not path.startswith("/api"),
        include_in_schema=not path.endswith("/"),
    )


@router.get("/inference/models", summary="List models as the first lab did", deprecated=True)
async def list_models_as_the_first_lab(lab: LabDep) -> tuple[FirstLabModel, ...]:
    """The models in the first lab's form; `GET /api/models` says more."""
    loaded = {model.key for model in lab.gateway.memory.loaded()}
    return tuple(
        FirstLabModel(
            key=entry.key,
            name=entry.file or entry.key,
            available=lab.gateway.ready(entry),
            loaded=entry.key in loaded,
        )
        for entry in lab.gateway.models.all()
    )
