"""Something does not keep its rules."""

from collections.abc import Sequence
from typing import Any

from agent_lab.errors.base import AgentLabError


class ValidationError(AgentLabError):
    """Something does not satisfy its declared rules."""

    code = "validation_error"
    http_status = 422
    exit_code = 3


class InvalidRequestError(ValidationError):
    """An argument is empty, unreadable or out of range."""

    code = "invalid_request"
    exit_code = 2


class WrongMediaTypeError(InvalidRequestError):
    """The body of a request does not say that it is JSON."""

    code = "wrong_media_type"
    http_status = 415


class InvalidFlowError(ValidationError):
    """A flow that cannot run.

    Args:
        flow: The flow's name.
        faults: Every fault, each one sentence that names node, field, reason and fix.
        details: The same for programs.
    """

    code = "invalid_flow"

    def __init__(self, flow: str, faults: Sequence[str], details: Sequence[Any] = ()) -> None:
        said = f"Flow `{flow}` cannot run: " + " ".join(faults)
        super().__init__(said, details={"faults": list(details or faults)})
        self.flow, self.faults = flow, tuple(faults)


class IdempotencyError(ValidationError):
    """An idempotency key was used before, with another request."""

    code = "idempotency_mismatch"
    exit_code = 2
