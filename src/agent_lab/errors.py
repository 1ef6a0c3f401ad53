"""Every error that AI Agent Lab raises on purpose.

    AgentLabError
    ├── ConfigurationError            what was asked for, or set up, does not exist
    │   ├── UnknownNameError          of a kind of thing; the message lists the near names
    │   │   ├── UnknownModelError
    │   │   ├── UnknownStrategyError
    │   │   ├── UnknownFlowError
    │   │   ├── UnknownRoleError
    │   │   ├── UnknownCapabilityError
    │   │   └── UnknownPluginError
    │   ├── MissingDependencyError
    │   ├── WeightsMissingError       not on this machine: pull them
    │   └── WeightsCorruptError       on this machine, but not the file that they should be
    ├── ProviderError                 a provider or a source of weights failed
    │   ├── ProviderRequestError      the request itself is wrong: never retried
    │   │   └── ContextLengthError    the prompt does not fit the model's window
    │   ├── TruncatedAnswerError      the answer ended before it was complete
    │   ├── ProviderTimeoutError      (retryable)
    │   └── ProviderUnavailableError  (retryable)
    ├── ValidationError
    │   ├── InvalidRequestError       an argument is empty, unreadable or out of range
    │   │   └── WrongMediaTypeError   a request's body is not JSON
    │   └── InvalidFlowError          every fault of a flow at once
    ├── CapacityError                 there is no room for the work now
    │   └── ShuttingDownError         (retryable) the server is on its way out
    ├── StorageError                  a record cannot be written or read
    └── RunFailedError                a run ended without an answer

A class carries its HTTP status, the exit code of the command line, and whether the same call
may succeed when it is repeated. Messages put the thing in backticks and name the allowed values;
`hint` is one thing to do about it, mostly a command to run.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
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
        self.message = message
        self.hint = hint
        self.details = dict(details or {})


class ConfigurationError(AgentLabError):
    """Something that was asked for, or set up, is wrong or missing."""

    code = "configuration_error"
    http_status = 400
    exit_code = 4


class UnknownNameError(ConfigurationError):
    """A name that no registry holds; the message lists the near ones, or all of few.

    Args:
        name: The name as it was given.
        known: Every name that would have been right.
        where: What adds or lists names of this kind, as the hint.
    """

    code = "unknown_name"
    exit_code = 2
    kind: ClassVar[str] = "name"

    def __init__(self, name: str, known: Sequence[str], where: str = "") -> None:
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        shown = near or sorted(known)
        lead = "did you mean" if near else "known are"
        names = ", ".join(f"`{n}`" for n in shown) or "none"
        super().__init__(
            f"Unknown {self.kind} `{name}`; {lead} {names}.",
            hint=where,
            details={"name": name, "near": near, "known": sorted(known)},
        )


class UnknownModelError(UnknownNameError):
    """No registry entry has this model key."""

    code = "unknown_model"
    kind = "model"


class UnknownStrategyError(UnknownNameError):
    """No registry entry has this strategy name."""

    code = "unknown_strategy"
    kind = "strategy"


class UnknownFlowError(UnknownNameError):
    """No flow has this name."""

    code = "unknown_flow"
    kind = "flow"


class UnknownRoleError(UnknownNameError):
    """The flow has no role of this name."""

    code = "unknown_role"
    kind = "role"


class UnknownCapabilityError(UnknownNameError):
    """No model could have a capability of this name."""

    code = "unknown_capability"
    kind = "capability"


class UnknownPluginError(UnknownNameError):
    """No provider or node type has this name, here or in an installed package."""

    code = "unknown_plugin"
    kind = "plugin"


class MissingDependencyError(ConfigurationError):
    """An optional package is not installed; the hint is the pip command that installs it."""

    code = "missing_dependency"
    http_status = 503


class WeightsMissingError(ConfigurationError):
    """The weights of a local model are not on this machine; the hint is the pull command."""

    code = "weights_missing"
    http_status = 503


class WeightsCorruptError(ConfigurationError):
    """A weights file is not the file that its registry entry names by sha256."""

    code = "weights_corrupt"
    http_status = 503


class ProviderError(AgentLabError):
    """A provider failed.

    Args:
        message: As in `AgentLabError`.
        provider: Which provider: `local`, `scripted`, a host's name.
        model: The model key that was asked.
        status_code: What the provider answered, if it answered in HTTP.
        retry_after: The least number of seconds to wait, if the provider named one.
        hint: As in `AgentLabError`.
        details: As in `AgentLabError`.
    """

    code = "provider_error"
    http_status = 502
    exit_code = 5

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        model: str = "",
        status_code: int | None = None,
        retry_after: float | None = None,
        hint: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, hint=hint, details=details)
        self.provider = provider
        self.model = model
        self.status_code = status_code
        self.retry_after = retry_after


class ProviderRequestError(ProviderError):
    """The provider refused the request as wrong: repeating it would fail and cost again."""

    code = "provider_request"
    http_status = 400
    exit_code = 2


class ContextLengthError(ProviderRequestError):
    """The prompt is longer than the model's window; message and details give both lengths."""

    code = "context_length"


class TruncatedAnswerError(ProviderError):
    """The answer ended without a finish reason, or without any text."""

    code = "truncated_answer"


class ProviderTimeoutError(ProviderError):
    """No complete answer came within the strategy's `timeout_s` or the request's deadline."""

    code = "provider_timeout"
    http_status = 504
    retryable = True


class ProviderUnavailableError(ProviderError):
    """The provider cannot be reached or cannot work now."""

    code = "provider_unavailable"
    http_status = 503
    retryable = True


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
        faults: Every fault, each one sentence that names node, field and reason.
    """

    code = "invalid_flow"

    def __init__(self, flow: str, faults: Sequence[str]) -> None:
        super().__init__(
            f"Flow `{flow}` cannot run: " + " ".join(faults), details={"faults": list(faults)}
        )
        self.faults = tuple(faults)


class CapacityError(AgentLabError):
    """There is no room for the work now."""

    code = "no_capacity"
    http_status = 503
    exit_code = 5


class ShuttingDownError(CapacityError):
    """The server ends; what it was asked was not done, or not to its end."""

    code = "server_shutting_down"
    retryable = True


class StorageError(AgentLabError):
    """A record cannot be written or read: a folder that is not writable, a full disk."""

    code = "storage_error"
    http_status = 503
    exit_code = 4


class RunFailedError(AgentLabError):
    """A run ended without an answer; `details` holds the run's id."""

    code = "run_failed"
    http_status = 502
