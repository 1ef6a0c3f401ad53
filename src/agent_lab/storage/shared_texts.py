"""Texts that are kept once: a prompt holds earlier answers, which are in their own turns already.

A shared text is a list of parts: a string stands for itself, `{"of": NAME}` for the text that has
this name in the run. What is joined is always exactly what was split.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

Parts: TypeAlias = list[Any]
WORTH_SHARING = 48
"""Characters; a reference to a shorter text would save nothing."""


def split_text(text: str, known: Mapping[str, str]) -> Parts:
    """Split a text at each known text that it holds.

    Args:
        text: The text.
        known: Texts by name.
    """
    found = [
        (name, shared)
        for name, shared in known.items()
        if len(shared) >= WORTH_SHARING and shared in text
    ]
    # The longest first: one that holds another one is worth more.
    found.sort(key=lambda item: -len(item[1]))
    parts: Parts = [text]
    for name, shared in found:
        parts = [piece for part in parts for piece in _split(part, name, shared)]
    return parts


def join_text(parts: Parts, known: Mapping[str, str]) -> str:
    """Join what `split_text` has split.

    Args:
        parts: The parts.
        known: The same texts by name, at least those that are named.
    """
    return "".join(part if isinstance(part, str) else known[part["of"]] for part in parts)


def _split(part: Any, name: str, shared: str) -> Parts:
    if not isinstance(part, str) or shared not in part:
        return [part]
    before, *rest = part.split(shared)
    pieces: Parts = [before]
    for piece in rest:
        pieces += [{"of": name}, piece]
    return [piece for piece in pieces if piece != ""]
