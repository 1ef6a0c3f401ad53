"""Gathers an answer from its pieces, and shows each of them: what every wire has in common."""

from collections.abc import Callable

from agent_lab.providers.base import Delta


class GatheredText:
    """What a model said and thought, so far.

    Args:
        emit: Shown every piece; what it was shown joins to `text` and `reasoning`.
    """

    def __init__(self, emit: Callable[[Delta], None]) -> None:
        self._emit = emit
        self._text: list[str] = []
        self._reasoning: list[str] = []

    @property
    def text(self) -> str:
        """What the model said, so far."""
        return "".join(self._text)

    @property
    def reasoning(self) -> str:
        """What it thought, so far."""
        return "".join(self._reasoning)

    def add(self, delta: Delta) -> None:
        """Take a piece, and show it."""
        (self._reasoning if delta.reasoning else self._text).append(delta.text)
        self._emit(delta)
