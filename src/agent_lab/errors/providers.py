"""A provider or a source of weights failed."""

from collections.abc import Mapping
from typing import Any

from agent_lab.errors.base import AgentLabError


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
