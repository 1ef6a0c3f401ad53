"""What every error of this package has."""

from collections.abc import Mapping
from typing import Any, ClassVar


class AgentLabError(Exception):
    """Base of all errors of this package.

    Args:
        message: One sentence; the thing that is wrong stands in backticks.
        hint: What to do about it; a command where there is one.
        details: Facts for programs (names, lengths, allowed values), JSON-serialisable.
    """

    code: ClassVar[str] = "internal_error"
    """Stable name of the kind of error: API clients and metric labels use it."""
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, hint: str = "", details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint
        self.details = dict(details or {})
