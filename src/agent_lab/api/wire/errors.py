"""How errors look over HTTP."""

from typing import Any

from pydantic import Field, JsonValue

from agent_lab.contracts import Contract
from agent_lab.errors import AgentLabError

EXAMPLES: dict[str, dict[str, Any]] = {
    "unknown_flow": {
        "message": "Unknown flow `chalenge`; did you mean `challenge`.",
        "hint": "GET /api/flows",
    },
    "invalid_request": {
        "message": "The request is wrong: `max_tokens`: Input should be greater than 0.",
        "hint": "GET /openapi.json describes every field",
    },
    "weights_missing": {
        "message": "No local model is on this machine.",
        "hint": "agent-lab models pull qwen2.5-coder-1.5b",
    },
}


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
    *errors: type[AgentLabError], statuses: dict[int, str] | None = None, body: Any = ErrorBody
) -> dict[int | str, dict[str, Any]]:
    """The error answers of an operation, for its description.

    Args:
        errors: What it can raise.
        statuses: Further statuses, each with the code of its error.
        body: The model of the answer.
    """
    codes: dict[int, list[str]] = {status: [code] for status, code in (statuses or {}).items()}
    for error in errors:
        codes.setdefault(error.http_status, []).append(error.code)
    return {
        status: {
            "model": body,
            "description": "Error: " + ", ".join(f"`{name}`" for name in dict.fromkeys(names)),
            "content": {"application/json": {"example": _example(names[0])}},
        }
        for status, names in sorted(codes.items())
    }


def _example(code: str) -> dict[str, Any]:
    shown = {"message": "What went wrong, in one sentence.", "hint": "What to do about it."}
    error = {"code": code, **shown, **EXAMPLES.get(code, {}), "details": {}}
    return {"error": {**error, "request_id": "01K9ZB4Q8T6X3N5V7W2Y1M0R4C"}}
