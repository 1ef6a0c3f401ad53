"""What each refusal says, on each wire: rows of data."""

import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import NamedTuple

from tests.faults.modes import Mode


class Says(NamedTuple):
    """One wire's words."""

    status: int
    type: str
    message: str
    code: str | None = None
    """OpenAI's `error.code`, Anthropic's `error.details.error_code`."""


class Refusal(NamedTuple):
    """A row. `{credential}` stands for the caller's, `{soon}` for a date in two seconds."""

    openai: Says
    anthropic: Says
    headers: Mapping[str, str] = {}


def filled(text: str, credential: str) -> str:
    """Put in what only the moment knows."""
    soon = formatdate(time.time() + 2, usegmt=True)
    return text.replace("{credential}", credential).replace("{soon}", soon)


_REQUEST = "invalid_request_error"
_BUSY = Refusal(
    Says(429, "requests", "Rate limit reached for requests.", "rate_limit_exceeded"),
    Says(429, "rate_limit_error", "This request would exceed your rate limit."),
)
_BROKEN = Refusal(
    Says(500, "server_error", "The server had an error while processing your request."),
    Says(500, "api_error", "Internal server error"),
)
NO_SUCH_ROUTE = Refusal(
    Says(404, _REQUEST, "Unknown request URL.", "unknown_url"),
    Says(404, "not_found_error", "Not Found"),
)
REFUSALS: Mapping[Mode, Refusal] = {
    Mode.RATE_LIMIT: _BUSY._replace(headers={"retry-after": "1"}),
    Mode.RATE_LIMIT_MS: _BUSY._replace(headers={"retry-after-ms": "20"}),
    Mode.RATE_LIMIT_LONG: _BUSY._replace(headers={"retry-after": "3600"}),
    Mode.RATE_LIMIT_DATE: _BUSY._replace(headers={"retry-after": "{soon}"}),
    Mode.SLOW_DOWN: Refusal(
        Says(429, "rate_limit_error", "Please slow down.", "slow_down"), _BUSY.anthropic
    ),
    Mode.QUOTA: Refusal(
        Says(429, "insufficient_quota", "You exceeded your current quota.", "insufficient_quota"),
        Says(
            429,
            "rate_limit_error",
            "Your organization has reached the monthly limit of its tier.",
            "enforced_spend_limit_reached",
        ),
    ),
    Mode.CREDIT_EXHAUSTED: Refusal(
        Says(429, "insufficient_quota", "There are no credits left.", "credit_balance_exhausted"),
        Says(402, "billing_error", "There is a problem with your billing."),
    ),
    Mode.SPEND_LIMIT: Refusal(
        Says(
            429,
            "insufficient_quota",
            "Your organization reached its spend limit.",
            "organization_spend_limit_exceeded",
        ),
        Says(400, _REQUEST, "You have reached your specified API usage limits."),
    ),
    Mode.SERVER_ERROR: _BROKEN,
    Mode.NO_RETRY: _BROKEN._replace(headers={"x-should-retry": "false"}),
    Mode.OVERLOADED: Refusal(
        Says(503, "server_error", "The server is overloaded.", "server_overloaded"),
        Says(529, "overloaded_error", "Overloaded"),
    ),
    Mode.AT_CAPACITY: Refusal(
        Says(503, "service_unavailable_error", "The model is overloaded.", "server_is_overloaded"),
        Says(529, "overloaded_error", "Overloaded"),
        {"retry-after": "1"},
    ),
    Mode.GATEWAY_TIMEOUT: Refusal(
        Says(504, "server_error", "The server took too long."),
        Says(504, "timeout_error", "Request timed out"),
    ),
    Mode.REQUEST_TIMEOUT: Refusal(
        Says(408, _REQUEST, "The request took too long to arrive."),
        Says(408, "timeout_error", "Request timed out"),
    ),
    Mode.CONFLICT: Refusal(
        Says(409, _REQUEST, "The resource is being changed.", "conflict"),
        Says(409, "conflict_error", "The resource is being changed."),
    ),
    Mode.UNAUTHORIZED: Refusal(
        Says(401, _REQUEST, "Incorrect API key provided.", "invalid_api_key"),
        Says(401, "authentication_error", "invalid x-api-key"),
    ),
    Mode.FORBIDDEN: Refusal(
        Says(403, "request_forbidden", "Your country is not supported.", "unsupported_country"),
        Says(403, "permission_error", "Your API key may not use this."),
    ),
    Mode.NOT_FOUND: Refusal(
        Says(404, _REQUEST, "The model `m` does not exist.", "model_not_found"),
        Says(404, "not_found_error", "model: m"),
    ),
    Mode.BAD_REQUEST: Refusal(
        Says(400, _REQUEST, "Unsupported value: 'temperature'.", "unsupported_value"),
        Says(400, _REQUEST, "temperature: Extra inputs are not permitted"),
    ),
    Mode.UNPROCESSABLE: Refusal(
        Says(422, _REQUEST, "Field required: messages."),
        Says(422, _REQUEST, "messages: Field required"),
    ),
    Mode.TOO_LARGE: Refusal(
        Says(413, _REQUEST, "The request is too large.", "request_too_large"),
        Says(413, "request_too_large", "Request exceeds the maximum size"),
    ),
    Mode.CONTEXT_LENGTH: Refusal(
        Says(
            400,
            _REQUEST,
            "This model's maximum context length is 128000 tokens.",
            "context_length_exceeded",
        ),
        Says(400, _REQUEST, "prompt is too long: 210000 tokens > 200000 maximum"),
    ),
    Mode.PROMPT_FILTERED: Refusal(
        Says(400, _REQUEST, "The prompt was filtered.", "content_filter"),
        Says(400, _REQUEST, "Output blocked by content filtering policy"),
    ),
    Mode.ECHO_KEY: Refusal(
        Says(401, _REQUEST, "Incorrect API key provided: {credential}.", "invalid_api_key"),
        Says(401, "authentication_error", "invalid x-api-key: {credential}"),
    ),
    Mode.ECHO_KEY_HEADER: Refusal(
        Says(500, "server_error", "No route for the key {credential}."),
        Says(500, "api_error", "No route for the key {credential}."),
        {"x-debug": "key={credential}", "www-authenticate": "Bearer {credential}"},
    ),
    Mode.ECHO_KEY_EVENT: Refusal(
        Says(200, "server_error", "The key {credential} broke a shard.", "server_error"),
        Says(200, "api_error", "The key {credential} broke a shard."),
    ),
    Mode.ERROR_EVENT: Refusal(
        Says(200, "server_error", "The server had an error.", "server_error"),
        Says(200, "overloaded_error", "Overloaded"),
    ),
}
