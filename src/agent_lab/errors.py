"""Every error that AI Agent Lab raises on purpose.

    AgentLabError
    ├── ConfigurationError            what was asked for, or set up, does not exist
    │   ├── UnknownNameError          of a kind of thing; the message lists the near names
    │   │   ├── UnknownModelError
    │   │   ├── UnknownStrategyError
    │   │   ├── UnknownFlowError
    │   │   ├── UnknownRoleError
    │   │   ├── UnknownCapabilityError
    │   │   ├── UnknownProviderError
    │   │   └── UnknownPluginError
    │   ├── MissingDependencyError
    │   ├── WeightsMissingError       not on this machine: pull them
    │   ├── WeightsCorruptError       on this machine, but not the file that they should be
    │   └── MissingKeyError           a provider's key is not set
    ├── ProviderError                 a provider or a source of weights failed
    │   ├── ProviderRequestError      the request itself is wrong: never retried
    │   │   ├── ContextLengthError    the prompt does not fit the model's window
    │   │   └── ModelNotServedError   the host does not have the model
    │   ├── ProviderAuthError         the provider refuses our key
    │   ├── ProviderSpendCapError     the account has no money left, or reached its cap
    │   ├── ContentFilteredError      the provider withholds the answer
    │   ├── TruncatedAnswerError      the answer ended before it was complete
    │   ├── AllProvidersFailedError   every model that could answer was tried
    │   ├── ProviderRateLimitError    (retryable)
    │   ├── ProviderOverloadedError   (retryable)
    │   ├── ProviderTimeoutError      (retryable)
    │   └── ProviderUnavailableError  (retryable)
    ├── ValidationError               something does not keep its rules
    │   ├── InvalidRequestError       an argument is empty, unreadable or out of range
    │   │   └── WrongMediaTypeError   a request's body is not JSON
    │   └── InvalidFlowError          every fault of a flow at once
    ├── CapacityError                 there is no room for the work now
    │   ├── CircuitOpenError          (retryable) a provider failed too often: it is left alone
    │   ├── BudgetExceededError       the call could cost more than it may
    │   ├── OverloadedError           (retryable) our own limit of a provider is used up
    │   ├── RequestOverLimitError     larger than our own limit of a provider ever allows
    │   └── ShuttingDownError         (retryable) the server is on its way out
    ├── StorageError                  a record cannot be written or read
    └── RunFailedError                a run ended without an answer

A class carries its HTTP status, the command line's exit code, and whether the same call may succeed
when repeated. Messages put the thing in backticks; `hint` is one thing to do about it.
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
        self.message, self.hint = message, hint
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
        lead = "did you mean" if near else "known are"
        names = ", ".join(f"`{n}`" for n in near or sorted(known)) or "none"
        details = {"name": name, "near": near, "known": sorted(known)}
        said = f"Unknown {self.kind} `{name}`; {lead} {names}."
        super().__init__(said, hint=where, details=details)


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


class UnknownProviderError(UnknownNameError):
    """No registry entry has this provider name."""

    code = "unknown_provider"
    kind = "provider"


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


class MissingKeyError(ConfigurationError):
    """The key of a remote provider is not set; the hint names its variable."""

    code = "missing_key"
    http_status = 503


class ProviderError(AgentLabError):
    """A provider failed.

    Args:
        message: As in `AgentLabError`.
        provider: Which provider: `local`, `scripted`, a host's name.
        model: The model key that was asked.
        status_code: What the provider answered, if it answered in HTTP.
        retry_after: The least seconds to wait, if it named them.
        retry_advised: What it says of asking again; None: nothing.
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
        retry_advised: bool | None = None,
        hint: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, hint=hint, details=details)
        self.provider, self.model = provider, model
        self.status_code = status_code
        self.retry_after, self.retry_advised = retry_after, retry_advised


class ProviderRequestError(ProviderError):
    """The provider refused the request as wrong: repeating it would fail and cost again."""

    code = "provider_request"
    http_status = 400
    exit_code = 2


class ContextLengthError(ProviderRequestError):
    """The prompt is longer than the model's window; message and details give both lengths."""

    code = "context_length"


class ModelNotServedError(ProviderRequestError):
    """The host does not have the model that the registry entry names."""

    code = "model_not_served"
    http_status = 502
    exit_code = 5


class ProviderAuthError(ProviderError):
    """The provider refuses our key, or what the key may do does not include this."""

    code = "provider_auth"
    exit_code = 4


class ProviderSpendCapError(ProviderError):
    """The provider's account has no money left, or has reached its own cap: waiting is no use."""

    code = "provider_spend_cap"
    exit_code = 4


class ContentFilteredError(ProviderError):
    """The provider withholds the answer, or refuses the prompt, by its content policy."""

    code = "content_filtered"


class TruncatedAnswerError(ProviderError):
    """The answer ended without a finish reason, or without any text."""

    code = "truncated_answer"


class AllProvidersFailedError(ProviderError):
    """Every model that could answer was tried; `details["attempts"]` has every try."""

    code = "all_providers_failed"


class ProviderRateLimitError(ProviderError):
    """The provider takes no more calls of this key for now."""

    code = "provider_rate_limit"
    http_status = 429
    retryable = True


class ProviderOverloadedError(ProviderError):
    """The provider, or this model of it, has too much to do."""

    code = "provider_overloaded"
    http_status = 503
    retryable = True


class ProviderTimeoutError(ProviderError):
    """Something was too slow: details["phase"], `connect|first_token|between_tokens|total`."""

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
        faults: Every fault, each one sentence that names node, field, reason and fix.
        details: The same for programs.
    """

    code = "invalid_flow"

    def __init__(self, flow: str, faults: Sequence[str], details: Sequence[Any] = ()) -> None:
        said = f"Flow `{flow}` cannot run: " + " ".join(faults)
        super().__init__(said, details={"faults": list(details or faults)})
        self.flow, self.faults = flow, tuple(faults)


class CapacityError(AgentLabError):
    """There is no room for the work now."""

    code = "no_capacity"
    http_status = 503
    exit_code = 5


class CircuitOpenError(CapacityError):
    """A provider, or a model of it, failed too often; `details["retry_after"]` seconds are left."""

    code = "circuit_open"
    retryable = True


class BudgetExceededError(CapacityError):
    """The call could cost more than its budget has left, or its price is unknown."""

    code = "budget_exceeded"
    http_status = 402
    exit_code = 1


class OverloadedError(CapacityError):
    """The lab's own limit of a provider leaves no room before the request's deadline."""

    code = "overloaded"
    http_status = 429
    retryable = True


class RequestOverLimitError(CapacityError):
    """The request is larger than the lab's own limit of a provider ever allows."""

    code = "request_over_limit"
    http_status = 413


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
