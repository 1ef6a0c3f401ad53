"""Texts that are kept once: a prompt holds earlier answers, which are in their own turns already.

A shared text is a list of parts: a string stands for itself, `{"of": NAME}` for the text that has
this name in the run. What is joined is always exactly what was split.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Parts: TypeAlias = list[Any]
_Place: TypeAlias = tuple[int, int, str]
"""Where a known text begins, its length below zero, and its name: the longest comes first."""
WORTH_SHARING = 48
"""Characters; a reference to a shorter text would save nothing."""


def split_text(text: str, known: Mapping[str, str]) -> Parts:
    """Split a text at each known text that it holds.

    Args:
        text: The text.
        known: Texts by name.
    """
    worth = [item for item in known.items() if WORTH_SHARING <= len(item[1]) <= len(text)]
    if not worth:
        return [text]
    shortest = min(len(shared) for _, shared in worth)
    parts: Parts = []
    for part in _cut(text, _first_places(text, worth)):
        if isinstance(part, str) and len(part) >= shortest:
            parts += _cut(part, _all_places(part, worth))
        else:
            parts.append(part)
    return parts


def join_text(parts: Parts, known: Mapping[str, str]) -> str:
    """Join what `split_text` has split.

    Args:
        parts: The parts.
        known: The same texts by name, at least those that are named.
    """
    return "".join(part if isinstance(part, str) else known[part["of"]] for part in parts)


def _first_places(text: str, known: Sequence[tuple[str, str]]) -> list[_Place]:
    """One place of each.

    A prompt has most texts in the order in which they came about: each is looked for from the end
    of the one before, so that all of them take one way through the prompt.
    """
    places, end = [], 0
    for name, shared in known:
        begin = _find(text, shared, end)
        if begin < 0 < end:
            begin = _find(text[: end + len(shared) - 1], shared, 0)
        if begin >= 0:
            end = begin + len(shared)
            places.append((begin, -len(shared), name))
    return places


def _all_places(text: str, known: Sequence[tuple[str, str]]) -> list[_Place]:
    """Every place of each."""
    places = []
    for name, shared in known:
        begin = _find(text, shared, 0)
        while begin >= 0:
            places.append((begin, -len(shared), name))
            begin = _find(text, shared, begin + len(shared))
    return places


def _find(text: str, shared: str, start: int) -> int:
    """As `str.find`, which prepares itself for a long text: most are found by their beginning."""
    begin = text.find(shared[:WORTH_SHARING], start)
    if begin < 0 or text.startswith(shared, begin):
        return begin
    return text.find(shared, begin + 1)


def _cut(text: str, places: list[_Place]) -> Parts:
    """A text's parts.

    Of texts that begin together the longest is named: one that holds another one is worth more.
    """
    parts: Parts = []
    last = 0
    for begin, negative_length, name in sorted(places):
        if begin >= last:
            parts += [text[last:begin], {"of": name}] if begin > last else [{"of": name}]
            last = begin - negative_length
    if last < len(text):
        parts.append(text[last:])
    return parts
