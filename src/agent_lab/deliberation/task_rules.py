"""How texts say what they require of an answer: one row per way to say it.

Precision before recall. A row that fits "in 100 words" must not fit "100 words a minute", nor "in a
table" the table that the task is about.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from agent_lab.deliberation.task_words import (
    A_LANGUAGE,
    ANSWER,
    EXTRAS,
    FORMATS,
    ITS,
    LIST,
    MAKE,
    NUMBERS,
    PREPOSITION,
    PROGRAM,
    START,
    THE_ANSWER,
    TONGUES,
    UNITS,
    one_of,
)


class Requirement(NamedTuple):
    """What a sentence requires when the pattern matches."""

    pattern: str
    en: str
    """The phrase; the pattern's groups fill its places."""
    es: str
    of: Literal["all", "code", "prose"] = "all"
    """The sentences that it is for: those that ask for code, the others, or all."""
    whole: bool = False
    """Whether a relative clause counts, too."""


class _Bound(NamedTuple):
    before: str
    """What stands before the number,"""
    after: str
    """or else after what is counted."""
    en: str
    es: str


# Between the verb of a sentence and what limits the answer.
_LEAD = (
    r"(?:.*?\b(?:in|en)\s+|(?>.*(?:,\s|\())\s*(?:(?:of|with|de|con)\s+)?"
    rf"|{START}{MAKE}\s+(?:an?|the|una?|el|la)\s+"
    rf"(?:(?:(?!{PREPOSITION})\w+\s+){{1,3}}?(?:with|of|con|de)\s+)?"
    rf"|{START}(?:write|escrib\w+|{ANSWER})\s+|{THE_ANSWER}"
    rf"|{START}(?:keep|limit|limita|manten)\s+(?:it|(?:your|the|la|tu)\s+\w+)\s+(?:to\s+|a\s+)?)"
)
_N = rf"(?P<n>\d{{1,3}}(?:[.,]\d{{3}}){{1,2}}|\d{{1,6}}|{'|'.join(NUMBERS)})[\s-]+"
# No rate ("100 words a minute"), nor a limit of each part ("10 words per line").
_UNIT = (
    rf"(?P<unit>{one_of(UNITS)})\b"
    r"(?!\s*(?:/|(?:an?|per|each|every|por|al?|cada)\b))"
)
_ITEMS = (
    r"(?:ideas?|examples?|ways?|reasons?|tips?|items?|(?:bullet )?points?|names?|titles?|questions?"
    r"|steps?|(?:dis)?advantages?|benefits?|drawbacks?|options?|facts?|books?|suggestions?"
    r"|alternatives?|differences?|ejemplos?|maneras?|formas?|razon(?:es)?|consejos?|elementos?"
    r"|puntos?|nombres?|titulos?|preguntas?|pasos?|(?:des)?ventajas?|beneficios?|opcion(?:es)?"
    r"|datos|libros?|sugerencias?|alternativas?|diferencias?)\b"
)
_FIRST = r"\s+(?:(?:me|us|nos|the|los|las|top|best|main|mejores|principales)\s+)*+"
_BOUNDS = (
    _Bound(
        r"(?:at most|no more than|(?:a )?max(?:imum|\.)?(?: of)?|up to|como maximo|a lo sumo"
        r"|no mas de|(?:un )?max(?:imo|\.)?(?: de)?|hasta)\s+",
        r",?\s+(?:or (?:less|fewer)|max(?:imum)?|at most|como maximo|maximo|o menos)\b",
        en="at most ",
        es="como máximo ",
    ),
    _Bound(r"(?:under|below|less than|fewer than|menos de)\s+", "", "fewer than ", "menos de "),
    _Bound(
        r"(?:at least|(?:a )?min(?:imum|\.)?(?: of)?|al menos|por lo menos|(?:como )?minimo)\s+",
        r",?\s+(?:or more|at least|minimum|como minimo|minimo|o mas)\b",
        en="at least ",
        es="al menos ",
    ),
    _Bound(r"(?:exactly|exactamente)\s+", r"\s+exact[ao]s\b", "exactly ", "exactamente "),
    _Bound(r"(?:about|around|approximately|un[ao]s)\s+", "", "about ", "alrededor de "),
    _Bound(
        r"(?:between |entre )?(?P<low>\d{1,6})\s*(?:-|–|to|and|y|a)\s*", "", "{low} to ", "{low} a "
    ),
)
_EXACT = _Bound("", "", "exactly ", "exactamente ")
_PLAIN = _Bound("", "", "", "")
_ENDS = r"(?=\s*(?:$|[.,;:!?)(]|(?:and|with|using|about|in|y|con|usando|sobre|en)\b))"


def _row(pattern: str, en: str, es: str, **options: Any) -> Requirement:
    return Requirement(pattern, en, es, **options)


def _amounts() -> Iterator[tuple[str, _Bound]]:
    for bound in _BOUNDS:
        yield bound.before + _N + _UNIT, bound
        if bound.after:
            yield _N + _UNIT + bound.after, bound
    yield rf"{_N}{_UNIT}(?!{'|'.join(bound.after for bound in _BOUNDS if bound.after)})", _PLAIN


_LANGUAGE = rf"(?P<language>{A_LANGUAGE})"
_TONGUE = rf"(?P<tongue>{one_of(TONGUES)}){_ENDS}"
_FORMAT = rf"(?:(?:an?|una?)\s+)?(?P<format>{one_of(FORMATS)}){_ENDS}"
_PROGRAM = rf"(?:{PROGRAM}|class|programa?|module|clase|modulo|it)\b"
# What is in a language, and is not what is to be written.
_NO_INPUT = (
    r"(?<!\bnot )(?<!\bwritten )(?<!\bused )(?<!\bcode )(?<!\bfiles )"
    r"(?<!\bescrit[oa] )(?<!\bcodigo )(?<!\barchivos )"
)
# From the verb on, without what the text would be about or what belongs to something else.
_STRAIGHT = r"(?:(?!\b(?:about|sobre|on|how|why|what)\b).)*?"
_NO_TOPIC = r"(?:(?!\b(?:about|sobre|on|of|de|verbs?|words?|verbos?|palabras?)\b).)*?"
_OWN = r"(?:(?!\b(?:about|sobre|on|of|de|for|para|to|from)\b).)*?"
_THING = (
    r"(?P<what>recursion|recursividad|loops|bucles|(?:external |third-party )?(?:libraries|packages"
    r"|dependencies)|(?:librerias|bibliotecas|dependencias)(?: externas)?|regular expressions"
    r"|expresiones regulares|imports|comments|comentarios|jargon|jerga|tecnicismos|emojis?"
    r"|explanations?|explicaciones|lambdas|formulas)\b"
)
_WORD = (
    rf"(?!{PREPOSITION}|(?:it|this|them|more|less|est\w+|es[ao]s?|mas|menos)\b)"
    r"[`.]?\w[\w+#.]{0,29}`?"
)
_ANYTHING = rf"(?P<what>{_WORD}(?:\s+{_WORD}){{0,2}}?)(?=\s*(?:$|[,;:!?)]|(?:and|or|y|o|ni)\b))"

_IN_LANGUAGE = ("language: {language}", "lenguaje: {language}")
_IN_TONGUE = ("answer in {tongue}", "responde en {tongue}")
_IN_FORMAT = ("format: {format}", "formato: {format}")
_WITHOUT = ("without: {what}", "sin: {what}")


def _limits(lead: str, **options: Any) -> Iterator[Requirement]:
    for amount, bound in _amounts():
        said = (f"answer in {bound.en}{{n}} {{unit}}", f"extensión: {bound.es}{{n}} {{unit}}")
        yield _row(lead + amount, *said, **options)


def _counts() -> Iterator[Requirement]:
    for bound in (*_BOUNDS, _EXACT):
        count = rf"{bound.before}{_N}(?:(?!{PREPOSITION})\w+\s+)?{_ITEMS}"
        said = (f"{bound.en}{{n}} {{item}}", f"{bound.es}{{n}} {{item}}")
        yield _row(rf"{START}(?:{MAKE}|{LIST}){_FIRST}{count}", *said)
        yield _row(rf"{_STRAIGHT}\b(?:in|as|en|como)\s+{count}", *said, of="prose")


REQUIREMENTS = (
    _row(rf"{START}{MAKE}{ITS}{_LANGUAGE}\s+{_PROGRAM}", *_IN_LANGUAGE),
    _row(
        rf"{START}(?:{MAKE}{ITS}{_PROGRAM}\s+|(?:implement|rewrite|implementa|reescribe){ITS})"
        rf"(?:in|using|en|usando)\s+{_LANGUAGE}",
        *_IN_LANGUAGE,
    ),
    _row(
        rf"{START}(?:{MAKE}{ITS}{_PROGRAM}|(?:implement|rewrite|implementa|reescribe|(?:code|program)"
        rf"\s+(?:an?|the)|programa\s+(?:una?|el|la))\b).*?\b{_NO_INPUT}(?:in|using|en|usando)\s+"
        rf"{_LANGUAGE}(?=\s*(?:$|[.,;:!?)(]|(?:and|with|without|y|con|sin)\b))",
        *_IN_LANGUAGE,
        whole=True,
    ),
    _row(
        rf"{START}(?:translate|convert|port|migrate|traduce|convierte|porta|migra)\b.*?\b"
        rf"(?:to|into|a)\s+{_LANGUAGE}",
        *_IN_LANGUAGE,
    ),
    _row(
        rf"{START}(?:translate|traduc\w+|traduzcas?)\b.*?\b(?:to|into|in|al?|en)\s+{_TONGUE}",
        *_IN_TONGUE,
    ),
    _row(
        rf"(?:{START}(?:{ANSWER}|write|draft|summari[sz]e|escrib\w+|redacta|resum\w+)\b{_NO_TOPIC}"
        rf"(?<!not )|(?>.*,)\s+)\b(?:in|en)\s+{_TONGUE}",
        *_IN_TONGUE,
    ),
    _row(rf"{THE_ANSWER}(?:in|en)\s+{_TONGUE}", *_IN_TONGUE),
    _row(
        rf"(?:{START}(?:do not|don't|never|no)|{THE_ANSWER}not)\s+(?:exceed|superes|excedas)\s+"
        rf"(?:l[ao]s\s+)?{_N}{_UNIT}",
        *("answer in at most {n} {unit}", "extensión: como máximo {n} {unit}"),
    ),
    *_limits(_LEAD, of="prose"),
    *_counts(),
    _row(
        rf"{START}{ANSWER}\s+(?:(?:only|just|solo|me|it|them|(?:the|your|el|la|los|las|tu)\s+\w+)"
        rf"\s+)*(?:(?:with|in|as|con|en|como)\s+)?(?:formato\s+)?{_FORMAT}",
        *_IN_FORMAT,
    ),
    _row(
        rf"{_STRAIGHT}(?<!such )(?<!stored )(?<!saved )\b(?:as|como)\s+{_FORMAT}",
        *_IN_FORMAT,
        of="prose",
    ),
    _row(
        rf"{START}(?:{ANSWER}|presenta|da(?:me)?)\b{_STRAIGHT}\ben formato\s+{_FORMAT}", *_IN_FORMAT
    ),
    _row(
        rf"{START}(?:summari[sz]e|compare|present|put|organi[sz]e|resume|compara|presenta|pon"
        r"|organiza)\b.*?\b(?:in|en)\s+(?:a|una)\s+(?:table|tabla)\b(?!\s+of\b)",
        *("format: table", "formato: tabla"),
    ),
    _row(
        rf"{_STRAIGHT}(?<!not )(?<!n't )(?<!without )(?<!no )\b(?:include|including|add|with|give"
        r"|incluy\w+|a[nñ]ad\w+|con|da|pon)(?:me)?\s+(?:me\s+)?(?:(?:an?|some|one|una?)\s+)?"
        r"(?:(?:short|simple|concrete|brief|usage)\s+)?(?:examples?|ejemplos?)\b(?!\s*\d)",
        *("include an example", "incluye un ejemplo"),
    ),
    _row(
        rf"{START}(?:(?:{MAKE}|implementa?)\b{_OWN}\b(?:including|with|incluyendo|con)|add|include"
        rf"|incluye|a[nñ]ade)\s+(?P<extra>{one_of(EXTRAS)})\b",
        *("include {extra}", "incluye {extra}"),
    ),
    _row(rf"{_STRAIGHT}\b(?:without|sin)\s+(?:(?:any|using|usar|utilizar)\s+)?{_THING}", *_WITHOUT),
    _row(rf".*?\b(?:without using|sin usar|sin utilizar)\s+{_ANYTHING}", *_WITHOUT, of="code"),
    _row(
        rf"{START}(?:(?:do not|don't|never)\s+use|avoid using|no\s+(?:us(?:es|ar)|utilices)"
        rf"|evita usar)\s+{_ANYTHING}",
        *_WITHOUT,
    ),
)
"""Of sentences that ask for something; a row is matched at their start."""

FRAGMENTS = (
    _row(
        r"(?:(?:use|usa|utiliza|in|en)\s+|(?:language|lenguaje)\s*[:=]\s*)(?:only\s+|solo\s+)?"
        rf"{_LANGUAGE}(?:\s+[\d.]+)?",
        *_IN_LANGUAGE,
    ),
    _row(rf"(?:(?:in|en)\s+|(?:language|idioma)\s*[:=]\s*){_TONGUE}", *_IN_TONGUE),
    _row(rf"(?:(?:output )?format|formato)\s*[:=]\s*{_FORMAT}", *_IN_FORMAT),
    _row(rf"(?:no|without|sin)\s+{_THING}", *_WITHOUT),
    *_limits(r"(?:(?:in|en)\s+)?"),
)
"""Of sentences that say nothing else; a row is matched with all of them."""
