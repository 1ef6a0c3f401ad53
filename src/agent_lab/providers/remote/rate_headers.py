"""What hosts say of their limits: headers of OpenAI's and of Anthropic's form, and Retry-After."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NamedTuple

from agent_lab.providers.base import RateReport

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class _Form(NamedTuple):
    requests_remaining: str
    requests_reset: str
    tokens_remaining: str
    tokens_reset: str


_FORMS = (
    _Form(
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-tokens",
    ),
    _Form(
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ),
)


def rate_report(headers: Mapping[str, str], at: float) -> RateReport | None:
    """Read what an answer says of the host's limits; None: nothing.

    Args:
        headers: Of the answer; their names in any case.
        at: Seconds on the event loop's clock.
    """
    for form in _FORMS:
        requests, tokens = headers.get(form.requests_remaining), headers.get(form.tokens_remaining)
        if requests is None and tokens is None:
            continue
        return RateReport(
            at,
            _count(requests),
            _until(headers.get(form.requests_reset)),
            _count(tokens),
            _until(headers.get(form.tokens_reset)),
        )
    return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait before the next try, if an answer names them; never negative."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return _seconds_to(moment)


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _count(value: str | None) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _until(value: str | None) -> float | None:
    """Seconds, from `6m0s`, `20ms`, `1.5` or a moment in RFC 3339."""
    if value is None:
        return None
    seconds = _duration(value)
    if seconds is not None:
        return seconds if math.isfinite(seconds) else None
    try:
        return _seconds_to(datetime.fromisoformat(value))
    except ValueError:
        return None


@lru_cache(maxsize=256)  # a host says the same few again and again
def _duration(value: str) -> float | None:
    plain = _number(value)
    if plain is not None:
        return plain
    parts = _DURATION.findall(value)
    if not parts or _DURATION.sub("", value) != "":
        return None
    return sum(float(amount) * _SECONDS[unit] for amount, unit in parts)


def _seconds_to(moment: datetime) -> float:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())
