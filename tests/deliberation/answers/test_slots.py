import pytest

from agent_lab.contracts import Language
from agent_lab.deliberation.answers.answer import AnswerKind
from agent_lab.deliberation.answers.reading import read_answer
from agent_lab.deliberation.answers.slots import (
    Slot,
    format_clause,
    last_boxed,
    last_sentence,
    last_slot,
)

LANGUAGES: tuple[Language, ...] = ("en", "es")
IN_A_SLOT: tuple[AnswerKind, ...] = ("number", "choice", "boolean", "label")


def test_the_clauses_are_what_prompts_say():
    assert format_clause("number", "en") == (
        "Think first, in at most five short steps. "
        'End with one last line that begins with "ANSWER:" and holds only the number.'
    )
    assert format_clause("boolean", "es") == (
        "Piensa primero, en cinco pasos cortos como máximo. "
        'Termina con una última línea que empiece por "RESPUESTA:" y tenga solo sí o no.'
    )
    assert "the answer itself" in format_clause("free", "en")


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("kind", [*IN_A_SLOT, "json", "code"])
def test_a_clause_is_short_and_no_answer_itself(kind: AnswerKind, lang: Language):
    clause = format_clause(kind, lang)
    assert 0 < len(clause.split()) <= 30
    assert read_answer(clause, kind).key is None


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("kind", IN_A_SLOT)
def test_what_a_clause_asks_for_is_read(kind: AnswerKind, lang: Language):
    word = {"en": "ANSWER", "es": "RESPUESTA"}[lang]
    assert word in format_clause(kind, lang)
    value = {"number": "42", "choice": "B", "boolean": "no", "label": "Paris"}[kind]
    answer = read_answer(f"I thought about it.\n{word}: {value}", kind)
    assert (answer.raw, answer.parsed_by) == (value, "slot")
    assert answer.key is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ANSWER: 1", Slot("1", is_last=True)),
        ("ANSWER: 1\n\nDone.", Slot("1", is_last=False)),
        ("ANSWER: 1\nANSWER: 2", Slot("2", is_last=True)),
        ("ANSWER: 1\nANSWER:", Slot("1", is_last=False)),
        ("ANSWER:\n\n1\n", Slot("1", is_last=True)),
        ("ANSWER:\n1\nDone.", Slot("1", is_last=False)),
        ("ANSWER:", None),
        ("answer the question: 1", None),
        ("my answers: 1", None),
        ("The answer is 1", None),
        ("say ANSWER: 1", None),
        ('"ANSWER: 1" is the form', None),
        ("> ANSWER: 1", None),
        ("```\nANSWER: 1\n```", None),
    ],
)
def test_the_last_filled_slot_counts(text: str, expected: Slot | None):
    assert last_slot(text) == expected


def test_a_fence_that_nothing_closes_does_not_hide_the_slot():
    assert last_slot("```python\nprint(42)\nANSWER: 42") == Slot("42", is_last=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yes. The answer is 1.", "1."),
        ("la respuesta correcta es 1", "1"),
        ("If the answer is 1 then", None),
        ("The answer isn't 1", None),
    ],
)
def test_a_sentence_says_what_the_answer_is(text: str, expected: str | None):
    slot = last_sentence(text)
    assert (slot.value if slot else None) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\boxed{1} \boxed{\frac{1}{2}} {3}", r"\frac{1}{2}"),
        (r"\boxed{1", None),
        ("boxed{1}", None),
    ],
)
def test_the_last_box_is_read_with_its_braces(text: str, expected: str | None):
    assert last_boxed(text) == expected
