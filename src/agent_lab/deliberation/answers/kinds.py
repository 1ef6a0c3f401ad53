"""What kind of answer a task wants, by its words: rules, without a model.

Precision before recall: a wrong kind makes a vote count what nobody asked for, while `free` only
sends the answers to a ranking, a score or a judge. So a task is `free` unless a rule clearly says
otherwise, and what asks for several answers is `free`.
"""

import re
from string import ascii_lowercase

from agent_lab.contracts import Language
from agent_lab.deliberation.answers import kind_words as words
from agent_lab.deliberation.answers.answer import AnswerKind
from agent_lab.deliberation.fences import without_blocks
from agent_lab.deliberation.task_types import TaskType
from agent_lab.deliberation.task_words import compiled
from agent_lab.deliberation.tasks import analyze_task

_READ = 4000
_TEXTS: frozenset[TaskType] = frozenset(
    {"code", "translation", "summary", "plan", "writing", "data"}
)
_WITHOUT_ACCENTS = str.maketrans("áéíóúüÁÉÍÓÚÜ’", "aeiouuAEIOUU'")
_QUOTED = re.compile(r"\"[^\"\n]*\"|“[^”\n]*”|«[^»\n]*»|`[^`\n]*`")
_SENTENCE_END = re.compile(r"(?<=[.!?:;])\s++|\n+")
# `(A) …` and `A) …` may stand within a line; `A. …`, which could be an initial, begins one.
_LABEL = re.compile(
    r"(?<![^\s,;:?.])(?:\*\*)?(?:\(([A-Za-z])\)|([A-Za-z])\))(?:\*\*)?\s+(?=\S)"
    r"|^[ \t]*(?:[-*•]\s+)?(?:\*\*)?([A-Za-z])[.:](?:\*\*)?[ \t]+(?=\S)",
    re.MULTILINE,
)


def answer_kind(task: str, lang: Language) -> AnswerKind:
    """What kind of answer a task wants, by its first 4,000 characters.

    Args:
        task: As its author wrote it, in English or Spanish.
        lang: The language of the run.
    """
    if choice_labels(task):
        return "choice"
    if analyze_task(task, lang).task_type in _TEXTS:
        return "free"
    said = _QUOTED.sub("…", without_blocks(task[:_READ])).translate(_WITHOUT_ACCENTS)
    sentences = [part.strip(" \t\r-*•#(¿¡") for part in _SENTENCE_END.split(said) if part.strip()]
    if said.count("?") > 1 or not sentences:
        return "free"
    if compiled(words.YES_OR_NO_SAID).search(said):
        return "boolean"
    if compiled(words.IN_A_WORD).search(said) and not compiled(words.EACH).search(said):
        return "label"
    if compiled(words.TO_EXPLAIN).search(said):
        return "free"
    if _wants_number(said, sentences):
        return "number"
    if len(sentences) == 1 and compiled(words.NAME_THE).match(sentences[0]):
        return "label"
    return "boolean" if _is_yes_or_no(sentences) else "free"


def choice_labels(task: str) -> tuple[str, ...]:
    """The labels of the options that a task lists, in their order, such as `A`, `B`, `C`.

    Empty where it lists none, where it does not ask to choose exactly one of them, and where it has
    several such lists.
    """
    task = task[:_READ]
    labels = list(_LABEL.finditer(task))
    names = [match[match.lastindex or 0] for match in labels]
    expected = ascii_lowercase[: len(names)]
    if len(names) < 2 or "".join(names) not in (expected, expected.upper()):
        return ()
    ends = [match.start() for match in labels[1:]] + [len(task)]
    options = [task[match.end() : end] for match, end in zip(labels, ends, strict=True)]
    # The last one may be followed by the question.
    if any("?" in option or compiled(words.TO_DO).match(option) for option in options[:-1]):
        return ()
    asked = (task[: labels[0].start()] + "\n" + options[-1]).translate(_WITHOUT_ACCENTS)
    if compiled(words.SEVERAL_CHOICES).search(asked) or not compiled(words.CHOOSE).search(asked):
        return ()
    return tuple(names)


def _wants_number(said: str, sentences: list[str]) -> bool:
    if compiled(words.SEVERAL_NUMBERS).search(said) or compiled(words.FORMULA).search(said):
        return False
    if compiled(words.EQUATION).search(said):
        return True
    has_digit = any(map(str.isdigit, said))
    return any(
        compiled(words.HOW_MANY).match(sentence)
        or (has_digit and compiled(words.QUANTITY).match(sentence))
        for sentence in sentences
    )


def _is_yes_or_no(sentences: list[str]) -> bool:
    """Whether a task is one short question that a verb begins."""
    question = sentences[0]
    return (
        len(sentences) == 1
        and question.endswith("?")
        and len(question.split()) <= words.LONGEST_YES_OR_NO
        and compiled(words.YES_OR_NO).match(question) is not None
        and not compiled(words.OPINION).search(question)
    )
