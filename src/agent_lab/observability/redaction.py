"""Takes secrets out of text before it reaches a log, a record or an error."""

import re
from collections.abc import Iterable

MASK = "[redacted]"
_PATTERNS = re.compile(r"\b(?:sk|hf|lab)[-_][A-Za-z0-9_-]{12,}|(?<=Bearer )[^\s\"']+", re.ASCII)
_SHORTEST = 6


class Redactor:
    """Replaces known secrets, and what looks like one, by a mask.

    Args:
        secrets: Values that may never be shown; those below 6 characters are ignored, since
            masking them would make text unreadable and hide nothing.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({s for s in secrets if len(s) >= _SHORTEST}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """Return `text` without secrets."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        return _PATTERNS.sub(MASK, text)
