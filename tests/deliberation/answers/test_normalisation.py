import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.deliberation.answers.normalisation import (
    boolean_key,
    code_key,
    json_key,
    label_key,
)

texts = st.text(max_size=60)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Paris", "  PARIS. "),
        ("Paris", "**paris**"),
        ("Paris", '"Paris!"'),
        ("Paris", "“Paris”"),
        ("Paris", "Ｐａｒｉｓ"),
        ("Paris", "Pa\u200bris"),
        ("New York", "new \n york"),
        ("beatles", "The Beatles"),
        ("sol", "El Sol"),
        ("Bogotá", "bogota"),
        ("pingüino", "pinguino"),
        ("Bogotá", "Bogota\u0301"),
        ("straße", "STRASSE"),
        ("sí", "¡Sí!"),
        ("rock 'n' roll", "rock ’n’ roll"),
        ("1939-1945", "1939–1945"),
    ],
)
def test_labels_that_differ_only_in_spelling_are_one(text: str, same: str):
    assert label_key(text) == label_key(same)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("año", "ano"),
        ("C", "C++"),
        ("Paris", "Paris Hilton"),
        ("model 40", "model 41"),
        ("10²", "102"),
        ("й", "и"),
        ("が", "か"),
    ],
)
def test_labels_that_mean_different_things_are_two(text: str, other: str):
    assert label_key(text) != label_key(other)


def test_an_article_alone_is_a_label():
    assert label_key("The The") == label_key("the") == "the"


@pytest.mark.parametrize("text", ["", "  ", "**", "''"])
def test_nothing_is_no_label(text: str):
    assert label_key(text) is None


@given(text=texts)
def test_the_key_of_a_label_is_its_own_key(text: str):
    key = label_key(text)
    assert key is None or label_key(key) == key


@pytest.mark.parametrize("word", ["yes", "Sí", "si", "SI.", "true", "Verdadero", "**Yes!**"])
def test_words_that_say_yes(word: str):
    assert boolean_key(word) == "true"


@pytest.mark.parametrize("word", ["no", "No.", "false", "FALSO", "falsa"])
def test_words_that_say_no(word: str):
    assert boolean_key(word) == "false"


@pytest.mark.parametrize("word", ["", "maybe", "not", "1", "yes no", "nosotros"])
def test_words_that_say_neither(word: str):
    assert boolean_key(word) is None


@pytest.mark.parametrize(
    ("value", "same"),
    [(1, 1.0), (0, -0.0), ({"a": 1, "b": 2}, {"b": 2.0, "a": 1.0}), ([1e3], [1000])],
)
def test_equal_json_has_one_key(value: object, same: object):
    assert json_key(value) == json_key(same)


@pytest.mark.parametrize(
    ("value", "other"),
    [(1, True), (0, False), (0, None), (1, "1"), ([1, 2], [2, 1]), ({"a": 1}, {"a": 1, "b": None})],
)
def test_different_json_has_two_keys(value: object, other: object):
    assert json_key(value) != json_key(other)


@given(value=values)
def test_the_order_of_an_object_is_not_in_its_key(value: object):
    assert json_key({"b": value, "a": 1}) == json_key({"a": 1, "b": value})


def test_white_space_at_line_ends_blank_lines_and_comment_lines_of_code_do_not_count():
    code = "# adds\ndef add(a, b):\n\n    # the sum\n    return a + b  \r\n"
    assert code_key(code, "python") == "def add(a, b):\n    return a + b"


@pytest.mark.parametrize(
    ("code", "other", "language"),
    [
        ("return 40", "return 41", "python"),
        ("if a:\n    b()\nc()", "if a:\n    b()\n    c()", "python"),
        ("#define N 40\n", "#define N 41\n", "c"),
        ("# a\nx", "# b\nx", ""),
        ("#!/bin/sh\nx", "#!/bin/bash\nx", "sh"),
    ],
)
def test_any_other_difference_of_code_counts(code: str, other: str, language: str):
    assert code_key(code, language) != code_key(other, language)


@given(code=texts, language=st.sampled_from(["", "python", "c", "sql"]))
def test_the_key_of_code_is_its_own_key(code: str, language: str):
    key = code_key(code, language)
    assert key is None or code_key(key, language) == key
