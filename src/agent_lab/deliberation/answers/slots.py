"""The place for the answer: how prompts ask for it, and where texts have it."""

import re
from typing import Final, NamedTuple

from agent_lab.contracts import Language
from agent_lab.deliberation.answers.answer import AnswerKind
from agent_lab.deliberation.fences import is_fence, without_blocks

_LINE: Final[dict[Language, str]] = {
    "en": "Think first, in at most five short steps. End with one last line that begins with "
    '"ANSWER:" and holds {what}.',
    "es": "Piensa primero, en cinco pasos cortos como máximo. Termina con una última línea que "
    'empiece por "RESPUESTA:" y tenga {what}.',
}
_TEXT: Final[dict[Language, str]] = {
    "en": "Write the answer itself, ready to use, and no steps or plan towards it.",
    "es": "Escribe la respuesta misma, lista para usar, sin pasos ni plan para llegar a ella.",
}
_WHAT: Final[dict[AnswerKind, dict[Language, str]]] = {
    "number": {"en": "only the number", "es": "solo el número"},
    "choice": {
        "en": "only the letter of your choice",
        "es": "solo la letra de tu elección",
    },
    "boolean": {"en": "only yes or no", "es": "solo sí o no"},
    "label": {
        "en": "the answer in at most five words",
        "es": "la respuesta en cinco palabras como máximo",
    },
}
_BLOCK: Final[dict[AnswerKind, dict[Language, str]]] = {
    "json": {
        "en": "End with your answer as one JSON value in a ```json block.",
        "es": "Termina con tu respuesta como un solo valor JSON en un bloque ```json.",
    },
    "code": {
        "en": "End with the whole code in one ``` block.",
        "es": "Termina con todo el código en un solo bloque ```.",
    },
}

# No quote, backtick or `>` may stand before a marker: what is quoted is talked about.
_START = r"(?:^[ \t*_#•–—-]*+|(?<=[.!?)][ ])[*_]*+)"
_MARK_UP = r"[ \t]*+[*_]*+"
_ANSWER = (
    r"(?:(?:so|thus|hence|therefore|then|and|entonces|así que|por (?:lo )?tanto|luego|y),?[ \t]+)?"
    r"(?:(?:the|my|our|la|mi|nuestra)[ \t]+)?(?:(?:final|correct|right|best)[ \t]+)?"
    r"(?:answer|respuesta)(?:[ \t]+(?:final|correcta|definitiva))?(?![\w-])"
    r"(?:[ \t]*\([^()\n]{0,40}\))?"
)
_SLOT = re.compile(
    rf"{_START}(?:<answer>|{_ANSWER}{_MARK_UP}(?:(?:is|es)\b{_MARK_UP})?[:：=])",
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCE = re.compile(
    rf"{_START}{_ANSWER}{_MARK_UP}(?:is|es|must be|would be|should be|sería)(?![\w:：=])",
    re.IGNORECASE | re.MULTILINE,
)
_QUOTED_LINE = re.compile(r"([\"'`“”])(?=\w)(.*)[\"'`“”]")
_BULLET = re.compile(r"[-*•][ \t]+")
_ONLY_MARK_UP = re.compile(r"[\s*_:]*+")
_BOXED = "\\boxed{"
_BRACE = re.compile(r"[{}]")


class Slot(NamedTuple):
    """What stands in the place for the answer."""

    value: str
    is_last: bool
    """Whether nothing follows it."""


def format_clause(kind: AnswerKind, lang: Language) -> str:
    """How a prompt asks for the answer: short and literal, for small models.

    It shows no example, since small models repeat the value of an example.
    """
    if kind in _BLOCK:
        return _BLOCK[kind][lang]
    return _LINE[lang].format(what=_WHAT[kind][lang]) if kind in _WHAT else _TEXT[lang]


def last_slot(text: str) -> Slot | None:
    """What stands behind the last marker such as `ANSWER:` or `**Respuesta final:**`.

    A marker begins a line or a sentence. One inside a sentence, in quotes, behind `>` or in a
    fenced block is talked about, it is none; but a last line that is quoted as a whole counts. If
    nothing stands behind the marker, its value is the next line; if there is none, it is not
    filled in and the marker before it counts.
    """
    return _last_filled(_SLOT, text)


def last_sentence(text: str) -> Slot | None:
    """What stands behind the last `the answer is` or `la respuesta es` that begins a sentence."""
    return _last_filled(_SENTENCE, text)


def last_boxed(text: str) -> str | None:
    r"""What stands in the last `\\boxed{…}` of a text, with the braces inside it."""
    start = text.rfind(_BOXED)
    if start < 0:
        return None
    depth = 0
    for brace in _BRACE.finditer(text, start):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return text[start + len(_BOXED) : brace.start()]
    return None


def _last_filled(marker: re.Pattern[str], text: str) -> Slot | None:
    text = _last_line_bare(text)
    end = len(text)
    for match in reversed(list(marker.finditer(without_blocks(text)))):
        slot = _value(text[match.end() : end])
        if slot.value:
            return slot._replace(is_last=slot.is_last and end == len(text))
        end = match.start()
    return None


def _value(behind: str) -> Slot:
    line, _, rest = behind.partition("\n")
    if not _ONLY_MARK_UP.fullmatch(line):
        return Slot(line.strip(), not rest.strip())
    lines = [line.strip() for line in rest.split("\n")]
    filled = [line for line in lines if not _ONLY_MARK_UP.fullmatch(line) and not is_fence(line)]
    if not filled:
        return Slot("", is_last=True)
    bullet = _BULLET.match(filled[0])
    return Slot(filled[0][bullet.end() if bullet else 0 :], len(filled) == 1)


def _last_line_bare(text: str) -> str:
    """The text without quotes around its last line: small models quote what they were told."""
    before, line_end, last = text.rstrip().rpartition("\n")
    quoted = _QUOTED_LINE.fullmatch(last.strip())
    return before + line_end + quoted[2] if quoted else text
