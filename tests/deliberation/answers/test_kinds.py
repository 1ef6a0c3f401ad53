from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.contracts import Language
from agent_lab.deliberation.answers.answer import AnswerKind
from agent_lab.deliberation.answers.kinds import answer_kind, choice_labels

TASKS: list[tuple[str, AnswerKind]] = [
    ("What is 7*9?", "number"),
    ("How many r's are in strawberry?", "number"),
    ("Calculate 12% of 250.", "number"),
    ("A train travels 60 km in 2 hours. What is its average speed?", "number"),
    ("Solve for x: 2x + 3 = 11", "number"),
    ("Janet has 3 ducks. How much does she make every day in dollars?", "number"),
    ("If a shirt costs $20 after a 20% discount, how much did it cost before?", "number"),
    ("In what year did the Berlin Wall fall?", "number"),
    ("Find the area of a circle with radius 3.", "number"),
    ("What's 15 + 27?", "number"),
    ("Compute the remainder of 2^10 divided by 7.", "number"),
    ("Please tell me how many days February has in a leap year.", "number"),
    ("What is the probability of rolling a 6 with a fair die?", "number"),
    ("Tom is 3 years older than Ann, who is 12. How old is Tom?", "number"),
    ("¿Cuánto es 7 por 9?", "number"),
    ("Calcula 12 + 30", "number"),
    ("¿Cuántos días tiene febrero en un año bisiesto?", "number"),
    ("Si Ana tiene 3 manzanas y compra 4, ¿cuántas tiene en total?", "number"),
    ("Un tren recorre 60 km en 2 horas. ¿Cuál es su velocidad media?", "number"),
    ("¿En qué año llegó el hombre a la Luna?", "number"),
    ("Resuelve la ecuación 2x + 3 = 11", "number"),
    ("Halla el área de un círculo de radio 3.", "number"),
    ("cuanto cuesta un kilo de pan si 3 kilos cuestan 6 euros", "number"),
    ("Is 17 a prime number? Answer yes or no.", "boolean"),
    ("True or false: the Earth is flat.", "boolean"),
    ("Is 91 prime?", "boolean"),
    ("Is it true that bats are blind? Explain.", "boolean"),
    ("Does the moon have an atmosphere?", "boolean"),
    ("¿Es 17 un número primo? Responde sí o no.", "boolean"),
    ("¿Verdadero o falso? La Tierra es plana.", "boolean"),
    ("¿Es 91 primo?", "boolean"),
    ("¿Es cierto que los murciélagos son ciegos?", "boolean"),
    ("Which is the capital of France?\nA) Paris\nB) Rome\nC) Madrid", "choice"),
    ("What is 2+2? (A) 3 (B) 4 (C) 5", "choice"),
    ("The largest planet is: A. Mars\nB. Jupiter", "free"),
    ("Choose the best answer.\nA. Mars\nB. Jupiter\nC. Venus\nD. Earth", "choice"),
    ("¿Cuál es la capital de Francia?\na) París\nb) Roma", "choice"),
    ("¿Cuánto es 2+2? A) 3 B) 4 C) 5", "choice"),
    ("Question: which one floats?\n\n- A) wood\n- B) iron\n\nAnswer with the letter.", "choice"),
    ("In one word, what is the capital of France?", "label"),
    ("Name the author of Don Quixote.", "label"),
    ("Name the planet that is closest to the Sun.", "label"),
    ("What is the chemical symbol of gold? Answer with just one word.", "label"),
    ("¿Cuál es la capital de Perú? Responde con una sola palabra.", "label"),
    ("Nombra el autor de Don Quijote.", "label"),
    ("En una palabra, ¿de qué color es el cielo?", "label"),
    ("What is the capital of France?", "free"),
    ("Name the planets of the solar system.", "free"),
    ("Name three fruits.", "free"),
    ("Explain how many bits a byte has and why.", "free"),
    ("Write a Python function that counts how many vowels a word has.", "free"),
    ("Translate into Spanish: how many apples are there?", "free"),
    ("Summarise this text: is 17 prime?", "free"),
    ("Can you write a poem?", "free"),
    ("Is it better to use tabs or spaces?", "free"),
    ("Should I learn Rust?", "free"),
    ("Is there a way to speed up pip?", "free"),
    ("How many apples and how many pears are there if there are 3 and 4?", "free"),
    ("Why is the sky blue?", "free"),
    ("Solve x^2 = 4", "free"),
    ("Find the derivative of 3x.", "free"),
    ("a) Explain TCP. b) Explain UDP.", "free"),
    ("Which of these are prime? Select all that apply. A) 2 B) 3 C) 4", "free"),
    ("Steps:\nA. Open the door\nB. Go in\nC. Explain what you see", "free"),
    ("What is 2+2? What is 3+3?", "free"),
    ("Describe your day in one sentence.", "free"),
    ("Give a one word synonym for each of these words.", "free"),
    ("¿Es mejor Python o Java?", "free"),
    ("¿Cómo funciona un motor?", "free"),
    ("Escribe un cuento de cuántos amigos tiene Ana.", "free"),
    ("Nombra los planetas.", "free"),
    ("¿Por qué el cielo es azul?", "free"),
    ("Cuanto antes, dime qué hacer con mi vida", "free"),
    ("Resuelve el sistema x + y = 3, x - y = 1", "free"),
    ("What is the value of democracy?", "free"),
    ("Plan a trip to Rome for 3 days", "free"),
    ("", "free"),
    ("Do you like cats?", "free"),
    ("¿Tienes hambre?", "free"),
    ("Do I need a visa for Japan?", "free"),
    ("Design a database for a shop", "free"),
    ("Describe a cat in one word.", "label"),
    ("¿Cómo se dice casa en inglés?", "free"),
    ("Is Python better than Java?", "free"),
]
HOSTILE = {
    "labels": "A) " * 70_000,
    "questions": "how many " * 20_000,
    "commas": "a, " * 70_000,
    "solve": "solve " * 30_000,
    "names": "name the " * 20_000,
    "spaces": " " * 200_000,
    "lines": "\n" * 200_000,
    "quotes": '"' * 200_000,
}
texts = st.lists(
    st.sampled_from(
        [
            "A) ",
            "B) ",
            "(A) ",
            "a. ",
            "\n",
            "Which ",
            "is ",
            "how many ",
            "cuántos ",
            "?",
            "¿",
            ", ",
        ]
        + ["solve ", "x = 3", "name the ", "of ", "in one word", "yes or no", "12", "```", '"', "."]
    ),
    max_size=25,
).map("".join)


@pytest.mark.parametrize("lang", ["en", "es"])
@pytest.mark.parametrize(("task", "expected"), TASKS)
def test_a_task_wants_the_kind_that_it_says(task: str, expected: AnswerKind, lang: Language):
    assert answer_kind(task, lang) == expected


def test_the_table_has_tasks_of_every_kind_that_rules_tell():
    kinds = Counter(kind for _, kind in TASKS)
    assert set(kinds) == {"choice", "number", "boolean", "label", "free"}
    assert min(kinds.values()) >= 5


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("Which?\n(A) x\n(B) y\n(C) z", ("A", "B", "C")),
        ("Which? a) x b) y", ("a", "b")),
        ("Which?\nA. x\nB. y", ("A", "B")),
        ("**A)** x\n**B)** y\nWhich one?", ("A", "B")),
        ("Which?\nA) x\nC) y", ()),
        ("Which?\nA) x", ()),
        ("Which?\nA) x\nb) y", ()),
        ("Which? A) x B) y\nAnd which? A) x B) y", ()),
        ("Select all that apply: A) x B) y", ()),
        ("Rank them: A) x B) y", ()),
        ("Vitamin A and B are good. Which?", ()),
    ],
)
def test_the_labels_of_options_are_listed_in_their_order(task: str, expected: tuple[str, ...]):
    assert choice_labels(task) == expected


def test_what_is_quoted_says_nothing_of_the_kind():
    assert answer_kind('Improve the question "how many legs?"', "en") == "free"
    assert answer_kind("What does this do?\n```\n# how many\n```", "en") == "free"


@pytest.mark.parametrize("task", HOSTILE.values(), ids=HOSTILE)
def test_hostile_tasks_are_read_to_their_end(task: str):
    assert answer_kind(task, "en") in ("free", "number")


@given(task=texts | st.text(max_size=100), lang=st.sampled_from(["en", "es"]))
def test_a_task_has_options_exactly_if_it_wants_a_choice(task: str, lang: Language):
    assert (answer_kind(task, lang) == "choice") == bool(choice_labels(task))
