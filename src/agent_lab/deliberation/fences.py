"""Fenced blocks of a text, as Markdown writes code."""

import re
from typing import NamedTuple

_FENCE = re.compile(r"^[ \t]*+(`{3,}+|~{3,}+)([^`\n]*+)$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block."""

    start: int
    """Where its opening fence begins."""
    end: int
    """Behind its closing fence, or the end of the text."""
    label: str
    """What the opening fence says behind its marks, in small letters: `python`."""
    body: str
    """What stands between the fences."""
    closed: bool


def fenced_blocks(text: str) -> list[Block]:
    """The blocks of a text in its order; one that nothing closes goes on to the end."""
    blocks: list[Block] = []
    opening: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opening is None:
            opening = fence
        elif fence[1].startswith(opening[1]) and not fence[2].strip():
            blocks.append(_block(text, opening, fence.start(), fence.end()))
            opening = None
    if opening is not None:
        blocks.append(_block(text, opening, len(text), None))
    return blocks


def without_blocks(text: str) -> str:
    """A text of the same length with spaces for its closed blocks.

    Of a block that nothing closes nobody knows where it was meant to end: it stays.
    """
    parts, read = [], 0
    for block in fenced_blocks(text):
        if block.closed:
            parts += [text[read : block.start], " " * (block.end - block.start)]
            read = block.end
    return "".join((*parts, text[read:]))


def is_fence(line: str) -> bool:
    """Whether a line opens or closes a block."""
    return _FENCE.fullmatch(line) is not None


def _block(text: str, opening: re.Match[str], body_end: int, end: int | None) -> Block:
    body = text[opening.end() : body_end].removeprefix("\n").removesuffix("\n")
    label = opening[2].strip().lower()
    closed = end is not None
    return Block(opening.start(), len(text) if end is None else end, label, body, closed)
