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
    spans: list[tuple[int, int, str]] = []
    for name, shared in known.items():
        length = len(shared)
        begin = text.find(shared) if length >= WORTH_SHARING else -1
        while begin >= 0:
            spans.append((begin, -length, name))
            begin = text.find(shared, begin + length)
    # The longest of those that begin together: one that holds another one is worth more.
    spans.sort()
    parts: Parts = []
    last = 0
    for begin, negative_length, name in spans:
        if begin >= last:
            parts += [text[last:begin], {"of": name}] if begin > last else [{"of": name}]
            last = begin - negative_length
    return [*parts, text[last:]] if last < len(text) or not parts else parts


def join_text(parts: Parts, known: Mapping[str, str]) -> str:
    """Join what `split_text` has split.

    Args:
        parts: The parts.
        known: The same texts by name, at least those that are named.
    """
    return "".join(part if isinstance(part, str) else known[part["of"]] for part in parts)
