r"""Finds the answer in what a model wrote.

The steps, in this order: the slot that prompts ask for, `\boxed{…}`, the sentence that says what
the answer is, a text that is nothing but an answer; of a number, as a last resort, the last one
that stands there, flagged. JSON and code are taken from the last fenced block. What no step finds
is unparsed: no key is guessed, and an unparsed answer is neither right nor equal to another.
Nothing that a model wrote is ever executed.
"""

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from agent_lab.deliberation.answers.answer import Answer, AnswerKind, ParsedBy
from agent_lab.deliberation.answers.numbers import last_number
from agent_lab.deliberation.answers.slots import last_boxed, last_sentence, last_slot
from agent_lab.deliberation.answers.values import Value, read_value
from agent_lab.deliberation.fences import fenced_blocks


class _Place(NamedTuple):
    parsed_by: ParsedBy
    raw: str
    settles: bool = False
    """Whether no other place is looked at, even if this one cannot be read."""


def read_answer(text: str, kind: AnswerKind, *, options: Sequence[str] = ()) -> Answer:
    """Read the answer that a text gives.

    Args:
        text: What a model wrote, in English or Spanish.
        kind: What kind of answer its task wants.
        options: What there is to choose from, for kind `choice`: labels, words, or both.
    """
    # Half of a surrogate pair is no character, and no contract takes it.
    text = text.encode(errors="replace").decode()
    if kind == "free":
        return Answer(kind=kind, raw=text, display=text, parsed_by="free")
    places = {"json": _json_places, "code": _code_places}.get(kind, _places)
    for parsed_by, raw, settles in places(text):
        value = read_value(raw, kind, options)
        if value is not None and (parsed_by != "whole" or value.alone):
            return _answer(kind, value, parsed_by, raw)
        if settles:
            return Answer(kind=kind, raw=raw)
    return _last_number(text) if kind == "number" else Answer(kind=kind)


def _answer(kind: AnswerKind, value: Value, parsed_by: ParsedBy, raw: str) -> Answer:
    return Answer(
        kind=kind, raw=raw.strip(), key=value.key, display=value.display, parsed_by=parsed_by
    )


def _places(text: str) -> Iterator[_Place]:
    text = _unfenced(text)
    slot = last_slot(text)
    if slot is not None:
        # An explicit last word, such as `ANSWER: it cannot be told`: no number before it counts.
        yield _Place("slot", slot.value, settles=slot.is_last)
    boxed = last_boxed(text)
    if boxed is not None:
        yield _Place("boxed", boxed)
    sentence = last_sentence(text)
    if sentence is not None:
        yield _Place("slot", sentence.value)
    whole = text.strip()
    if "\n" not in whole:
        yield _Place("whole", whole)


def _json_places(text: str) -> Iterator[_Place]:
    if _is_json(text):
        yield _Place("whole", text)
    for block in reversed(fenced_blocks(text)):
        if _is_json(block.body) and (block.label == "json" or block.body.lstrip()[:1] in "{["):
            yield _Place("fence", block.body)
    yield _Place("braces", text)


def _code_places(text: str) -> Iterator[_Place]:
    blocks = fenced_blocks(text)
    if blocks:
        yield _Place("fence", text[blocks[-1].start : blocks[-1].end])


def _last_number(text: str) -> Answer:
    for line in reversed(text.split("\n")):
        # Most lines have none, and need not be spelled out to see it.
        number = last_number(line) if any(map(str.isnumeric, line)) else None
        if number is not None:
            return _answer("number", Value(*number), "last_number", line)
    return Answer(kind="number")


def _unfenced(text: str) -> str:
    """What stands in a fence, if that is the whole text."""
    blocks = fenced_blocks(text)
    if len(blocks) == 1 and not (text[: blocks[0].start] + text[blocks[0].end :]).strip():
        return blocks[0].body
    return text


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
