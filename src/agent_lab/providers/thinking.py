"""Splits what a model thinks from what it says, where a host sends both as one text."""

from collections.abc import Iterator
from typing import Literal

from agent_lab.providers.base import Delta

OPEN, CLOSE = "<think>", "</think>"


class ThinkSplitter:
    """Takes a text piece by piece; a `<think>` block at its beginning is reasoning.

    Only there: later in the text it is something that the model writes about.
    """

    def __init__(self) -> None:
        self._state: Literal["undecided", "thinking", "spacing", "saying"] = "undecided"
        self._held = ""

    def feed(self, piece: str) -> Iterator[Delta]:
        """Return what can be told apart so far."""
        if self._state == "saying":
            yield Delta(piece)
            return
        self._held += piece
        if self._state == "undecided":
            yield from self._decide()
        if self._state == "thinking":
            yield from self._think()
        if self._state == "spacing":
            yield from self._say()

    def end(self) -> Iterator[Delta]:
        """Return what was held back, at the end of the text."""
        if self._held:
            yield Delta(self._held, reasoning=self._state == "thinking")
            self._held = ""

    def _decide(self) -> Iterator[Delta]:
        begun = self._held.lstrip()
        if begun.startswith(OPEN):
            self._state, self._held = "thinking", begun.removeprefix(OPEN)
        elif not OPEN.startswith(begun):
            self._state = "saying"
            yield Delta(self._held)
            self._held = ""

    def _think(self) -> Iterator[Delta]:
        thought, closed, rest = self._held.partition(CLOSE)
        if closed:
            self._state, self._held = "spacing", rest
        else:
            # A closing tag may be cut between two pieces.
            kept = next((n for n in range(len(CLOSE) - 1, 0, -1) if thought.endswith(CLOSE[:n])), 0)
            thought, self._held = thought[: len(thought) - kept], thought[len(thought) - kept :]
        if thought:
            yield Delta(thought, reasoning=True)

    def _say(self) -> Iterator[Delta]:
        text = self._held.lstrip()
        self._held = ""
        if text:
            self._state = "saying"
            yield Delta(text)
