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
    │   ├── InvalidFlowError          every fault of a flow at once
    │   └── IdempotencyError          a key was used before, with something else
    ├── CapacityError                 there is no room for the work now
    │   ├── CircuitOpenError          (retryable) a provider failed too often: it is left alone
    │   ├── BudgetExceededError       the call could cost more than it may
    │   ├── OverloadedError           (retryable) a limit of our own, of a host or of runs
    │   ├── RequestOverLimitError     larger than our own limit of a provider ever allows
    │   ├── NotEnoughVramError        a local model does not fit into the memory for models
    │   ├── ModelInUseError           (retryable) it cannot be unloaded now
    │   └── ShuttingDownError         (retryable) the server is on its way out
    ├── StorageError                  a record cannot be written or read
    │   └── SchemaVersionError        the database is older, or newer, than this version
    └── RunError                      a run, and what became of it
        ├── UnknownRunError
        ├── RunStateError             not in the state in which a run is now
        ├── JournalMismatchError      a run asks something else than its journal has
        ├── RunWaitingError           nothing is left to do before a person has spoken
        ├── TurnLostError             its process died each time that it was asked
        ├── RunTakenOverError         another process has taken the run over
        └── RunFailedError            a run ended without an answer

A class carries its HTTP status, the command line's exit code, and whether the same call may succeed
when repeated. Messages put the thing in backticks; `hint` is one thing to do about it.
"""

from agent_lab.errors.base import (
    AgentLabError,
)
from agent_lab.errors.capacity import (
    BudgetExceededError,
    CapacityError,
    CircuitOpenError,
    ModelInUseError,
    NotEnoughVramError,
    OverloadedError,
    RequestOverLimitError,
    ShuttingDownError,
)
from agent_lab.errors.configuration import (
    ConfigurationError,
    MissingDependencyError,
    MissingKeyError,
    UnknownCapabilityError,
    UnknownFlowError,
    UnknownModelError,
    UnknownNameError,
    UnknownPluginError,
    UnknownProviderError,
    UnknownRoleError,
    UnknownStrategyError,
    WeightsCorruptError,
    WeightsMissingError,
)
from agent_lab.errors.providers import (
    AllProvidersFailedError,
    ContentFilteredError,
    ContextLengthError,
    ModelNotServedError,
    ProviderAuthError,
    ProviderError,
    ProviderOverloadedError,
    ProviderRateLimitError,
    ProviderRequestError,
    ProviderSpendCapError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    TruncatedAnswerError,
)
from agent_lab.errors.runs import (
    JournalMismatchError,
    RunError,
    RunFailedError,
    RunStateError,
    RunTakenOverError,
    RunWaitingError,
    SchemaVersionError,
    StorageError,
    TurnLostError,
    UnknownRunError,
)
from agent_lab.errors.validation import (
    IdempotencyError,
    InvalidFlowError,
    InvalidRequestError,
    ValidationError,
    WrongMediaTypeError,
)

__all__ = [
    "AgentLabError",
    "AllProvidersFailedError",
    "BudgetExceededError",
    "CapacityError",
    "CircuitOpenError",
    "ConfigurationError",
    "ContentFilteredError",
    "ContextLengthError",
    "IdempotencyError",
    "InvalidFlowError",
    "InvalidRequestError",
    "JournalMismatchError",
    "MissingDependencyError",
    "MissingKeyError",
    "ModelInUseError",
    "ModelNotServedError",
    "NotEnoughVramError",
    "OverloadedError",
    "ProviderAuthError",
    "ProviderError",
    "ProviderOverloadedError",
    "ProviderRateLimitError",
    "ProviderRequestError",
    "ProviderSpendCapError",
    "ProviderTimeoutError",
    "ProviderUnavailableError",
    "RequestOverLimitError",
    "RunError",
    "RunFailedError",
    "RunStateError",
    "RunTakenOverError",
    "RunWaitingError",
    "SchemaVersionError",
    "ShuttingDownError",
    "StorageError",
    "TruncatedAnswerError",
    "TurnLostError",
    "UnknownCapabilityError",
    "UnknownFlowError",
    "UnknownModelError",
    "UnknownNameError",
    "UnknownPluginError",
    "UnknownProviderError",
    "UnknownRoleError",
    "UnknownRunError",
    "UnknownStrategyError",
    "ValidationError",
    "WeightsCorruptError",
    "WeightsMissingError",
    "WrongMediaTypeError",
]
