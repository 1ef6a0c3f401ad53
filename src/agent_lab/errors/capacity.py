"""There is no room for the work now."""

from agent_lab.errors.base import AgentLabError


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
    """The lab's own limit, of a provider or of runs, leaves no room in time."""

    code = "overloaded"
    http_status = 429
    retryable = True


class RequestOverLimitError(CapacityError):
    """The request is larger than the lab's own limit of a provider ever allows."""

    code = "request_over_limit"
    http_status = 413


class NotEnoughVramError(CapacityError):
    """A local model does not fit into the memory that models may take; the hint makes room.

    `details` has `need_gb`, `limit_gb`, `spare_gb`, and `loaded`: what the other models take.
    """

    code = "not_enough_vram"


class ModelInUseError(CapacityError):
    """A model cannot be unloaded: calls are using it."""

    code = "model_in_use"
    http_status = 409
    retryable = True


class ShuttingDownError(CapacityError):
    """The server ends; what it was asked was not done, or not to its end."""

    code = "server_shutting_down"
    retryable = True
