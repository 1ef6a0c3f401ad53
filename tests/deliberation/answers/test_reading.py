import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.deliberation.answers.answer import Answer, AnswerKind
from agent_lab.deliberation.answers.reading import read_answer
from agent_lab.deliberation.answers.values import answer_key

LONG = 200_000
KINDS: tuple[AnswerKind, ...] = ("choice", "number", "boolean", "label", "json", "code", "free")
LETTERS = ("A", "B", "C", "D")
CITIES = ("Paris", "Rome")
LABELLED = ("A) Paris", "B) Rome")

NUMBERS = {
    "ANSWER: 42": ("42", "slot"),
    "ANSWER: 63 (because 7*9)": ("63", "slot"),
    "ANSWER: $1,234.50": ("1234.5", "slot"),
    "Answer = 3/4": ("0.75", "slot"),
    "ANSWER: [42]": ("42", "slot"),
    "ANSWER: 42 apples": ("42", "slot"),
    "**Answer:** 42.": ("42", "slot"),
    "**ANSWER: 42**": ("42", "slot"),
    "- **ANSWER**: 42": ("42", "slot"),
    "### Final Answer: 42": ("42", "slot"),
    "ANSWER： ４２": ("42", "slot"),
    "Answer (in km): 42": ("42", "slot"),
    "Respuesta final: 42": ("42", "slot"),
    "La respuesta es: 42": ("42", "slot"),
    "La respuesta correcta es 42.": ("42", "slot"),
    "The answer is 42": ("42", "slot"),
    "So, the final answer is **42**.": ("42", "slot"),
    "ANSWER: The answer is 42.": ("42", "slot"),
    "7 * 9 is 63. ANSWER: 63": ("63", "slot"),
    "7 * 9 is 63. The answer is 63.": ("63", "slot"),
    "The answer is 42. Check: 50 - 8 = 43": ("42", "slot"),
    "<answer>42</answer>": ("42", "slot"),
    "<answer>\n42\n</answer>": ("42", "slot"),
    r"ANSWER: $\boxed{42}$": ("42", "slot"),
    # the value on its own line
    "ANSWER:\n42": ("42", "slot"),
    "**Answer:**\n\n42\n": ("42", "slot"),
    "ANSWER:\n- 42": ("42", "slot"),
    "ANSWER:\n```\n42\n```": ("42", "slot"),
    # the last one wins, and an empty one is none
    "ANSWER: 41\nNo, wait.\nANSWER: 42": ("42", "slot"),
    "ANSWER: 42\n\nANSWER:": ("42", "slot"),
    "ANSWER: 42\nThe answer is correct because I checked it.": ("42", "slot"),
    "ANSWER: 42\n\nI hope that these 3 steps help.": ("42", "slot"),
    # a last line that is quoted as a whole; a text that is one fence
    'I think so.\n"ANSWER: 42"': ("42", "slot"),
    "`ANSWER: 42`": ("42", "slot"),
    "```\nANSWER: 42\n```": ("42", "slot"),
    # a marker that is talked about
    "You said to write ANSWER: 7 when done, but 8 it is": ("8", "last_number"),
    'The form is "ANSWER: 7", so 8': ("8", "last_number"),
    "`ANSWER: 7` is the form.\nI say 8.": ("8", "last_number"),
    "> ANSWER: 7\nI disagree.\nANSWER: 8": ("8", "slot"),
    "ANSWER: 8\n> ANSWER: 7": ("8", "slot"),
    "```\nANSWER: 7\n```\nANSWER: 8": ("8", "slot"),
    "ANSWER: 8\n```\nANSWER: 7\n```\n": ("8", "slot"),
    # no marker
    r"so \boxed{42}.": ("42", "boxed"),
    r"\boxed{41} no: \[ x = \boxed{\frac{3}{4}} \]": ("0.75", "boxed"),
    "42": ("42", "whole"),
    " $42$ ": ("42", "whole"),
    "42 apples.": ("42", "whole"),
    "She has 40, then 2 more: 42 in all": ("42", "last_number"),
    "Answer: First we take 7*9.\nThat makes 63.": ("63", "last_number"),
    # an unreadable last word settles it, whatever numbers stand before
    "There are 3 facts.\nANSWER: cannot be determined": (None, "unparsed"),
    "7 is a number.\nANSWER: <number>": (None, "unparsed"),
    "ANSWER: 40 or 41": (None, "unparsed"),
    "ANSWER:": (None, "unparsed"),
    "I do not know.": (None, "unparsed"),
    "": (None, "unparsed"),
}
CHOICES = {
    "(B)": "b",
    "B": "b",
    "b.": "b",
    "ANSWER: B": "b",
    "ANSWER: b": "b",
    "ANSWER: (B)": "b",
    "ANSWER: [B]": "b",
    "ANSWER: **B**": "b",
    "ANSWER: B) Paris": "b",
    "ANSWER: B. Paris": "b",
    "ANSWER: B: Paris": "b",
    "ANSWER: B - Paris": "b",
    "ANSWER: B) A city": "b",
    "ANSWER: B) Vitamin C": "b",
    "ANSWER: B) Washington, D.C.": "b",
    "ANSWER: Paris (B)": "b",
    "ANSWER: B because it is the capital": "b",
    "ANSWER: B is correct": "b",
    "ANSWER: The answer is B": "b",
    "ANSWER: option B": "b",
    "The answer is option (D).": "d",
    "The correct answer is **C**.": "c",
    "La respuesta correcta es la B": "b",
    "La opción correcta es B": "b",
    r"\boxed{\text{B}}": "b",
    "ANSWER: Z": None,
    "ANSWER: A, B": None,
    "ANSWER: [A,A]": None,
    "ANSWER: A and B": None,
    "ANSWER: A or B": None,
    "ANSWER: not B": None,
    "ANSWER: B, not C": None,
    "ANSWER: AB": None,
    "ANSWER: A city in France": None,
    "A city in France": None,
    "B is weak. A and B are both fine.": None,
    "B is weak. A and B…": None,
    "I would say B or maybe C": None,
}
BOOLEANS = {
    "yes.": "true",
    "ANSWER: Yes": "true",
    "ANSWER: sí": "true",
    "ANSWER: si": "true",
    "ANSWER: SÍ.": "true",
    "ANSWER: true": "true",
    "ANSWER: verdadero": "true",
    "ANSWER: It is true": "true",
    "ANSWER: Es falso": "false",
    "ANSWER: Yes, because it has no other divisors": "true",
    "ANSWER: Yes, but 91 = 7*13, so no": None,
    "ANSWER: No. Yes": None,
    "ANSWER: No, that is not true": "false",
    "ANSWER: no": "false",
    "The answer is no.": "false",
    "No, 91 = 7*13.": "false",
    "ANSWER: yes/no": None,
    "ANSWER: yes or no": None,
    "yes, no": None,
    "ANSWER: not true": None,
    "ANSWER: no sé": None,
    "No idea": None,
    "ANSWER: Si llueve": None,
    "ANSWER: maybe": None,
}
LABELS = {
    "ANSWER: Paris.": "paris",
    "ANSWER: **Paris**": "paris",
    'ANSWER: "Paris"': "paris",
    "ANSWER: It's Paris": "it's paris",
    "ANSWER: The answer is Paris": "paris",
    "The answer is Paris.": "paris",
    "Paris": "paris",
    "ANSWER: Paris (the capital)": "paris",
    "ANSWER: Paris. It is the capital of France.": "paris",
    "ANSWER: Paris, because it is the capital": "paris",
    "ANSWER: St. Petersburg": "st. petersburg",
    "ANSWER: Bogotá": "bogota",
    "ANSWER: The Beatles": "beatles",
    "ANSWER: C++": "c++",
    "ANSWER: ...": None,
    "ANSWER: <your answer>": None,
    "ANSWER: one two three four five six seven eight nine ten eleven": None,
    "I would have to think about this question for a very long time indeed": None,
}
# Each is as long as a page of a book many times over, and slow for a reader that looks back.
HOSTILE = {
    "markers": "ANSWER:\n" * (LONG // 8),
    "markers on one line": "ANSWER: " * (LONG // 8),
    "sentences": "The answer is. " * (LONG // 15),
    "answers": "ANSWER: 1\n" * (LONG // 10),
    "a marker and spaces": "ANSWER:" + " " * LONG,
    "a marker and lines": "ANSWER:" + "\n" * LONG,
    "a marker and digits": "ANSWER: " + "1" * LONG,
    "spaces before a marker": " " * LONG + "ANSWER: 1",
    "stars": "*" * LONG,
    "lines": "\n" * LONG,
    "digits": "1" * LONG,
    "signs": "-" * LONG,
    "points": "1." * (LONG // 2),
    "commas": "1,234" * (LONG // 5),
    "slashes": "1/" * (LONG // 2),
    "numbers": "12 " * (LONG // 3),
    "groups": "1" + " 234" * (LONG // 4),
    "exponents": "1e9" * (LONG // 3),
    "powers": "10^" * (LONG // 3),
    "fractions": "\\frac" * (LONG // 5),
    "fraction braces": "\\frac{1}{" * (LONG // 9),
    "texts": "\\text{" * (LONG // 6),
    "boxes": "\\boxed{" * (LONG // 7),
    "one box": "\\boxed{" + "{" * LONG,
    "brackets": "(" * LONG,
    "pairs": "(" * (LONG // 2) + ")" * (LONG // 2),
    "fences": "```\n" * (LONG // 4),
    "closed fences": "```\n1\n```\n" * (LONG // 10),
    "one fence": "`" * LONG,
    "quotes": '"' * LONG,
    "braces": "{" * LONG,
    "nested arrays": "[" * (LONG // 2) + "]" * (LONG // 2),
    "wide": "\ufdfa" * LONG,
    "accents": "e" + "\u0301" * LONG,
    "superscripts": "²" * LONG,
    "parentheses": "ANSWER (" * (LONG // 8),
    "labels": "A) " * (LONG // 3),
    "conjunctions": "A and " * (LONG // 6),
    "articles": "the " * (LONG // 4),
}

texts = st.text(st.characters(codec=None), max_size=200)
# What answers are made of, in any disorder.
pieces = st.lists(
    st.sampled_from(
        ["ANSWER: ", "Answer", "RESPUESTA: ", "The answer is", "la respuesta es", ":", "=", "is "]
        + ["\n", "\n\n", " ", ". ", ", ", "**", "`", '"', "> ", "- ", "```", "```json", "~~~"]
        + ["42", "1,234.5", "½", "10²", "%", "$", "\\boxed{", "\\frac{1}{2}", "{", "}", "[", "]"]
        + [
            "(",
            ")",
            "A",
            "B)",
            "b",
            "yes",
            "no",
            "sí",
            "Paris",
            "the ",
            "because ",
            "or ",
            "\ud800",
        ]
        + ['{"a": 1.0}', "NaN", "<answer>", "</answer>", "\u200b", "ﬁ", "İ", "ẞ", "\u0345"]
    ),
    max_size=25,
).map("".join)
kinds = st.sampled_from(KINDS)
option_lists = st.sampled_from([(), LETTERS, CITIES, LABELLED, ("1", "2"), ("A", "a"), ("", "x")])


def number(text: str) -> Answer:
    return read_answer(text, "number")


@pytest.mark.parametrize(("text", "expected"), NUMBERS.items())
def test_a_number_is_read_where_it_is_marked(text: str, expected: tuple[str | None, str]):
    answer = number(text)
    assert (answer.key, answer.parsed_by) == expected


@pytest.mark.parametrize(("text", "expected"), CHOICES.items())
def test_a_choice_is_one_label_of_the_options(text: str, expected: str | None):
    assert read_answer(text, "choice", options=LETTERS).key == expected


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("ANSWER: Paris", CITIES, "paris"),
        ("ANSWER: París.", CITIES, "paris"),
        ("It is Paris.", CITIES, "paris"),
        ("ANSWER: B", CITIES, "rome"),
        ("ANSWER: b) Rome", CITIES, "rome"),
        ("ANSWER: A) Rome", CITIES, None),
        ("ANSWER: Lyon", CITIES, None),
        ("ANSWER: C", CITIES, None),
        ("ANSWER: Rome", LABELLED, "b"),
        ("ANSWER: B", LABELLED, "b"),
        ("ANSWER: B) Paris", LABELLED, None),
        ("ANSWER: 2", ("1", "2", "3"), "2"),
        ("ANSWER: B", (), "b"),
        ("ANSWER: Paris", (), None),
    ],
)
def test_options_are_labels_words_or_both(
    text: str, options: tuple[str, ...], expected: str | None
):
    assert read_answer(text, "choice", options=options).key == expected


@pytest.mark.parametrize(("text", "expected"), BOOLEANS.items())
def test_yes_or_no_is_read_in_english_and_spanish(text: str, expected: str | None):
    assert read_answer(text, "boolean").key == expected


@pytest.mark.parametrize(("text", "expected"), LABELS.items())
def test_a_label_is_a_few_words(text: str, expected: str | None):
    assert read_answer(text, "label").key == expected


@pytest.mark.parametrize(
    ("text", "key", "parsed_by"),
    [
        ('{"b": 1.0, "a": [true]}', '{"a":[true],"b":1}', "whole"),
        ('Here:\n```json\n{"a": 1}\n```\nand\n```json\n{"a": 2}\n```\n', '{"a":2}', "fence"),
        ("Here:\n```json\n42\n```", "42", "fence"),
        ("```json\n[1]\n```\nRun:\n```python\nprint(1)\n```", "[1]", "fence"),
        ('ANSWER: {"a": 1} as asked', '{"a":1}', "braces"),
        ("nothing", None, "unparsed"),
        ("[NaN]", None, "unparsed"),
    ],
)
def test_json_is_read_from_the_text_the_last_fence_or_braces(
    text: str, key: str | None, parsed_by: str
):
    answer = read_answer(text, "json")
    assert (answer.key, answer.parsed_by) == (key, parsed_by)


def test_code_is_the_last_fenced_block():
    text = "Draft:\n```python\nx = 1\n```\nBetter:\n```python\n# two\nx = 2\n\n```\nDone."
    answer = read_answer(text, "code")
    assert (answer.key, answer.parsed_by) == ("x = 2", "fence")
    assert answer.display == "```python\n# two\nx = 2\n\n```"


def test_a_fence_inside_code_does_not_end_its_display():
    answer = read_answer('````python\ns = """\n```\n"""\n````', "code")
    assert answer_key(answer.display, "code") == answer.key == 's = """\n```\n"""'


def test_prose_without_a_block_is_no_code():
    assert read_answer("I would write a loop.", "code").parsed_by == "unparsed"


def test_a_free_answer_has_no_key():
    answer = read_answer("ANSWER: 42", "free")
    assert answer == Answer(kind="free", raw="ANSWER: 42", display="ANSWER: 42", parsed_by="free")


def test_near_equal_texts_that_end_in_40_and_41_are_two_answers():
    story = "We add the apples of each basket, one after the other, and so we get to " * 20
    answers = [number(f"{story}\nANSWER: {n}").key for n in (40, 41)]
    assert answers == ["40", "41"]
    labels = [read_answer(f"ANSWER: model number {n}", "label").key for n in (40, 41)]
    assert labels == ["model number 40", "model number 41"]


def test_model_text_is_never_evaluated():
    for text in ("ANSWER: __import__('os').getcwd()", "ANSWER: 2**10", "ANSWER: 6*7"):
        assert number(text).key is None


def test_raw_holds_the_words_that_were_read():
    assert number("So.\nANSWER: ４２ apples!").raw == "４２ apples!"
    assert number("First 3.\nThen 4 and 5.\n").raw == "Then 4 and 5."
    assert number("ANSWER: who knows").raw == "who knows"


# Choices and yes or no are looked for where labels are.
@pytest.mark.parametrize("kind", ["number", "label", "json", "code"])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_read_to_its_end(text: str, kind: AnswerKind):
    assert read_answer(text, kind, options=LETTERS).kind == kind


@given(text=texts | pieces, kind=kinds, options=option_lists)
def test_reading_never_raises(text: str, kind: AnswerKind, options: tuple[str, ...]):
    answer = read_answer(text, kind, options=options)
    assert (answer.key is None) == (answer.parsed_by in ("unparsed", "free"))


@given(text=texts | pieces, kind=kinds, options=option_lists)
def test_the_display_of_an_answer_has_its_key(
    text: str, kind: AnswerKind, options: tuple[str, ...]
):
    answer = read_answer(text, kind, options=options)
    if answer.key is not None:
        assert answer_key(answer.display, kind, options) == answer.key


@given(text=texts | pieces, kind=kinds.filter(lambda kind: kind != "code"), options=option_lists)
def test_the_key_of_a_key_is_itself(text: str, kind: AnswerKind, options: tuple[str, ...]):
    key = read_answer(text, kind, options=options).key
    if key is not None:
        assert answer_key(key, kind, options) == key
