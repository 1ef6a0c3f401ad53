"""How errors look over HTTP."""

import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import Field, JsonValue

from agent_lab.contracts import Contract, JsonObject
from agent_lab.errors import AgentLabError

REQUEST_ID = "01K9ZB4Q8T6X3N5V7W2Y1M0R4C"


class ErrorDetail(Contract):
    """What went wrong, and what to do about it."""

    code: str = Field(examples=["unknown_flow"])
    """Stable name of the kind of error; docs/errors.md lists them."""
    message: str
    """One sentence for people; the thing that is wrong stands in backticks."""
    hint: str
    """What to do about it; a command where there is one, or empty."""
    details: dict[str, JsonValue]
    """Facts for programs: names, lengths, allowed values."""
    request_id: str
    """The request, as the server's logs and the header `x-request-id` name it."""


class ErrorBody(Contract):
    """Every error of this API."""

    error: ErrorDetail


def error_responses(
    *errors: type[AgentLabError],
    statuses: Mapping[int, str] = MappingProxyType({}),
    body: type[Contract] = ErrorBody,
    around: Mapping[str, Any] = MappingProxyType({}),
) -> dict[int | str, dict[str, Any]]:
    """The error answers of an operation, for its description.

    Args:
        errors: What it can raise.
        statuses: Further statuses, each with the code of its error.
        body: The model of the answer.
        around: What the example has beside `error`.
    """
    meanings = {status: {code: code.replace("_", " ")} for status, code in statuses.items()}
    for error in errors:
        meaning = (inspect.getdoc(error) or "").splitlines()[0]
        meanings.setdefault(error.http_status, {})[error.code] = meaning
    return {
        status: {
            "model": body,
            "description": "\n".join(f"- `{code}`: {meaning}" for code, meaning in codes.items()),
            "content": {"application/json": {"example": {**around, **_example(codes)}}},
        }
        for status, codes in sorted(meanings.items())
    }


def _example(codes: Mapping[str, str]) -> JsonObject:
    code, meaning = next(iter(codes.items()))
    error = {"code": code, "message": meaning, "hint": "What to do about it.", "details": {}}
    return {"error": {**error, "request_id": REQUEST_ID}}
