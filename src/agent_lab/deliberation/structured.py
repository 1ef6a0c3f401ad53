"""Reads the structured part of a model's answer: its JSON, a judge's verdict.

Each step reads the text once, whatever stands in it. What RFC 8259 does not know (NaN, Infinity),
what no float holds, half a surrogate pair, and what is nested deeper than anybody writes, is no
JSON here.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

from agent_lab.contracts import JsonObject

DEEPEST = 200
"""Levels of nesting; validators recurse, and a deeper value could end the process."""
MOST_POINTS = 10

VERDICT_SCHEMA: Final[JsonObject] = {
    "type": "object",
    "properties": {
        "score": {"type": "integer", "enum": list(range(MOST_POINTS + 1))},
        "reason": {"type": "string"},
    },
    "required": ["score", "reason"],
    "additionalProperties": False,
}
"""What a judge is held to, where its model can be: only keywords that every host knows."""

_FENCE = re.compile(r"^[ \t]*+(`{3,}+|~{3,}+)([^`\n]*+)$", re.MULTILINE)
_SURROGATE = re.compile(r"\\u[dD]|[\ud800-\udfff]")
_MARK = re.compile(r'\\.|["{}\[\]\n]')
_OPENERS = {"}": "{", "]": "["}
_POINTS = r"([0-9]{1,4}(?:[.,][0-9]{1,4})?)"
_LAST_LINE = re.compile(
    rf"[*_#>\s]*+(?:(?:score|puntuaci[oó]n|nota)[*_\s]*+[:=][*_\s]*+{_POINTS}(?:\s*+/\s*+10)?"
    rf"|{_POINTS}\s*+/\s*+10)[*_.\s]*+",
    re.IGNORECASE,
)
_LONGEST_LAST_LINE = 100


class Verdict(NamedTuple):
    """What a judge says."""

    points: float
    """0 to `MOST_POINTS`."""
    reason: str = ""


class _Span(NamedTuple):
    start: int
    end: int
    label: str = ""
    """What an opening fence says after its marks: `json`."""


def json_values(text: str, *, braces: Literal["last", "largest"]) -> Iterator[Any]:
    """Every JSON value of a text, the likeliest to be meant first.

    The order is: the whole text, its fenced blocks from the last to the first, the outermost
    matches of braces or brackets. In a block without the label `json`, and in braces, only objects
    and arrays count.

    Args:
        text: What a model wrote.
        braces: Which brace match is meant: the last, or the largest.
    """
    yield from _parsed(text.removeprefix("\ufeff"))
    for block in reversed(_blocks(text)):
        for value in _parsed(text[block.start : block.end]):
            if block.label == "json" or isinstance(value, dict | list):
                yield value
    matches = _brace_matches(text)[::-1]
    if braces == "largest":
        matches.sort(key=lambda match: match.start - match.end)
    for match in matches:
        yield from _parsed(text[match.start : match.end])


def read_verdict(text: str) -> Verdict | None:
    """A judge's verdict; None: it gives no number that counts.

    What counts is a number from 0 to `MOST_POINTS`: the `score` of the first object that
    `json_values` finds to have one, else a last line of only `score: 7` or `7/10`.
    """
    for value in json_values(text, braces="last"):
        if isinstance(value, dict) and "score" in value:
            points, reason = value["score"], value.get("reason")
            is_number = isinstance(points, int | float) and not isinstance(points, bool)
            if not is_number or not 0 <= points <= MOST_POINTS:
                return None
            return Verdict(
                float(points), " ".join(reason.split()) if isinstance(reason, str) else ""
            )
    return _verdict_of_last_line(text.rstrip().rpartition("\n")[2])


def _verdict_of_last_line(line: str) -> Verdict | None:
    match = _LAST_LINE.fullmatch(line[:_LONGEST_LAST_LINE])
    if match is None or len(line) > _LONGEST_LAST_LINE:
        return None
    points = float((match[1] or match[2]).replace(",", "."))
    return Verdict(points) if points <= MOST_POINTS else None


def _parsed(text: str) -> list[Any]:
    """The value of a text that is JSON and nothing else, or nothing."""
    try:
        value = _DECODER.decode(text)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return []
    return [] if _too_deep(value) else [value]


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        parents = (parent for parent in level if isinstance(parent, dict | list))
        level = [
            child
            for parent in parents
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return False
    return True


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(digits)
    return number


def _refuse(name: str) -> float:
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse)


def _blocks(text: str) -> list[_Span]:
    """The fenced blocks; one that nothing closes goes on to the end."""
    blocks: list[_Span] = []
    opening: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opening is None:
            opening = fence
        elif fence[1].startswith(opening[1]) and not fence[2].strip():
            blocks.append(_inside(opening, fence.start()))
            opening = None
    if opening is not None:
        blocks.append(_inside(opening, len(text)))
    return blocks


def _inside(opening: re.Match[str], end: int) -> _Span:
    return _Span(opening.end(), end, opening[2].strip().lower())


def _brace_matches(text: str) -> list[_Span]:
    """Pairs of braces or brackets that lie in no other pair, in the order of the text.

    Braces in strings do not count. A string ends with its line, as JSON demands, so that a stray
    quote hides no more than the rest of its line.
    """
    found: list[_Span] = []
    opened: list[int] = []
    in_string = False
    for mark in _MARK.finditer(text):
        sign = mark[0]
        if sign == "\n":
            in_string = False
        elif sign == '"':
            in_string = bool(opened) and not in_string
        elif in_string:
            continue
        elif sign in ("{", "["):
            opened.append(mark.start())
        elif sign in _OPENERS:
            _close(mark, text, opened, found)
    return found


def _close(mark: re.Match[str], text: str, opened: list[int], found: list[_Span]) -> None:
    if not opened or text[opened[-1]] != _OPENERS[mark[0]]:
        # What does not pair up is no JSON, nor is what lies around it.
        opened.clear()
        return
    start = opened.pop()
    while found and found[-1].start > start:
        found.pop()
    found.append(_Span(start, mark.end()))
