"""Says what a host's error is: by its code, else by its words, else by its status. Tables only."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from agent_lab.errors import (
    ContentFilteredError,
    ContextLengthError,
    ModelNotServedError,
    ProviderAuthError,
    ProviderError,
    ProviderOverloadedError,
    ProviderRateLimitError,
    ProviderRequestError,
    ProviderSpendCapError,
    ProviderUnavailableError,
)
from agent_lab.providers.remote.rate_headers import retry_after

LONGEST_REASON = 500
"""Characters of a host's own words that an error repeats."""

_ErrorClass = type[ProviderError]

_CODES: Mapping[_ErrorClass, tuple[str, ...]] = {
    ProviderSpendCapError: (
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "credit_balance_exhausted",
        "project_spend_limit_exceeded",
        "organization_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "enforced_spend_limit_reached",
        "contract_spend_limit_reached",
        "linked_organization_spend_limit_reached",
        "linked_organization_billing_unavailable",
        "billing_error",
    ),
    ContextLengthError: ("context_length_exceeded", "exceed_context_size_error"),
    ContentFilteredError: ("content_filter", "content_policy_violation"),
    ProviderAuthError: (
        "invalid_api_key",
        "authentication_error",
        "permission_error",
        "account_deactivated",
    ),
    ModelNotServedError: ("model_not_found", "not_found_error"),
    ProviderOverloadedError: (
        "overloaded_error",
        "server_overloaded",
        "server_is_overloaded",
        "engine_overloaded",
        "slow_down",
    ),
    ProviderRateLimitError: ("rate_limit_exceeded", "rate_limit_error"),
    # Not `api_error` or `server_error`: Ollama says so of a wrong key, too, by the status 401.
}
_OF_CODE = {code: cls for cls, codes in _CODES.items() for code in codes}

# Some hosts say it in words only. Not asked of a 429: "too many tokens" is a rate limit there.
_WORDS: tuple[tuple[re.Pattern[str], _ErrorClass], ...] = (
    (
        re.compile(
            r"prompt is too long|context (length|limit|window|size)|too many (input )?tokens"
            r"|token count .{0,40}exceeds"
        ),
        ContextLengthError,
    ),
    (re.compile(r"credit balance is too low|reached .{0,40}usage limits"), ProviderSpendCapError),
    (
        re.compile(r"content filter(ing)? policy|flagged as potentially violating"),
        ContentFilteredError,
    ),
    (re.compile(r"(incorrect|invalid) api key|api key not valid"), ProviderAuthError),
    (re.compile(r"model .{0,100}(not exist|not found)"), ModelNotServedError),
)

_OF_STATUS: Mapping[int, _ErrorClass] = {
    401: ProviderAuthError,
    402: ProviderSpendCapError,
    403: ProviderAuthError,
    404: ModelNotServedError,
    408: ProviderUnavailableError,
    409: ProviderOverloadedError,
    425: ProviderOverloadedError,
    429: ProviderRateLimitError,
    529: ProviderOverloadedError,
}

_TOO_MANY = 429

_HINTS: Mapping[_ErrorClass, str] = {
    ProviderAuthError: "Set {key} in the environment or .env to a key that may use this model.",
    ProviderRateLimitError: "It asks to wait {wait}; `[providers.{provider}.limits]` keep calls "
    "below its limit.",
    ProviderSpendCapError: "Add credit or raise the limit at the provider.",
    ModelNotServedError: "agent-lab models show {model} has the name that was asked for; correct "
    "`model` in your own models.toml",
    ContentFilteredError: "Ask in other words, or another model.",
    ContextLengthError: "agent-lab models list shows models with a larger window; or shorten the "
    "prompt",
}


class Refusal(NamedTuple):
    """What a host said when it did not answer."""

    status: int | None
    """None: it said so inside of a stream that began well."""
    headers: Mapping[str, str]
    body: bytes


class Asked(NamedTuple):
    """Who was asked, for messages."""

    provider: str
    model: str
    key_variable: str


def classify(refusal: Refusal, asked: Asked, redact: Callable[[str], str]) -> ProviderError:
    """Make one of our errors of a host's refusal.

    Args:
        refusal: What the host said.
        asked: Who was asked.
        redact: Takes our key out of the host's words, should it repeat it.
    """
    codes, reason, status = _read(refusal)
    codes, reason = [redact(code).lower() for code in codes], redact(reason)
    cls = _class_of(codes, reason.lower(), status)
    wait = retry_after(refusal.headers)
    words = reason[:LONGEST_REASON].rstrip(".") or "no reason given"
    said = f"{status}: {words}" if status else words
    return cls(
        f"`{asked.provider}` refused the call of `{asked.model}` ({said}).",
        provider=asked.provider,
        model=asked.model,
        status_code=status,
        retry_after=wait,
        retry_advised=_advice(refusal.headers),
        hint=_HINTS.get(cls, "").format(
            key=asked.key_variable or "its key",
            model=asked.model,
            provider=asked.provider,
            wait="a while" if wait is None else f"{wait:.0f} s",
        ),
        details={"codes": codes} if codes else {},
    )


def _class_of(codes: list[str], words: str, status: int | None) -> _ErrorClass:
    for code in codes:
        if code in _OF_CODE:
            return _OF_CODE[code]
    if status is None or (400 <= status < 500 and status != _TOO_MANY):
        for pattern, cls in _WORDS:
            if pattern.search(words):
                return cls
    if status is None:
        return ProviderUnavailableError
    other = ProviderRequestError if 400 <= status < 500 else ProviderUnavailableError
    return _OF_STATUS.get(status, other)


def _read(refusal: Refusal) -> tuple[list[str], str, int | None]:
    """The host's codes, most precise first, its words, and its status."""
    as_it_came = refusal.body.decode("utf-8", "replace").strip()
    try:
        said = orjson.loads(refusal.body)
    except orjson.JSONDecodeError:
        return [], as_it_came, refusal.status
    if isinstance(said, list) and len(said) == 1:  # Gemini
        said = said[0]
    if not isinstance(said, Mapping):
        return [], as_it_came, refusal.status
    # {"error": {…}} of OpenAI and Anthropic, {"error": "…"} of Ollama, {"detail": …} of FastAPI.
    error = said.get("error") or said
    if not isinstance(error, Mapping):
        return [], error if isinstance(error, str) else as_it_came, refusal.status
    codes = [code for code in _codes(error) if isinstance(code, str)]
    numbers = [code for code in _codes(error) if isinstance(code, int)]
    status = refusal.status or next((n for n in numbers if 400 <= n < 600), None)
    reason = error.get("message") or error.get("detail") or ""
    return codes, reason if isinstance(reason, str) else as_it_came, status


def _codes(error: Mapping[str, Any]) -> Iterator[Any]:
    details = error.get("details")
    if isinstance(details, Mapping):
        yield details.get("error_code")
    yield error.get("code")
    yield error.get("type")


def _advice(headers: Mapping[str, str]) -> bool | None:
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").lower())
