import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.deliberation.relevance import most_relevant

HISTORY = [
    "How do I bake a sourdough bread with rye flour?",
    "¿Cuál es la capital de Francia?",
    "Write a Python function that parses dates",
    "Plan a week of cycling along the Danube",
    "Escribe un poema sobre el mar y las olas",
    "What is the population of France?",
    "Traduce al inglés: las funciones recursivas",
]

words = st.sampled_from(["bread", "flour", "Danube", "función", "点", "the", "de", "7", "x"])
texts = st.lists(words, max_size=8).map(" ".join) | st.text(max_size=50)
collections = st.lists(texts, max_size=8)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("Which rye flour makes better bread?", 0),
        ("Is my sourdough dead?", 0),
        ("¿Cuántos habitantes tiene la capital francesa?", 1),
        ("The date is parsed wrongly by the function", 2),
        ("How far is it to cycle from Passau along the Danube?", 3),
        ("Otro poema del mar, por favor", 4),
        ("What was the population of France in 1900?", 5),
        ("Explica una función recursiva", 6),
    ],
)
def test_the_text_about_the_same_thing_comes_first(query: str, index: int):
    assert most_relevant(query, HISTORY, limit=1, least=0) == [index]
    assert index in most_relevant(query, HISTORY, limit=3, least=0.1)


@pytest.mark.parametrize("query", ["Write a limerick", "Dame un consejo", "quantum chromodynamics"])
def test_what_nothing_is_about_finds_nothing(query: str):
    assert most_relevant(query, HISTORY, limit=7) == []


@pytest.mark.parametrize(
    "query",
    [
        "",
        " \n",
        "?!",
        "the of and what is it",
        "¿qué es lo que hay en el de la?",
        "__ --",
        "\ud800",
    ],
)
@pytest.mark.parametrize("history", [[], ["the of what"], HISTORY, ["qué es lo que hay"] * 3])
def test_a_query_without_a_word_that_counts_finds_nothing(query: str, history: list[str]):
    assert most_relevant(query, history, limit=9, least=0) == []


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("what is a volcano", "what is the moon"),
        ("¿Qué es el amor?", "¿Qué es la luna?"),
        ("por favor, dame la receta", "por favor, la hora"),
        ("Write a limerick, please", "Please write a sonnet"),
        ("Explica la receta", "Explica el mapa"),
    ],
)
def test_stop_words_make_nothing_relevant_even_in_a_tiny_collection(query: str, text: str):
    assert most_relevant(query, [text], limit=1, least=0.01) == []


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("house", "HOUSES"),
        ("boxes", "box"),
        ("class", "classes"),
        ("date", "dates"),
        ("funciones", "función"),
        ("papel", "papeles"),
        ("mesas", "mesa"),
        ("cancion", "canciones"),
        ("ﬁle", "FILES"),
        ("STRASSE", "straße"),
        ("ＰＹＴＨＯＮ", "python"),
        ("cafe\u0301", "café"),
    ],
)
def test_number_case_accents_and_width_make_no_other_word(query: str, text: str):
    assert most_relevant(query, [text], limit=1, least=1) == [0]


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("北京的天气", 0),
        ("すしの作り方", 1),
        ("서울의 날씨", 2),
        ("погода в Москве", 3),
        ("ιστορία", 4),
    ],
)
def test_other_scripts_have_words_too(query: str, index: int):
    history = [
        "北京今天天气很好",
        "すしはおいしい",
        "서울 여행",
        "Москва весной: погода",
        "η ιστορία",
    ]
    assert most_relevant(query, history, limit=1, least=0.1) == [index]


def test_a_rare_word_counts_more_than_a_word_of_nearly_all_texts():
    history = ["report about sales", "report about bees", "report", "report", "report", "sales"]
    assert most_relevant("report on bees", history, limit=6) == [1]


def test_of_equal_texts_the_later_comes_first():
    assert most_relevant("bread", ["bread", "moon", "bread", "bread"], limit=9) == [3, 2, 0]


def test_words_beyond_the_first_4000_characters_are_not_read():
    long = "moon " * 800
    assert most_relevant("bread", [f"{long}bread", f"bread {long}"], limit=2, least=0.1) == [1]
    assert most_relevant(f"{long}bread", ["bread"], limit=1, least=0.1) == []


def test_the_score_is_the_share_of_the_querys_information():
    # n = 4: bread stands in 2 of them, log(5 / 2), rye and oven in 1 each, log(5).
    history = ["bread", "moon", "sun"]
    share = 0.9163 / (0.9163 + 2 * 1.6094)
    assert most_relevant("bread rye oven", history, limit=3, least=share - 0.001) == [0]
    assert most_relevant("bread rye oven", history, limit=3, least=share + 0.001) == []


@given(query=texts, history=collections, limit=st.integers(-2, 9), least=st.floats(0, 1))
def test_limit_and_least_are_kept_and_every_index_is_of_another_text(
    query: str, history: list[str], limit: int, least: float
):
    found = most_relevant(query, history, limit=limit, least=least)
    assert len(found) <= max(limit, 0)
    assert len(set(found)) == len(found)
    assert set(found) <= set(range(len(history)))
    everything = most_relevant(query, history, limit=len(history), least=0)
    assert found == [i for i in everything if i in found]
    assert found == most_relevant(query, history, limit=limit, least=least)


@given(query=texts, history=collections)
def test_a_text_that_repeats_the_query_has_all_of_its_information(query: str, history: list[str]):
    found = most_relevant(query, [*history, query], limit=1, least=1)
    assert found in ([len(history)], [])
    assert (found == []) is (most_relevant(query, [query], limit=1, least=0) == [])


@given(query=texts, history=collections)
def test_no_score_is_above_one(query: str, history: list[str]):
    assert most_relevant(query, history, limit=9, least=1.0001) == []


def test_the_order_is_the_same_in_every_process():
    program = (
        "from agent_lab.deliberation.relevance import most_relevant as m\n"
        "t = [' '.join(f'w{(i * j) % 31}' for j in range(1, 20)) for i in range(1, 30)]\n"
        "print(m(' '.join(f'w{i}' for i in range(31)), t, limit=29, least=0))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(printed) == 1


@pytest.mark.timeout(30)
@pytest.mark.parametrize("piece", ["word ", "点", "{", "\ufdfa", "a", "\u0301", "１"])
def test_a_megabyte_of_anything_is_read_quickly(piece: str):
    text = piece * (1_000_000 // len(piece))
    found = most_relevant(text, [text] * 20, limit=20)
    assert found in (list(range(19, -1, -1)), [])
