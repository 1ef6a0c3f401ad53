"""What kind of task a text is, and what it explicitly requires: by rules, without a model.

Precision before recall: every role reads the task verbatim anyway, so a requirement that is missed
costs little, and one that is invented spoils the answer. Hence only the instructions are read, not
quotes, code or the text that they are about; of these, sentences that ask for something; and of
such a sentence, no relative clause, which tells of something else.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from agent_lab.contracts import Contract, Language
from agent_lab.deliberation.task_rules import FRAGMENTS, REQUIREMENTS, Requirement
from agent_lab.deliberation.task_types import TaskType, sentence_type, task_type
from agent_lab.deliberation.task_words import (
    ASKS,
    CAPITALISED,
    EXTRAS,
    FORMATS,
    ITEM,
    LANGUAGES,
    NUMBERS,
    SEVERAL,
    START,
    TONGUES,
    UNITS,
    Named,
    compiled,
)

_READ = 4000
_LONG = 1500
_MANY = 3
_HEAVY: frozenset[TaskType] = frozenset({"code", "plan", "data"})
_NONE: dict[Language, str] = {
    "en": "Nothing beyond the task itself.",
    "es": "Nada más allá de la propia tarea.",
}
_WITHOUT_ACCENTS = str.maketrans("áéíóúüÁÉÍÓÚÜ’", "aeiouuAEIOUU'")
_NAMES: dict[str, tuple[Named, ...]] = {
    "unit": UNITS,
    "tongue": TONGUES,
    "format": FORMATS,
    "extra": EXTRAS,
}
_SPELLING = {name.lower(): name for name in (*LANGUAGES, *CAPITALISED)}

# Code in blocks and what is quoted is talked about, not asked for.
_QUOTED = re.compile(
    r"```.*?(?:```|\Z)|\"[^\"\n]*\"|“[^”\n]*”|«[^»\n]*»|(?<!\w)'[^'\n]*'(?!\w)", re.DOTALL
)
_ABOUT_A_TEXT = (
    rf"{START}(?:(?:translate|traduc\w+|traduzcas?|summari[sz]e|resum\w+|correct|proofread|reply to"
    r"|respond to|review|rewrite|rephrase|paraphrase|analy[sz]e|classify|extract|corrige|revisa"
    r"|responde a|contesta a|reescribe|analiza|clasifica|extrae)\b"
    r"|[^.!?\n]*?\b(?:this|these|following|below|attached|est[eao]s?|siguientes?|adjunt[oa]s?)\b)"
)
_TEXT_FOLLOWS = re.compile(r":|\n[ \t]*\n")
_LIST_FOLLOWS = re.compile(
    r"^(?!.*\b(?:requirements?|rules|constraints|conditions|requisitos|reglas|condiciones)\b)"
    r".*:[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s++(?=[^\W\d]|[¿¡(])|\n+")
_RELATIVE = re.compile(
    r"\s(?:that|which|who|whose|whom|where|when|while|if|because|unless|until|que|quien|quienes"
    r"|cuy[oa]s?|donde|cuando|mientras|si|porque)\b",
    re.IGNORECASE,
)
# Behind a relative clause, where the sentence goes on.
_TAIL = re.compile(
    r"(?:,\s+(?:in|en|as|como|using|usando|without|sin|with|con)\b[^,]*+)++$", re.IGNORECASE
)


class TaskAnalysis(Contract):
    """What the rules see in a task."""

    task_type: TaskType
    requirements: tuple[str, ...]
    """What it states of the answer, in short phrases of the prompts' language."""
    demanding: bool
    """Whether the machine's resources deserve a look first: the input is long, or it is code, a
    plan or data with several requirements.
    """


class _Sentence(NamedTuple):
    said: str
    plain: str
    """The same without accents, character by character."""


def analyze_task(text: str, lang: Language) -> TaskAnalysis:
    """Tell what a task is and what it requires, by its first 4,000 characters.

    Args:
        text: The task as its author wrote it, in English or Spanish.
        lang: The language of the requirements' wording.
    """
    head = unicodedata.normalize("NFC", text[:_READ])
    sentences = _sentences(_instructions(head))
    plain = head.translate(_WITHOUT_ACCENTS)
    kind = task_type(plain, [sentence.plain for sentence in sentences])
    phrases = (phrase for sentence in sentences for phrase in _phrases(sentence, lang))
    requirements = tuple(dict.fromkeys(phrases))
    return TaskAnalysis(
        task_type=kind,
        requirements=requirements,
        demanding=len(text) > _LONG or (kind in _HEAVY and len(requirements) >= _MANY),
    )


def requirements_text(analysis: TaskAnalysis, lang: Language) -> str:
    """The requirements for a prompt, a line each, or a phrase that says that there are none."""
    return "\n".join(f"- {phrase}" for phrase in analysis.requirements) or _NONE[lang]


def _instructions(head: str) -> str:
    """The part that asks, without the text or list that it is about."""
    asking = _QUOTED.sub("…", head.strip())
    plain = asking.translate(_WITHOUT_ACCENTS)
    follows = _TEXT_FOLLOWS if compiled(_ABOUT_A_TEXT).match(plain) else _LIST_FOLLOWS
    end = follows.search(plain)
    return asking[: end.end()] if end else asking


def _sentences(text: str) -> list[_Sentence]:
    parts = (part.strip(" \t\r-*•#>¡¿").rstrip(" .!;:") for part in _SENTENCE_END.split(text))
    return [_Sentence(part, part.translate(_WITHOUT_ACCENTS)) for part in parts if part]


def _phrases(sentence: _Sentence, lang: Language) -> Iterator[str]:
    of = "code" if sentence_type(sentence.plain) == "code" else "prose"
    # As long as before, so that it stays aligned.
    plain = compiled(SEVERAL).sub(lambda several: "…" * len(several[0]), sentence.plain)
    sentence, asks = sentence._replace(plain=plain), compiled(ASKS).match(plain)
    if asks is None:
        for row in FRAGMENTS:
            if match := compiled(row.pattern).fullmatch(sentence.plain):
                yield _phrase(row, match, sentence, lang)
        return
    main = _main(sentence, asks.end())
    for row in REQUIREMENTS:
        read = sentence if row.whole else main
        if row.of in ("all", of) and (match := compiled(row.pattern).match(read.plain)):
            yield _phrase(row, match, read, lang)


def _main(sentence: _Sentence, start: int) -> _Sentence:
    """A sentence without its first relative clause."""
    relative = _RELATIVE.search(sentence.plain, start)
    if relative is None:
        return sentence
    tail = _TAIL.search(sentence.plain, relative.end())
    rest = tail.start() if tail else len(sentence.plain)
    return _Sentence(*(text[: relative.start()] + text[rest:] for text in sentence))


def _phrase(row: Requirement, match: re.Match[str], sentence: _Sentence, lang: Language) -> str:
    groups = {group: text for group, text in match.groupdict().items() if text}
    count = _number(groups.get("n", "1"))
    values = {"n": str(count), "item": _wording(ITEM, lang, count), "low": groups.get("low", "")}
    for group, text in groups.items():
        if group in _NAMES:
            values[group] = _wording(_named(text, _NAMES[group]), lang, count)
    if "language" in groups:
        values["language"] = _SPELLING[groups["language"].lower()]
    if "what" in groups:
        values["what"] = sentence.said[slice(*match.span("what"))].replace("`", "")
    return (row.es if lang == "es" else row.en).format(**values)


def _number(text: str) -> int:
    return NUMBERS.get(text.lower()) or int(re.sub(r"[.,]", "", text))


def _named(text: str, names: tuple[Named, ...]) -> Named:
    return next(name for name in names if re.fullmatch(name.pattern, text, re.IGNORECASE))


def _wording(name: Named, lang: Language, count: int) -> str:
    one, _, many = (name.es if lang == "es" else name.en).partition("|")
    return one if count == 1 else many or one
