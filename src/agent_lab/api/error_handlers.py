"""Renders every error, in one place and one form."""

import logging
import math
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from agent_lab.api.dependencies import request_id_of
from agent_lab.api.request_frame import HEADER
from agent_lab.contracts import ErrorInfo, JsonObject, problem
from agent_lab.errors import (
    AgentLabError,
    InvalidRequestError,
    ProviderError,
    ShuttingDownError,
    UnknownNameError,
)
from agent_lab.orchestrator.flow_metrics import build_error_response

logger = logging.getLogger(__name__)

ORCHESTRATE = "orchestrate"
"""Name of the routes whose errors have the first lab's fields, too."""

CALLER_GONE = 499
FEW_SECONDS = 5
"""When to ask again a server that is on its way out: another one will be there."""

_OF_STATUS = {
    400: ("invalid_request", "GET /openapi.json describes every request"),
    404: ("not_found", "GET /openapi.json lists every path"),
    405: ("method_not_allowed", "GET /openapi.json lists every path with its methods"),
    413: ("request_too_large", "Send less: shorten the prompt or the attachments."),
}


def install(app: FastAPI) -> None:
    """Make an application answer every error in our form."""
    handlers: dict[Any, Any] = {
        AgentLabError: _expected,
        RequestValidationError: _malformed,
        HTTPException: _of_http,
        ClientDisconnect: _gone,
        Exception: _unexpected,
    }
    for error, handler in handlers.items():
        app.add_exception_handler(error, handler)


async def _expected(request: Request, error: AgentLabError) -> JSONResponse:
    # A name in the path is a thing that was not found; in a body it is a wrong value.
    in_path = error.details.get("name") in request.path_params.values()
    named_in_path = request.method == "GET" or in_path
    missing = isinstance(error, UnknownNameError) and named_in_path
    status = 404 if missing else error.http_status
    return render(request, ErrorInfo.of(error), status, _headers(error))


async def _malformed(request: Request, error: RequestValidationError) -> JSONResponse:
    problems = [_problem(e) for e in error.errors()]
    told = "; ".join(f"`{p['field']}`: {p['problem']}" for p in problems)
    wrong = InvalidRequestError(
        f"The request is wrong: {told}.",
        hint="GET /openapi.json describes every field",
        details={"problems": problems},
    )
    return await _expected(request, wrong)


async def _of_http(request: Request, error: HTTPException) -> JSONResponse:
    code, hint = _OF_STATUS.get(error.status_code, ("http_error", ""))
    said = f"{request.method} {request.url.path}: {error.detail}."
    info = ErrorInfo(code=code, message=said, hint=hint)
    headers = {**(error.headers or {})}
    methods = request.app.state.methods.get(getattr(request.scope.get("route"), "path", ""))
    if error.status_code == 405 and methods:
        # FastAPI names those of one of a path's operations only.
        headers["Allow"] = ", ".join(sorted(methods))
    return render(request, info, error.status_code, headers)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    logger.error("The request ended by a fault of the lab itself", exc_info=error)
    info = ErrorInfo(
        code="internal_error",
        message="The lab itself failed.",
        hint="The server's log says more under this request_id.",
    )
    # This one is answered outside of the frame that adds the header to every other answer.
    return render(request, info, 500, {HEADER: request_id_of(request)})


async def _gone(request: Request, error: ClientDisconnect) -> Response:
    """Nobody reads this: the status is for the log."""
    return Response(status_code=CALLER_GONE)


def _problem(error: Mapping[str, Any]) -> dict[str, str]:
    if error["type"] == "json_invalid":
        where, position = error["loc"]
        told = f"this is no JSON: {error['ctx']['error']} after {position} characters"
        return {"field": where, "problem": told}
    field = ".".join(map(str, error["loc"])).removeprefix("body.")
    return {"field": field, "problem": problem(error)}


def render(request: Request, error: ErrorInfo, status: int, headers: Any = None) -> JSONResponse:
    """Answer with an error."""
    body: JsonObject = build_error_response(error, request_id_of(request))
    if getattr(request.scope.get("route"), "name", "") != ORCHESTRATE:
        body = {"error": body["error"]}
    return JSONResponse(body, status, headers)


def _headers(error: AgentLabError) -> dict[str, str]:
    if isinstance(error, ShuttingDownError):
        return {"retry-after": str(FEW_SECONDS)}
    seconds = error.retry_after if isinstance(error, ProviderError) else None
    seconds = error.details.get("retry_after") if seconds is None else seconds
    return {} if seconds is None else {"retry-after": str(math.ceil(seconds))}
