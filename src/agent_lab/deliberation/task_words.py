"""The words, English and Spanish in one table, that the rules for tasks are made of.

A pattern meets one sentence without accents, since many people write none; ñ is a letter of its own
and stays.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple


class Named(NamedTuple):
    """What a pattern means in both languages; `one|many` where the number matters."""

    pattern: str
    en: str
    es: str


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern, compiled when it is first needed: they are many, and few commands need them."""
    return re.compile(pattern, re.IGNORECASE)


def one_of(names: Iterable[Named]) -> str:
    """The patterns of some names as alternatives."""
    return "|".join(name.pattern for name in names)


NUMBERS = {
    **{"a single": 1, "una sola": 1, "un solo": 1, "one": 1, "two": 2, "three": 3, "four": 4},
    **{"five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "twelve": 12},
    **{"una": 1, "un": 1, "dos": 2, "tres": 3, "cuatro": 4, "cinco": 5, "seis": 6, "siete": 7},
    **{"ocho": 8, "nueve": 9, "diez": 10, "doce": 12, "twenty": 20, "veinte": 20, "fifty": 50},
}
UNITS = (
    Named(r"words?|palabras?", "word|words", "palabra|palabras"),
    Named(r"sentences?|frases?|oraci(?:on|ones)", "sentence|sentences", "frase|frases"),
    Named(r"lines?|lineas?", "line|lines", "línea|líneas"),
    Named(r"paragraphs?|parrafos?", "paragraph|paragraphs", "párrafo|párrafos"),
    Named(r"characters?|caracter(?:es)?", "character|characters", "carácter|caracteres"),
)
ITEM = Named("", "item|items", "elemento|elementos")
TONGUES = (
    Named(r"english|ingles", "English", "inglés"),
    Named(r"spanish|espa[nñ]ol|castellano", "Spanish", "español"),
    Named(r"french|frances", "French", "francés"),
    Named(r"german|aleman", "German", "alemán"),
    Named(r"italian|italiano", "Italian", "italiano"),
    Named(r"portuguese|portugues", "Portuguese", "portugués"),
    Named(r"catalan", "Catalan", "catalán"),
    Named(r"chinese|chino", "Chinese", "chino"),
    Named(r"japanese|japones", "Japanese", "japonés"),
    Named(r"russian|ruso", "Russian", "ruso"),
    Named(r"arabic|arabe", "Arabic", "árabe"),
)
FORMATS = (
    *(Named(name.lower(), name, name) for name in ("JSON", "CSV", "YAML", "XML", "HTML")),
    Named(r"markdown", "Markdown", "Markdown"),
    Named(r"table|tabla", "table", "tabla"),
    Named(r"bullet(?:ed)? list|bullet points|lista con vi[nñ]etas", "bullet list", "viñetas"),
    Named(r"numbered list|lista numerada", "numbered list", "lista numerada"),
)
EXTRAS = (
    Named(r"(?:unit )?tests|pruebas unitarias|tests unitarios", "tests", "pruebas"),
    Named(r"comments|comentarios", "comments", "comentarios"),
    Named(r"docstrings?", "docstrings", "docstrings"),
    Named(r"type hints|anotaciones de tipos?", "type hints", "anotaciones de tipo"),
)
LANGUAGES = (
    *("Python", "JavaScript", "TypeScript", "Java", "C++", "C#", "Golang", "PHP", "Kotlin", "SQL"),
    *("Haskell", "Bash", "PowerShell", "Lua", "Elixir", "MATLAB", "Fortran", "COBOL", "HTML"),
)
# Common words as well, hence only with their capital.
CAPITALISED = ("Rust", "Go", "Ruby", "Swift", "Scala", "Perl", "Julia", "Dart", "C", "R")

START = (
    r"(?:(?:hi|hello|hey|please|kindly|now|then|also|finally|so|and|can you|could you|would you"
    r"|will you|help me(?: to)?|i(?:'d like| want| need| would like) you to|hola|buenas|por favor"
    r"|ahora|luego|tambien|y|(?:me )?(?:puedes|podrias|puede|podria)|ayudame a|quiero que"
    r"|necesito que)\b[,:]?\s+)*+(?:me\s+)?"
)
MAKE = (
    r"(?:write|create|make|build|generate|give|provide|draft|compose|prepare|produce|design|develop"
    r"|show|i need|i want|i'd like|escrib(?:e|a|as|ir)|crea[rs]?|haz|hagas?|hacer|constru(?:ye|ir)"
    r"|genera[rs]?|da|des|dar|redact(?:a|ar|es)|prepar(?:a|ar|es)|dise[nñ](?:a|ar|es)"
    r"|desarroll(?:a|ar|es)|muestra|necesito|quiero)(?:me)?"
)
PREPOSITION = r"(?:about|on|of|for|to|from|with|in|by|sobre|de|del|para|con|en|al|and|y|or|o)\b"
# An article and adjectives between a verb and its object.
ITS = rf"\s+(?:(?!{PREPOSITION})[\w+#'-]+\s+){{0,4}}?"
A_LANGUAGE = rf"(?:{'|'.join(map(re.escape, LANGUAGES))}|(?-i:{'|'.join(CAPITALISED)}))(?![\w+#])"
# Several of a kind: of "in French and German" neither is what the answer is in.
SEVERAL = "|".join(
    rf"\b(?:{kind})(?:\s*(?:,?\s*(?:and|or|y|o)\b|,|/)\s*(?:(?:to|in|as|al|en|como)\s+)?(?:{kind}))+"
    for kind in (A_LANGUAGE, rf"(?:{one_of(TONGUES)})\b", rf"(?:{one_of(FORMATS)})\b")
)
PROGRAM = (
    r"(?:functions?|scripts?(?! for an? (?:play|movie|film|video))|code|algorithms?|apis?|parsers?"
    r"|endpoints?|regex(?:es)?|snippets?|(?:class|method|module|program)(?= (?:to|that|which)\b)"
    r"|sql|queries|query(?! letter)|apps?|web ?(?:site|page|app)s?|bots?|crawlers?|scrapers?"
    r"|compilers?|unit tests|funcion(?:es)?|codigo|algoritmos?|(?:clase|metodo|modulo)(?= que\b)"
    r"|programas?(?= que\b)|aplicacion(?:es)?|consultas?|pruebas unitarias|pagina web)\b"
)
CODE = (
    rf"{MAKE}{ITS}(?:{PROGRAM}|{A_LANGUAGE}|(?:class|module|program|clase|modulo|programa)"
    rf" (?:in|using|en|con) {A_LANGUAGE})|(?:implement|refactor|debug|implementa|refactoriza"
    r"|depura)\b|(?:code|program)\s+(?:an?|the)\b|programa\s+(?:una?|el|la)\b"
    r"|(?:translate|convert|port|migrate|rewrite|traduce|convierte|porta|migra|reescribe)\b.*?"
    rf"\b(?:to|into|in|a|en)\s+{A_LANGUAGE}|(?:fix|correct|optimi[sz]e|improve|explain|review"
    r"|document|test|simplify|corrige|optimiza|mejora|explica|revisa|documenta|prueba|arregla)"
    rf"\b.*?\b(?:{PROGRAM}|bug)"
)
ANSWER = r"(?:answer|respond|reply|return|output|responde|contesta|devuelve(?:me)?)"
THE_ANSWER = (
    r"(?:the|your|la|tu|el)\s+(?:answer|response|reply|output|result|text|respuesta|salida"
    r"|resultado|texto)\s+(?:must|should|has to|debe|tiene que)\s+(?:(?:be|have|ser|tener)\s+)?"
)
LIST = (
    r"(?:list|name|suggest|propose|find|tell|enumerate|lista|nombra|menciona|sugiere|propon|dime"
    r"|cita|enumera|busca)(?:me)?"
)
_DO = (
    r"(?:implement|refactor|code|program|port|convert|migrate|rewrite|rephrase|export|solve|prove"
    r"|calculate|compute|fix|plan|keep|limit|include|add|outline|organi[sz]e|put|present|compare"
    r"|explain|describe|define|summari[sz]e|sum up|translate|implementa|programa|porta|convierte"
    r"|migra|reescribe|exporta|resuelve|demuestra|calcula|arregla|refactoriza|planifica|manten"
    r"|limita|incluye|a[nñ]ade|organiza|pon|presenta|compara|explica(?:me)?|define|resum(?:e|ir|as)"
    r"|traduc(?:e|ir)|traduzcas?)"
)
_DONT = r"(?:do not|don't|never|no)\s+(?:use|exceed|us(?:es|ar)|utilices|superes|excedas)"
ASKS = (
    rf"{START}(?:(?:{MAKE}|{ANSWER}|{LIST}|{_DO}|{_DONT})\b|avoid using\b|evita usar\b)"
    rf"|{THE_ANSWER}"
)
