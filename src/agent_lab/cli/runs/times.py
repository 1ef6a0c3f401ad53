"""Points in time and ages, as people type and read them."""

import re
from datetime import UTC, datetime, timedelta

from agent_lab.errors import InvalidRequestError

_AGO = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SHOWN = (("d", 86_400, 2), ("h", 3600, 2), ("min", 60, 2))
"""Unit, its seconds, and from how many on it is used."""


def read_moment(text: str, option: str, now: datetime) -> datetime:
    """Read a point in time: so long ago (`90m`, `2h`, `3d`, `1w`), or a date, in UTC.

    Args:
        text: As it was typed.
        option: Where.
        now: The time.

    Raises:
        InvalidRequestError: It is neither.
    """
    ago = _AGO.fullmatch(text)
    try:
        if ago:
            return now - timedelta(seconds=float(ago[1]) * _SECONDS[ago[2]])
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidRequestError(
            f"`{option} {text}` is no point in time.", hint=f"{option} 2h, 3d or 2026-11-01"
        ) from None


def age(since: datetime, now: datetime) -> str:
    """How long ago something was, in one figure."""
    seconds = max(0, int((now - since).total_seconds()))
    for unit, size, least in _SHOWN:
        if seconds >= least * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
