"""Reads ballots from what voters write: closed sets of labels, and nothing is guessed.

The steps are those of `structured`: the whole text as JSON, its last fenced JSON, its last braces,
its last line. The first step that finds the payload decides. A ballot that breaks a rule there is
invalid: no weaker step saves it, since the voter has spoken. The caller may ask once more, both for
that and where nothing could be read; what comes then is final.

Labels in prose are no ballot, neither is a line that is quoted or stands in a fence, nor a line
that more text follows.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from agent_lab.deliberation.ballots.ballot import Payload
from agent_lab.deliberation.ballots.schemas import LINE_WORDS, NONE, BallotKind
from agent_lab.deliberation.structured import (
    ParsedBy,
    found_values,
    last_unfenced,
    line_marker,
    on_scale,
    one_line,
    unquoted,
)

Problem: TypeAlias = Literal[
    "wrong_form",
    "unknown_option",
    "repeated_option",
    "missing_score",
    "off_scale",
    "contradicts_ranking",
]
"""Why a ballot counts for nothing. `missing_score`: some option has no score; `off_scale`: a score
is no number from 0 to 10; `contradicts_ranking`: scores were asked for, and a ranking beside them
says otherwise.
"""

_NONES = (NONE, "ninguna", "ninguno")
_FORM = re.compile(
    r"(?:response|answer|option|candidate|respuesta|opci[oó]n|candidat[oa])[ \t]++", re.IGNORECASE
)
_NUMBERED = re.compile(r"([0-9]{1,3})[.)][ \t]++(.*+)")
_SCORE = re.compile(
    r"\s*+([^\s=:,;][^=:,;]*+)[=:]\s*+"
    r"([0-9]{1,4}(?:[.,][0-9]{1,4})?)(?:\s*+/\s*+10)?\s*+(?:[,;]|\Z)"
)
_EMPHASIS = "*_ \t\r\n"


class BallotReading(NamedTuple):
    """What a text says as a ballot: one payload, an abstention, or a problem."""

    parsed_by: ParsedBy
    choice: str | None = None
    approved: tuple[str, ...] | None = None
    ranking: tuple[str, ...] | None = None
    """Best first; labels may be left out."""
    scores: Mapping[str, float] | None = None
    """For every label, from 0 to 10."""
    verdict: str | None = None
    """Empty: none of the options."""
    abstain: bool = False
    reason: str = ""
    """In JSON, what stands there; of a line none is known."""
    contradicts_scores: bool = False
    """Whether scores beside the ranking say otherwise; the ranking counts."""
    problem: Problem | Literal[""] = ""
    """Why it is invalid; the payload is not given then."""


class Preference(NamedTuple):
    """Which of two answers a judge finds better."""

    preferred: Literal["A", "B", ""]
    """Empty: neither."""
    reason: str = ""
    parsed_by: ParsedBy | Literal[""] = ""
    """How it was read; empty: it was not read from a text."""


class _BrokenRuleError(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem: Problem = problem


def read_ballot(
    text: str, payload: Payload, labels: Sequence[str], *, native: bool
) -> BallotReading | None:
    """What a voter's text says as a ballot; None: nothing could be read.

    A label is written as it is, in any case, or behind one of the words for an option, such as
    `Response A`. Properties that were not asked for do not matter, except that a ranking outranks
    scores that contradict it. If the answer to the repair call is read, the caller notes `repair`
    as the step.

    Args:
        text: What the voter wrote.
        payload: What it was asked for.
        labels: The names of the options that it saw; no two differ only in case.
        native: Whether its model was held to `ballot_schema`.
    """
    return _read(text, payload, {label.casefold(): label for label in labels}, native=native)


def read_preference(text: str, *, native: bool) -> Preference | None:
    """Which of the answers A and B a judge prefers; None: it says nothing that counts.

    Args:
        text: What the judge wrote.
        native: Whether its model was held to `PREFERENCE_SCHEMA`.
    """
    reading = _read(text, "preference", {"a": "A", "b": "B"}, native=native)
    if reading is None or reading.problem:
        return None
    preferred: Literal["A", "B", ""] = ""
    if reading.verdict:
        preferred = "A" if reading.verdict == "A" else "B"
    return Preference(preferred, reading.reason, reading.parsed_by)


def _read(
    text: str, kind: BallotKind, names: Mapping[str, str], *, native: bool
) -> BallotReading | None:
    text = unquoted(text)
    for found in found_values(text, braces="last"):
        beside: Mapping[str, Any] = {}
        value = found.value
        if isinstance(value, dict) and kind in value:
            value, beside = value[kind], value
        elif found.found_in != "json" or not isinstance(value, _bare(kind)):
            continue
        read = BallotReading(found.parsed_by(native=native), reason=one_line(beside.get("reason")))
        return _checked(read, kind, value, beside, names)
    return _of_last_line(text, kind, names, native=native)


def _bare(kind: BallotKind) -> type[str] | type[list[Any]] | tuple[()]:
    """What can be the whole text, without an object around it."""
    if kind == "scores":
        return ()
    return list if kind in ("approved", "ranking") else str


def _checked(
    read: BallotReading,
    kind: BallotKind,
    value: Any,
    beside: Mapping[str, Any],
    names: Mapping[str, str],
) -> BallotReading:
    try:
        if kind == "scores":
            return _with_scores(read, value, beside, names)
        if kind in ("approved", "ranking"):
            return _with_several(read, kind, value, beside, names)
        return _with_one(read, kind, value, names)
    except _BrokenRuleError as broken:
        return read._replace(problem=broken.problem)


def _with_one(
    read: BallotReading, kind: BallotKind, value: Any, names: Mapping[str, str]
) -> BallotReading:
    none = isinstance(value, str) and value.strip().casefold() in _NONES
    if kind == "choice":
        return read._replace(abstain=True) if none else read._replace(choice=_label(value, names))
    return read._replace(verdict="" if none else _label(value, names))


def _with_several(
    read: BallotReading,
    kind: BallotKind,
    value: Any,
    beside: Mapping[str, Any],
    names: Mapping[str, str],
) -> BallotReading:
    listed = _labels(value, names)
    if not listed:
        return read._replace(abstain=True)
    if kind == "approved":
        return read._replace(approved=listed)
    contradicts = _contradict(value, beside.get("scores"), names)
    return read._replace(ranking=listed, contradicts_scores=contradicts)


def _with_scores(
    read: BallotReading, value: Any, beside: Mapping[str, Any], names: Mapping[str, str]
) -> BallotReading:
    if value in ({}, []):
        return read._replace(abstain=True)
    scores = _scores(value, names)
    if len(scores) < len(names):
        raise _BrokenRuleError("missing_score")
    if _contradict(beside.get("ranking"), value, names):
        raise _BrokenRuleError("contradicts_ranking")
    return read._replace(scores={label: scores[label] for label in names.values()})


def _label(word: Any, names: Mapping[str, str]) -> str:
    if not isinstance(word, str):
        raise _BrokenRuleError("wrong_form")
    bare = word.strip()
    form = _FORM.match(bare)
    label = names.get(bare[form.end() if form else 0 :].casefold())
    if label is None:
        raise _BrokenRuleError("unknown_option")
    return label


def _labels(words: Any, names: Mapping[str, str]) -> tuple[str, ...]:
    if not isinstance(words, list):
        raise _BrokenRuleError("wrong_form")
    listed = tuple(_label(word, names) for word in words)
    if len(set(listed)) < len(listed):
        raise _BrokenRuleError("repeated_option")
    return listed


def _scores(value: Any, names: Mapping[str, str]) -> dict[str, float]:
    """Scores by label, from an object or from the pairs of a line."""
    pairs = list(value.items()) if isinstance(value, dict) else value
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        raise _BrokenRuleError("wrong_form")
    listed = _labels([word for word, _ in pairs], names)
    points = [number for _, number in pairs]
    if not all(on_scale(number) for number in points):
        raise _BrokenRuleError("off_scale")
    return dict(zip(listed, map(float, points), strict=True))


def _contradict(ranking: Any, scores: Any, names: Mapping[str, str]) -> bool:
    """Whether some label has more points than one before it; what breaks a rule says nothing."""
    try:
        order, points = _labels(ranking, names), _scores(scores, names)
    except _BrokenRuleError:
        return False
    ranked = [points[label] for label in order if label in points]
    behind = [points[label] for label in points if label not in order]
    in_order = [*ranked, *sorted(behind, reverse=True)]
    return in_order != sorted(in_order, reverse=True)


def _of_last_line(
    text: str, kind: BallotKind, names: Mapping[str, str], *, native: bool
) -> BallotReading | None:
    marker = last_unfenced(text, _MARKERS[kind])
    if marker is None:
        # A model that is held to an enum writes the label alone, without quotation marks.
        step: ParsedBy = "native" if native else "line"
        alone = _checked(BallotReading(step), kind, _bared(text), {}, names)
        return None if alone.problem else alone
    lines = [line for line in map(_bared, text[marker.end() :].split("\n")) if line]
    value = _line_value(kind, lines)
    return None if value is None else _checked(BallotReading("line"), kind, value, {}, names)


def _bared(words: str) -> str:
    return words.strip(_EMPHASIS).removesuffix(".").rstrip(_EMPHASIS)


def _line_value(kind: BallotKind, lines: Sequence[str]) -> Any:
    """What JSON would have in place of the lines behind a marker; None: they are no ballot."""
    numbered = [_NUMBERED.fullmatch(line) for line in lines]
    if kind == "ranking" and lines and all(numbered):
        places = [int(match[1]) for match in numbered if match]
        in_order = places == list(range(1, len(places) + 1))
        return [_bared(match[2]) for match in numbered if match] if in_order else None
    if len(lines) != 1:
        return None
    line = lines[0]
    if kind not in ("approved", "ranking", "scores"):
        return line
    if line.casefold() in _NONES:
        return []
    if kind == "scores":
        return _line_scores(line)
    return [_bared(part) for part in line.replace(">", ",").split(",")]


def _line_scores(line: str) -> list[tuple[str, float]] | str:
    """Pairs of a word and a number; the line as it is, which is no ballot, if it has others."""
    pairs, at = [], 0
    while at < len(line):
        match = _SCORE.match(line, at)
        if match is None:
            return line
        pairs.append((_bared(match[1]), float(match[2].replace(",", "."))))
        at = match.end()
    return pairs


_MARKERS: dict[BallotKind, re.Pattern[str]] = {
    kind: re.compile(line_marker("|".join(words.values())), re.IGNORECASE | re.MULTILINE)
    for kind, words in LINE_WORDS.items()
}
