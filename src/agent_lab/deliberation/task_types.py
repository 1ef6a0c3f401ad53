"""What kind of task a text is, by how its sentences begin and else by what it holds."""

from collections.abc import Sequence
from typing import Literal

from agent_lab.deliberation.task_words import CODE, ITS, MAKE, START, compiled

TaskType = Literal[
    "code", "math", "translation", "summary", "plan", "writing", "data", "question", "other"
]

_MATHS = (
    r"(?:\d|[=^√∫∑π]|\b(?:equations?|integrals?|derivatives?|polynomials?|probability|primes?|even"
    r"|odd|irrational|integers?|square root|fractions?|triangles?|theorem|ecuacion(?:es)?"
    r"|integral(?:es)?|derivadas?|polinomios?|probabilidad|primos?|par(?:es)?|irracional|enteros?"
    r"|raiz|fracciones|triangulos?|teorema)\b)"
)
_TEXTS = (
    r"(?:essays?|stor(?:y|ies)|poems?|haikus?|letters?|e-?mails?|articles?|posts?|speech|biography"
    r"|tweets?|novel|songs?|lyrics|slogans?|description|dialogue|paragraphs?|sentences?|jokes?"
    r"|ensayos?|cuentos?|historias?|relatos?|poemas?|cartas?|correos?|articulos?|discurso|biografia"
    r"|canci(?:on|ones)|lemas?|descripcion|dialogo|parrafos?|frases?|chistes?|rese[nñ]as?)\b"
)
# What a sentence asks for, by how it begins; the first row that fits holds.
_KINDS: tuple[tuple[TaskType, str], ...] = (
    ("code", CODE),
    ("translation", r"(?:translate|traduc(?:e|ir)|traduzcas?)\b"),
    ("translation", rf"{MAKE}{ITS}(?:translation|traduccion)\b"),
    ("summary", r"(?:summari[sz]e|sum up|sintetiza|resum(?:ir|as))\b"),
    # Without its object it is the English verb, or a curriculum vitae.
    ("summary", r"resume(?: (?:el|la|los|las|lo|est\w+|en|mi|un)\b|:)"),
    ("summary", rf"{MAKE}{ITS}(?:summary|abstract|resumen|sintesis)\b"),
    (
        "plan",
        r"(?:plan|organi[sz]e|planifica|organiza)\s+(?:an?|the|my|our|una?|el|la|mi|nuestr[oa])\b",
    ),
    (
        "plan",
        rf"{MAKE}{ITS}(?:plan|roadmap|itinerary|schedule|timetable|agenda|itinerario|cronograma"
        r"|hoja de ruta|calendario|horario)s?\b",
    ),
    (
        "data",
        r"(?:sort|group|clean|aggregate|analy[sz]e|extract|classify|visuali[sz]e|convert|filter"
        r"|ordena|agrupa|limpia|analiza|extrae|clasifica|convierte|filtra|visualiza)\b.*?\b(?:csv"
        r"|tables?|data ?sets?|data|rows|columns|spreadsheets?|records|json|tablas?|datos|filas"
        r"|columnas|hoja de calculo|registros)\b",
    ),
    ("math", r"(?:calculate|compute|calcula)\b"),
    (
        "math",
        r"(?:prove|solve|differentiate|integrate|factori[sz]e|simplify|evaluate|demuestra|resuelve"
        rf"|deriva|integra|factoriza|simplifica|evalua)\b.*?{_MATHS}",
    ),
    ("writing", rf"{MAKE}{ITS}{_TEXTS}"),
    (
        "writing",
        r"(?:rewrite|rephrase|paraphrase|proofread|reescribe|parafrasea|redacta)\b|(?:correct"
        rf"|improve|corrige|mejora)\b.*?(?:{_TEXTS}|\b(?:text|grammar|spelling|texto|gramatica)\b)",
    ),
)
# What a text holds, where no sentence says what it asks for.
_CUES: tuple[tuple[TaskType, str], ...] = (
    (
        "code",
        r"```|(?-i:\bdef \w+\(|\bfunction \w+\(|\bSELECT\b[^;]*\bFROM\b|\bTraceback \()"
        r"|#include\s*<|\w\(\w*\)[;{]|\bfor \w+ in \w+",
    ),
    (
        "math",
        r"\d\s*[+*×÷^]\s*\d|\d\s*[-/]\s*\d+\s*=|\d\s*% (?:of|de)\b"
        r"|(?:what is|what's|cuanto (?:es|son|da))\s+[-(]?\d",
    ),
    (
        "question",
        rf"[?？¿]|(?:\A|\n){START}(?:what|who|whose|which|when|where|why|how|explain|describe"
        r"|compare|tell me|define|que|quien|cual|cuando|donde|por que|como|cuant[oa]s?"
        r"|explica(?:me)?|compara|dime)\b",
    ),
)


def task_type(text: str, sentences: Sequence[str]) -> TaskType:
    """The kind of a task.

    Args:
        text: All of it, without accents.
        sentences: Its instructions, likewise.
    """
    for sentence in sentences:
        for clause in (sentence, *sentence.split(", ")[1:]):
            kind = sentence_type(clause)
            if kind is not None:
                return kind
    return next((kind for kind, cue in _CUES if compiled(cue).search(text)), "other")


def sentence_type(sentence: str) -> TaskType | None:
    """What a sentence asks for by its beginning; None: nothing that a rule knows."""
    return next(
        (kind for kind, begin in _KINDS if compiled(f"{START}(?:{begin})").match(sentence)), None
    )
