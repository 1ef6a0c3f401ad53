"""What a value says, once it is known where in a text it stands."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from agent_lab.deliberation.answers.answer import AnswerKind
from agent_lab.deliberation.answers.choices import read_choice, read_options
from agent_lab.deliberation.answers.normalisation import boolean_key, code_key, json_key, label_key
from agent_lab.deliberation.answers.numbers import read_number
from agent_lab.deliberation.answers.plain_text import LONGEST_VALUE, one_line, plain, unwrapped
from agent_lab.deliberation.fences import fenced_blocks
from agent_lab.deliberation.structured import json_values

MOST_LABEL_WORDS = 10
"""Of a label; prompts ask for half as many."""

_LEAD_IN = re.compile(
    r"(?:(?:so|thus|therefore|hence|entonces|por (?:lo )?tanto|así que),?\s+)?"
    r"(?:(?:the|my|la|mi|el)\s+)?(?:(?:final|correct|right|best)\s+)?"
    r"(?:answer|choice|option|respuesta|opci[oó]n)(?:\s+(?:final|correcta))?"
    r"(?:\s+(?:is|es)\b\s*:?|\s*[:=])\s*(?=\S)",
    re.IGNORECASE,
)
_IT_IS = re.compile(r"(?:it|that|this|which)(?:'s|\s+is)\s+(?=\S)|es\s+(?=\S)", re.IGNORECASE)
_SENTENCE_END = re.compile(
    r"(?<=\w{4})[.!?]\s|[;\n]|\s\(|\s-\s|,?\s(?:because|since|porque|ya que)\s", re.IGNORECASE
)
_YES_OR_NO = re.compile(
    r"([^\W\d_]+)(?:\s*[.,;:!(]|\s+-\s|\s+(?=(?:because|porque|ya que)\s)|$)(.*)", re.DOTALL
)
# `Yes, but no` says neither; `No, that is not true` says no.
_OTHER_WORD = {
    "true": re.compile(r"(?:^|[.,;:!/]|\b(?:but|so|or|pero|o))\s*no\b", re.IGNORECASE),
    "false": re.compile(r"(?:^|[.,;:!/]|\b(?:but|so|or|pero|o))\s*(?:yes|sí)\b", re.IGNORECASE),
}
_BACKTICKS = re.compile(r"`+")
_PLACEHOLDER = re.compile(r"\s*<[^<>]*>\s*")


class Value(NamedTuple):
    """An answer that a value gives."""

    key: str
    display: str
    alone: bool = True
    """Whether the value says nothing else."""


def answer_key(text: str, kind: AnswerKind, options: Sequence[str] = ()) -> str | None:
    """The key of an answer that is written by itself, such as the truth of a data set.

    None: it is no answer of this kind, or the kind is `free`.
    """
    value = read_value(text, kind, options)
    return None if value is None else value.key


def read_value(text: str, kind: AnswerKind, options: Sequence[str] = ()) -> Value | None:
    """What a value says; None: no answer of this kind."""
    if kind == "free":
        return None
    if kind == "json":
        return _json(text)
    if kind == "code":
        return _code(text)
    if len(text) > LONGEST_VALUE or _PLACEHOLDER.fullmatch(text):
        return None
    text = _without_lead_in(unwrapped(text))
    if kind == "number":
        number = read_number(text)
        return None if number is None else Value(*number)
    if kind == "choice":
        return _choice(text, options)
    return _boolean(text) if kind == "boolean" else _label(text)


def _without_lead_in(value: str) -> str:
    while match := _LEAD_IN.match(value):
        value = unwrapped(value[match.end() :])
    return value


def _choice(value: str, options: Sequence[str]) -> Value | None:
    known = read_options(options)
    value = plain(value)
    chosen = read_choice(value, known)
    if chosen is None and (match := _IT_IS.match(value)):
        chosen = read_choice(value[match.end() :], known)
    return None if chosen is None else Value(chosen.key, chosen.shown)


def _boolean(value: str) -> Value | None:
    value = plain(value)
    value = value[match.end() :] if (match := _IT_IS.match(value)) else value
    said = _YES_OR_NO.fullmatch(value)
    key = boolean_key(said[1]) if said else None
    if said is None or key is None or _OTHER_WORD[key].search(said[2]):
        return None
    return Value(key, said[1])


def _label(value: str) -> Value | None:
    value = plain(value)
    end = _SENTENCE_END.search(value)
    shown = one_line(unwrapped(value[: end.start()] if end else value))
    key = label_key(shown)
    if key is None or len(shown.split()) > MOST_LABEL_WORDS or not any(map(str.isalnum, key)):
        return None
    # What an article or an accent hid is a lead-in, too.
    bare = _without_lead_in(key)
    return Value(key, shown, alone=end is None) if bare == key else _label(bare)


def _json(text: str) -> Value | None:
    for value in json_values(text, braces="last"):
        key = json_key(value)
        return Value(key, key)
    return None


def _code(text: str) -> Value | None:
    """The last fenced block, or a text without one as it is."""
    blocks = fenced_blocks(text)
    if not blocks:
        key = code_key(text)
        return None if key is None else Value(key, text.strip("\n"))
    block = blocks[-1]
    language = block.label.split(" ")[0]
    key = code_key(block.body, language)
    longest = max(map(len, _BACKTICKS.findall(block.body)), default=0)
    fence = "`" * max(3, longest + 1)
    shown = f"{fence}{language}\n{block.body}\n{fence}"
    return None if key is None else Value(key, shown)
