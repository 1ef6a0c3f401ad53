import pytest

from agent_lab.flows.language import detect_language

ENGLISH = [
    "Write a function that adds two numbers",
    "Explain the difference between a list and a tuple in Python",
    "What is the capital of France?",
    "Fix this: def add(a, b): return a - b",
    "Why does `for i in range(10): print(i)` print ten numbers?",
    "Refactor the class below so that it has no global state.\n\n```python\nx = 1\n```",
    "SELECT name FROM users WHERE id = 3 -- make it faster",
    "Sort these names",
    "Design a REST API for a library",
    "Write a short biography of Beyoncé",
    "How do I say good morning to my Spanish colleague?",
    "3 + 4 * 2 = ?",
]
SPANISH = [
    "Escribe una función que sume dos números",
    "escribe una funcion que sume dos numeros",
    "¿Cuál es la capital de Francia?",
    "cual es la capital de Francia",
    "Explica la diferencia entre una lista y una tupla en Python",
    "Refactoriza el siguiente codigo para que no tenga estado global",
    "Por favor, corrige este código:\n\ndef suma(a, b):\n    return a - b",
    "Diseña una API REST para una biblioteca",
    "Haz un resumen del texto en tres frases",
    "dame una lista de los paises de Europa con su poblacion",
    "Cuanto es 2 + 2?",
    "¡Hola!",
    "Traduce al inglés: buenos días",
]
# The words of a programming language are English, whoever asks about them.
SPANISH_AROUND_CODE = [
    "Optimiza la consulta SELECT * FROM users WHERE id = 3",
    "Explica este codigo: for i in range(10): if i is not None: print(i)",
    "Corrige esta funcion: def suma(a, b): return a + b",
    "Optimiza esta consulta SQL: SELECT * FROM users WHERE id IN (SELECT user_id FROM orders)",
    "Que hace este codigo?\n\n```python\nfrom os import path\nwith open(f) as g:\n    pass\n```",
]


@pytest.mark.parametrize("prompt", ENGLISH)
def test_an_english_prompt_is_english(prompt: str):
    assert detect_language(prompt) == "en"


@pytest.mark.parametrize("prompt", SPANISH)
def test_a_spanish_prompt_is_spanish(prompt: str):
    assert detect_language(prompt) == "es"


@pytest.mark.parametrize("prompt", SPANISH_AROUND_CODE)
def test_keywords_of_code_do_not_make_a_spanish_prompt_english(prompt: str):
    assert detect_language(prompt) == "es"


def test_a_spanish_prompt_that_only_a_preposition_marks_is_not_english_for_it():
    assert detect_language("traduce esto a ingles") == "es"


@pytest.mark.parametrize("text", ["", "   \n", "42", "print(x)", "日本語のテキスト"])
def test_a_text_that_speaks_for_neither_is_english(text: str):
    assert detect_language(text) == "en"


@pytest.mark.parametrize("prompt", ["ESCRIBE UNA FUNCION QUE SUME DOS NUMEROS", "¿QUÉ ES ESTO?"])
def test_capital_letters_make_no_difference(prompt: str):
    assert detect_language(prompt) == detect_language(prompt.lower()) == "es"


def test_a_letter_that_english_lacks_outweighs_one_english_word():
    assert detect_language("the mañana") == "es"


def test_only_the_beginning_of_a_long_text_decides():
    english, spanish = "the answer is that " * 200, "la respuesta es que " * 200
    assert detect_language(english + spanish * 9) == "en"
    assert detect_language(spanish + english * 9) == "es"
