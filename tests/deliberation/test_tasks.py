from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.contracts import Language
from agent_lab.deliberation.task_rules import FRAGMENTS, REQUIREMENTS
from agent_lab.deliberation.tasks import TaskAnalysis, analyze_task, requirements_text

texts = st.text(max_size=300)
# What the rules are made of, in any disorder.
pieces = st.lists(
    st.sampled_from(
        [
            *(
                "Write",
                "escribe",
                "answer in",
                "en",
                "at most",
                "como máximo",
                "100",
                "one",
                "words",
            ),
            *(
                "palabras",
                "a function",
                "in Python",
                "or Java",
                "JSON",
                "as a table",
                "without using",
            ),
            *(
                "recursion",
                "that",
                "que",
                ",",
                ".",
                ":",
                "\n",
                "\n\n",
                "```",
                '"',
                "'",
                "`",
                "¿",
                "{n}",
            ),
            *("Spanish", "al inglés", "with tests", "5 ideas", "1,000", "/", "no uses", "٣"),
        ]
    ),
    max_size=30,
).map(" ".join)
languages = st.sampled_from(["en", "es"])


def requirements(text: str, lang: Language = "en") -> tuple[str, ...]:
    return analyze_task(text, lang).requirements


TYPES = [
    ("code", "Write a function that adds two numbers in Python"),
    ("code", "Implement quicksort"),
    ("code", "Can you please refactor the class below so that it has no global state?"),
    ("code", "Why does `for i in range(10): print(i)` print ten numbers?"),
    ("code", "Fix this: def add(a, b): return a - b"),
    ("code", "SELECT name FROM users WHERE id = 3 -- make it faster"),
    ("code", "In Python, write a function that adds two numbers"),
    ("code", "Translate this Java code to Python: class A {}"),
    ("code", "Escribe una función en Python que sume dos números"),
    ("code", "Diseña una API REST para una biblioteca"),
    ("code", "Corrige este código: x = 1"),
    ("code", "optimiza la consulta SELECT * FROM users WHERE id = 3"),
    ("math", "3 + 4 * 2 = ?"),
    ("math", "What is 15% of 80?"),
    ("math", "Prove that the square root of 2 is irrational"),
    ("math", "Resuelve la ecuación 2x + 3 = 7"),
    ("math", "Cuanto es 2 + 2?"),
    ("math", "Calcula la derivada de x"),
    ("translation", "Translate to Spanish: Write a function in Python"),
    ("translation", "I wrote this, translate it to Spanish: good morning"),
    ("translation", "Traduce al inglés: buenos días"),
    ("summary", "Summarise the text below in one sentence"),
    ("summary", "Write a summary of this class"),
    ("summary", "Resume el texto siguiente"),
    ("summary", "Haz un resumen del texto en tres frases"),
    ("plan", "Make a plan to learn Go"),
    ("plan", "Hi! I need a weekly study schedule."),
    ("plan", "Planifica un viaje a Roma"),
    ("plan", "Necesito un plan de viaje por Galicia"),
    ("writing", "Write a poem about mathematics"),
    ("writing", "Write a letter to the program director"),
    ("writing", "Improve the grammar of this essay"),
    ("writing", "Redacta una carta de queja"),
    ("writing", "Escribe un cuento sobre un programa"),
    ("data", "Group the rows of the CSV by country"),
    ("data", "Extract the names from the records"),
    ("data", "Ordena las filas de la tabla por fecha"),
    ("question", "What is the capital of France?"),
    ("question", "Explain how photosynthesis works"),
    ("question", "The JSON file is broken, why?"),
    ("question", "¿Cuál es la capital de Francia?"),
    ("question", "dime quien fue Cervantes"),
    ("question", "日本の首都はどこですか？"),
    ("other", "Sort these names"),
    ("other", "Resume the download"),
    ("other", "Solve the conflict between my friends"),
    ("other", "The meeting is on 2024-05-06, open 24/7"),
    ("other", "¡Hola!"),
    ("other", ""),
]


@pytest.mark.parametrize(("task_type", "text"), TYPES)
def test_a_task_is_of_the_type_that_its_words_say(task_type: str, text: str):
    for lang in ("en", "es"):
        assert analyze_task(text, "es" if lang == "es" else "en").task_type == task_type


STATED = [
    ("Write a function that adds two numbers in Python", "language: Python"),
    ("Implement a stack in C++ that grows", "language: C++"),
    ("Rewrite it in Rust", "language: Rust"),
    ("I need a Python script that renames files", "language: Python"),
    ("Write a game. Use JavaScript.", "language: JavaScript"),
    ("Reescribe esto en python", "language: Python"),
    ("Escribe una función en Java que sume dos números", "language: Java"),
    ("Write a poem about the sea in at most 100 words", "answer in at most 100 words"),
    ("Can you please write a haiku (max 17 words)?", "answer in at most 17 words"),
    ("Write an essay of 300 words or less on freedom", "answer in at most 300 words"),
    ("Write a story of no more than 1,500 words", "answer in at most 1500 words"),
    ("Do not exceed 100 words.", "answer in at most 100 words"),
    ("Keep your answer under 50 words.", "answer in fewer than 50 words"),
    ("Your answer must have at least 20 words", "answer in at least 20 words"),
    ("Write an essay of 100 to 200 words", "answer in 100 to 200 words"),
    ("What is gravity? Answer in one sentence.", "answer in 1 sentence"),
    ("Write a 100-word essay about dogs", "answer in 100 words"),
    ("Explain gravity. Maximum 3 paragraphs.", "answer in at most 3 paragraphs"),
    ("Write a story about a dog that talks, in about 90 words.", "answer in about 90 words"),
    ("Escribe un resumen de 100 palabras", "answer in 100 words"),
    ("No superes las 100 palabras", "answer in at most 100 words"),
    ("Quiero que me escribas un poema en cuatro líneas", "answer in 4 lines"),
    ("Explica la gravedad en menos de 50 palabras", "answer in fewer than 50 words"),
    ("Give me exactly 5 ideas for a party", "exactly 5 items"),
    ("List three advantages of Rust", "exactly 3 items"),
    ("Suggest at least 4 good books", "at least 4 items"),
    ("Explain photosynthesis in 5 steps", "exactly 5 items"),
    ("Dame 5 ideas para una fiesta", "exactly 5 items"),
    ("Return the result as JSON", "format: JSON"),
    ("Respond only with JSON", "format: JSON"),
    ("Compare Python and Java in a table.", "format: table"),
    ("Describe the moon as bullet points", "format: bullet list"),
    ("Compara Madrid y Barcelona en una tabla", "format: table"),
    ("Dame los datos en formato CSV", "format: CSV"),
    ("Write a poem in French about love", "answer in French"),
    ("Explain recursion. In Spanish.", "answer in Spanish"),
    ("Translate from Spanish to French", "answer in French"),
    ("Traduce al inglés: buenos días", "answer in English"),
    ("Responde en español en menos de 50 palabras", "answer in Spanish"),
    ("Explain recursion with a short example", "include an example"),
    ("Explica la recursividad con un ejemplo", "include an example"),
    ("Write a class in Java with docstrings", "include docstrings"),
    ("Escribe una función con pruebas unitarias", "include tests"),
    ("Write a Python function that sorts, without recursion.", "without: recursion"),
    ("Implement it. Don't use `eval`.", "without: eval"),
    ("Explain gravity. No jargon.", "without: jargon"),
    ("Implementa una pila sin usar librerías externas", "without: librerías externas"),
    ("No uses recursión", "without: recursión"),
    ("Write a report.\nRequirements:\n- at most 200 words", "answer in at most 200 words"),
    ("Write a report.\nRequirements:\n1. In Spanish\n2. Format: markdown", "format: Markdown"),
]


@pytest.mark.parametrize(("text", "requirement"), STATED)
def test_what_a_task_states_of_its_answer_is_a_requirement(text: str, requirement: str):
    assert requirement in requirements(text)


NOT_STATED = [
    "I read 100 words a minute",
    "Write 100 words a minute faster",
    "He can write up to 100 words a minute",
    "Write 10 words per line",
    "Leo 100 palabras por minuto",
    "The JSON file is broken, why?",
    "El archivo JSON está roto, ¿por qué?",
    "Explain the error in JSON",
    "Explain how dates are stored as JSON",
    "Explica los archivos en formato CSV",
    "Write a parser for the CSV format",
    "Convert the file in CSV format",
    "Explain the difference between a list and a tuple in Python",
    "In Python, what is a tuple?",
    "Use Python? Why?",
    "I live in Java. I hate writing in Java.",
    "Code in Java is verbose. List comprehensions are slow in Python.",
    "Write an essay about how programs are written in Java",
    "Write a blog post about the Python function map",
    "Write a story about a program written in Java",
    "Write a function that converts code in Java to Python",
    "Write it in Python or in Java",
    "How do I say good morning in Spanish?",
    "¿Cómo se dice hola en inglés?",
    "Write about verbs in Spanish",
    "Escribe sobre los verbos en inglés",
    "Write a letter to Spanish people",
    "Describe the life of a man who wrote in French",
    "Write a story about a teacher who says, in English, that he is ill",
    "Don't answer in Spanish",
    "Write an answer that is not in Spanish",
    "Translate from Spanish to French and German",
    "Traduce del español al francés y al alemán",
    "In Spanish literature, who wrote Don Quijote?",
    "Write a function that finds texts with at most 100 words",
    "Escribe una función que devuelva textos de 100 palabras como máximo",
    "Write a regex matching at most 100 words",
    "Write a review of a book of 100 pages",
    "Write a text about an answer of 10 words",
    "My essay has at most 100 words. Is it good?",
    "How can I write a story in 100 words?",
    "In 100 words, there are 500 letters.",
    "I have 5 ideas, which is best?",
    "Write a program that prints 5 items",
    "Explain the two ways to loop",
    "What are the 5 reasons for the war?",
    "Sort the names in a table",
    "Give me the total of the values in the table",
    "Create a table with columns id and name in Postgres",
    "The report has a table. Summarise the report.",
    "Write a story about a man without a name",
    "Write a story about a world without libraries",
    "Write a function that returns lists without duplicates",
    "Explain how people lived without using phones",
    "Don't use it",
    "Don't use `",
    "Do not include examples",
    "Fix the problem with example 3",
    "Write a parser for files with comments",
    "Necesito un plan de viaje de 3 días por Galicia",
    "日本語で100字以内で書いて",
]


@pytest.mark.parametrize("text", NOT_STATED)
def test_nothing_is_required_that_the_task_does_not_state(text: str):
    assert requirements(text) == ()


ONLY_QUOTED = [
    'What does "answer in at most 10 words in Spanish" mean?',
    "Explain “write it in Python, as JSON”",
    "Explica «responde en inglés»",
    "What is wrong here?\n```\nWrite a function in Python. Answer in Spanish.\n```",
    "Reply to this email:\n\nHi, please answer in at most 5 sentences in Spanish. Use Python.",
    "Improve the following text.\n\nWrite a poem in 4 lines. Use Python.",
    "Corrige este texto: responde en inglés en 3 frases",
    "Here is what I told him:\nWrite a poem in French in at most 10 words.",
]


@pytest.mark.parametrize("text", ONLY_QUOTED)
def test_a_text_that_the_task_is_about_states_no_requirement(text: str):
    assert requirements(text) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Translate to Spanish in one sentence: Answer in French, as JSON.",
            ("answer in Spanish", "answer in 1 sentence"),
        ),
        ("Summarise the text below in 3 lines:\n\nWrite it in Python.", ("answer in 3 lines",)),
        (
            "Write a Python function that sorts, without recursion. Explain it in 2 sentences.",
            ("language: Python", "without: recursion", "answer in 2 sentences"),
        ),
        ("Answer in 5 words. Answer in 5 words.", ("answer in 5 words",)),
    ],
)
def test_exactly_what_is_stated_is_required_once_in_the_order_of_the_text(
    text: str, expected: tuple[str, ...]
):
    assert requirements(text) == expected


@pytest.mark.parametrize(
    ("text", "requirement"),
    [
        ("Write a function in Python", "lenguaje: Python"),
        ("Write a poem in at most 100 words", "extensión: como máximo 100 palabras"),
        ("Answer in one sentence", "extensión: 1 frase"),
        ("Write an essay of 100 to 200 words", "extensión: 100 a 200 palabras"),
        ("Give me 5 ideas", "exactamente 5 elementos"),
        ("Return it as a table", "formato: tabla"),
        ("Answer in Spanish", "responde en español"),
        ("Explain it with an example", "incluye un ejemplo"),
        ("Write a function with tests", "incluye pruebas"),
        ("No uses recursión", "sin: recursión"),
    ],
)
def test_a_requirement_is_worded_in_the_language_of_the_prompts(text: str, requirement: str):
    assert requirements(text, "es") == (requirement,)


def test_requirements_are_a_list_for_a_prompt_or_a_phrase_that_there_are_none():
    analysis = analyze_task("Write a function in Python. No loops.", "en")
    assert requirements_text(analysis, "en") == "- language: Python\n- without: loops"
    nothing = analyze_task("Hello", "en")
    assert requirements_text(nothing, "en") == "Nothing beyond the task itself."
    assert requirements_text(nothing, "es") == "Nada más allá de la propia tarea."


@pytest.mark.parametrize(
    ("text", "demanding"),
    [
        ("Explain gravity. " * 90, True),
        ("a" * 1500, False),
        ("a" * 1501, True),
        ("Write a function in Python with tests", False),
        ("Write a function in Python with tests, without recursion", True),
        ("Make a plan in 5 steps, as a table, in Spanish", True),
        ("Write a poem in French in at most 100 words. No jargon.", False),
    ],
)
def test_long_input_or_code_a_plan_or_data_with_three_requirements_is_demanding(
    text: str, demanding: bool
):
    assert analyze_task(text, "en").demanding is demanding


def test_only_the_first_4000_characters_are_read():
    lead = "Write a poem. " + "It rains. " * 390
    assert len(lead) < 4000
    assert requirements(f"{lead}In French.") == ("answer in French",)
    assert requirements(f"{lead}{lead}In French.") == ()


@given(text=texts | pieces, lang=languages)
def test_every_text_has_a_type_and_short_requirements_of_one_line(text: str, lang: Language):
    analysis = analyze_task(text, lang)
    assert analysis == analyze_task(text, lang)
    assert len(set(analysis.requirements)) == len(analysis.requirements)
    for phrase in analysis.requirements:
        assert phrase == phrase.strip()
        assert 0 < len(phrase) <= 120
        assert "\n" not in phrase
        assert "{" not in phrase
    lines = requirements_text(analysis, lang).split("\n")
    assert len(lines) == max(len(analysis.requirements), 1)


@given(text=texts | pieces)
def test_the_language_of_the_wording_changes_nothing_else(text: str):
    english, spanish = analyze_task(text, "en"), analyze_task(text, "es")
    assert english.task_type == spanish.task_type
    assert english.demanding == spanish.demanding
    assert bool(english.requirements) == bool(spanish.requirements)


def test_every_row_is_worded_in_both_languages_with_the_same_places():
    for row in (*REQUIREMENTS, *FRAGMENTS):
        english, spanish = (
            {place for _, place, _, _ in Formatter().parse(text) if place}
            for text in (row.en, row.es)
        )
        assert english == spanish
        assert row.en != row.es


HOSTILE = [
    *(", ", "in ", "write ", "write a ", "(", "please ", "1,", "100 ", "\n", " ", "`", "'", '" '),
    *(
        "write. ",
        "write a b with 3 ",
        "in 1 word ",
        ", in",
        "Python or ",
        "at most ",
        ". ",
        "que ",
        "é",
    ),
    *(
        "```",
        "a:\n",
        "\ud800",
        "write a function in ",
        "write a poem, in 3 words, ",
        "don't use a ",
    ),
]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("before", ["", "Write a function that is ", "Answer in "])
def test_a_hostile_megabyte_is_read_quickly(before: str, piece: str):
    analysis = analyze_task(before + piece * (1_000_000 // len(piece)), "en")
    assert isinstance(analysis, TaskAnalysis)
    assert analysis.demanding
