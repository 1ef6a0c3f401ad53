"""Reads the structured part of a model's answer: its JSON, a judge's verdict.

Each step reads the text once, whatever stands in it. What RFC 8259 does not know (NaN, Infinity),
what no float holds, half a surrogate pair, and what is nested deeper than anybody writes, is no
JSON here.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from agent_lab.contracts import JsonObject
from agent_lab.deliberation.fences import fenced_blocks

ParsedBy: TypeAlias = Literal["native", "json", "fence", "braces", "line", "repair"]
"""The step that read a structured part. `native`: the whole text, by a model that was held to a
schema; `json`: the whole text, by one that was not; `repair`: the answer to the one further call.
"""

DEEPEST = 200
"""Levels of nesting; validators recurse, and a deeper value could end the process."""
MOST_POINTS = 10

SCORE_SCHEMA: Final[JsonObject] = {
    "type": "object",
    "properties": {"score": {"type": "integer", "enum": list(range(MOST_POINTS + 1))}},
    "required": ["score"],
    "additionalProperties": False,
}
"""What a judge is held to that is asked for its score alone."""
VERDICT_SCHEMA: Final[JsonObject] = {
    **SCORE_SCHEMA,
    "properties": {"reason": {"type": "string"}, **SCORE_SCHEMA["properties"]},
    "required": ["reason", "score"],
}
"""What a judge is held to, where its model can be: only keywords that every host knows.

The reason comes first, so that the score follows from it.
"""

_QUOTED_LINE = re.compile(r"^[ \t]*+>.*+$", re.MULTILINE)
_SURROGATE = re.compile(r"\\u[dD]|[\ud800-\udfff]")
_MARK = re.compile(r'\\.|["{}\[\]\n]')
_OPENERS = {"}": "{", "]": "["}


class Verdict(NamedTuple):
    """What a judge says."""

    points: float
    """0 to `MOST_POINTS`."""
    reason: str = ""
    parsed_by: ParsedBy | Literal[""] = ""
    """How it was read; empty: it was not read from a text."""


class FoundValue(NamedTuple):
    """A JSON value of a text."""

    value: Any
    found_in: Literal["json", "fence", "braces"]
    """`json`: it is the whole text."""

    def parsed_by(self, *, native: bool) -> ParsedBy:
        """The step that read it; `native` says that the model was held to a schema."""
        return "native" if native and self.found_in == "json" else self.found_in


class _Span(NamedTuple):
    start: int
    end: int


def found_values(text: str, *, braces: Literal["last", "largest"]) -> Iterator[FoundValue]:
    """Every JSON value of a text, the likeliest to be meant first.

    The order is: the whole text, its fenced blocks from the last to the first, the outermost
    matches of braces or brackets. In a block without the label `json`, and in braces, only objects
    and arrays count.

    Args:
        text: What a model wrote.
        braces: Which brace match is meant: the last, or the largest.
    """
    for value in _parsed(text.removeprefix("\ufeff")):
        yield FoundValue(value, "json")
    for block in reversed(fenced_blocks(text)):
        for value in _parsed(block.body):
            if block.label == "json" or isinstance(value, dict | list):
                yield FoundValue(value, "fence")
    matches = _brace_matches(text)[::-1]
    if braces == "largest":
        matches.sort(key=lambda match: match.start - match.end)
    for match in matches:
        for value in _parsed(text[match.start : match.end]):
            yield FoundValue(value, "braces")


def json_values(text: str, *, braces: Literal["last", "largest"]) -> Iterator[Any]:
    """The values that `found_values` finds, without where they stand."""
    return (found.value for found in found_values(text, braces=braces))


def line_marker(words: str) -> str:
    """A regular expression for what opens a last line, such as `VOTE:`, at the start of that line.

    Emphasis may stand around it, and `final` before or behind it. What stands in quotation marks,
    backticks or a quoted line is said by somebody else: it is no marker.

    Args:
        words: The words that it can be, as alternatives.
    """
    return rf"{_LINE_START}(?:final[ \t]++)?(?:{words})(?:[ \t]++final)?[*_ \t]*+[:=]"


_LINE_START = r"^[*_# \t]*+"
_POINTS = r"([0-9]{1,4}(?:[.,][0-9]{1,4})?)"
_OUT_OF_TEN = r"[ \t]*+/[ \t]*+10"
_LAST_SCORE = re.compile(
    rf"(?:{line_marker('score|puntuaci[oó]n|nota')}[*_\s]*+{_POINTS}(?:{_OUT_OF_TEN})?"
    rf"|{_LINE_START}{_POINTS}{_OUT_OF_TEN})[*_.\s]*+\Z",
    re.IGNORECASE | re.MULTILINE,
)


def last_unfenced(text: str, pattern: re.Pattern[str]) -> re.Match[str] | None:
    """The last match that stands outside the fenced blocks, if any does."""
    blocks = iter(fenced_blocks(text))
    block, last = next(blocks, None), None
    for match in pattern.finditer(text):
        while block is not None and block.end <= match.start():
            block = next(blocks, None)
        if block is None or match.start() < block.start:
            last = match
    return last


def unquoted(text: str) -> str:
    """A text without the lines that it quotes by `>`: somebody else has said them."""
    return _QUOTED_LINE.sub("", text)


def one_line(reason: Any) -> str:
    """The reason that somebody gives, in one line; empty: it is no text."""
    return " ".join(reason.split()) if isinstance(reason, str) else ""


def on_scale(points: Any) -> bool:
    """Whether a value is a number from 0 to `MOST_POINTS`; true and false are none."""
    is_number = isinstance(points, int | float) and not isinstance(points, bool)
    return is_number and 0 <= points <= MOST_POINTS


def read_verdict(text: str, *, native: bool = False) -> Verdict | None:
    """A judge's verdict; None: it gives no number that counts.

    What counts is a number from 0 to `MOST_POINTS`: the `score` of the first object that
    `found_values` finds to have one, else an end of only `score: 7` or `7/10`.

    Args:
        text: What the judge wrote.
        native: Whether its model was held to `VERDICT_SCHEMA`.
    """
    text = unquoted(text)
    for found in found_values(text, braces="last"):
        if isinstance(found.value, dict) and "score" in found.value:
            points, reason = found.value["score"], found.value.get("reason")
            if not on_scale(points):
                return None
            return Verdict(float(points), one_line(reason), found.parsed_by(native=native))
    return _verdict_of_last_line(text)


def _verdict_of_last_line(text: str) -> Verdict | None:
    match = last_unfenced(text, _LAST_SCORE)
    if match is None:
        return None
    points = float((match[1] or match[2]).replace(",", "."))
    return Verdict(points, parsed_by="line") if points <= MOST_POINTS else None


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
