"""What voters are told about the form of a ballot, and the schemas that they are held to.

The critique comes before the ballot, so that the ballot follows from it. A schema has only keywords
that every host knows: no bounds of numbers and arrays, which some refuse, and every property is
required, as others demand. What a schema leaves open, such as a label that stands twice, is found
when the ballot is read.
"""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from agent_lab.contracts import JsonObject, Language
from agent_lab.deliberation.ballots.ballot import Payload
from agent_lab.deliberation.structured import MOST_POINTS

BallotKind: TypeAlias = Payload | Literal["preference"]
"""What a voter is asked for, and the property of the JSON that has it. `preference`: which of two
answers a judge finds better.
"""
ReplyKind: TypeAlias = BallotKind | Literal["score"]
"""`score`: the points that a judge gives one answer."""

NONE = "none"
"""Stands for a label where a voter names none of them."""

_WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "reason": "your critique in one or two sentences",
        "example": "Reply with one JSON object and nothing else, the critique first, like this:",
        "line": "If you cannot write JSON, end with one line like this one:",
        "none": f'Instead of a letter, "{NONE}" is valid: {{0}}.',
        "choice": "Vote for the best: {0}.",
        "approved": "List all that are good enough, of {0}. An empty list abstains.",
        "ranking": "Order {0} from best to worst, each once. An empty list abstains.",
        "scores": f"Give each of {{0}} a whole number from 0 to {MOST_POINTS}. The same number "
        "for all abstains.",
        "verdict": "Decide which is best: {0}.",
        "preference": "Decide which is better: {0}.",
        "none_choice": "you abstain",
        "none_verdict": "none deserves to win",
        "none_preference": "neither is better",
        "repair": "Your reply could not be read: it has no valid `{0}`. Reply with the JSON object "
        "alone, for that part only: {1}",
        "letter": "letter",
        "number": "number",
    },
    "es": {
        "reason": "tu crítica en una o dos frases",
        "example": "Contesta con un único objeto JSON y nada más, primero la crítica, así:",
        "line": "Si no puedes escribir JSON, termina con una línea como esta:",
        "none": f'En lugar de una letra vale "{NONE}": {{0}}.',
        "choice": "Vota por la mejor: {0}.",
        "approved": "Enumera todas las que bastan, de {0}. Una lista vacía es una abstención.",
        "ranking": "Ordena {0} de mejor a peor, cada una una vez. Una lista vacía es una "
        "abstención.",
        "scores": f"Da a cada una de {{0}} un entero de 0 a {MOST_POINTS}. El mismo para todas es "
        "una abstención.",
        "verdict": "Decide cuál es la mejor: {0}.",
        "preference": "Decide cuál es mejor: {0}.",
        "none_choice": "te abstienes",
        "none_verdict": "ninguna merece ganar",
        "none_preference": "ninguna es mejor",
        "repair": "Tu respuesta no se pudo leer: no tiene un `{0}` válido. Contesta solo con el "
        "objeto JSON, solo con esa parte: {1}",
        "letter": "letra",
        "number": "número",
    },
}
LINE_WORDS: Final[dict[BallotKind, dict[Language, str]]] = {
    "choice": {"en": "VOTE", "es": "VOTO"},
    "approved": {"en": "APPROVED", "es": "APRUEBO"},
    "ranking": {"en": "RANKING", "es": "ORDEN"},
    "scores": {"en": "SCORES", "es": "NOTAS"},
    "verdict": {"en": "VERDICT", "es": "VEREDICTO"},
    "preference": {"en": "PREFERENCE", "es": "PREFERENCIA"},
}
"""What opens the line that stands in for JSON; readers know those of every language."""


def ballot_schema(
    kind: BallotKind, labels: Sequence[str], *, with_reason: bool = True
) -> JsonObject:
    """The schema that a voter is held to, where its model can be.

    Abstaining is `"none"` for one label, an empty list for several, equal numbers for scores.

    Args:
        kind: What the voter is asked for.
        labels: The names of the options; no two differ only in case.
        with_reason: Whether a critique is asked for; not where only the ballot is asked again.
    """
    one: JsonObject = {"type": "string", "enum": [*labels, NONE]}
    several: JsonObject = {"type": "array", "items": {"type": "string", "enum": [*labels]}}
    points: JsonObject = {"type": "integer", "enum": list(range(MOST_POINTS + 1))}
    parts: dict[str, JsonObject] = {
        "approved": several,
        "ranking": several,
        "scores": _closed(dict.fromkeys(labels, points)),
    }
    reason: JsonObject = {"reason": {"type": "string"}} if with_reason else {}
    return _closed({**reason, kind: parts.get(kind, one)})


def _closed(properties: JsonObject) -> JsonObject:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


PREFERENCE_SCHEMA: Final[JsonObject] = ballot_schema("preference", ("A", "B"))
"""What a judge of two answers is held to, where its model can be."""


def ballot_instructions(kind: BallotKind, labels: Sequence[str], lang: Language) -> str:
    """How to reply, with an example; short enough for small models.

    The example has gaps: small models copy one that is a ballot, and would so cast ours.

    Args:
        kind: What the voter is asked for.
        labels: The names of the options.
        lang: The language of the run.
    """
    words = _WORDS[lang]
    value, line = _example(kind, labels, lang)
    asked = [words[kind].format(", ".join(labels))]
    if f"none_{kind}" in words:
        asked.append(words["none"].format(words[f"none_{kind}"]))
    return "\n".join(
        (
            " ".join(asked),
            f'{words["example"]} {{"reason": "{words["reason"]}", "{kind}": {value}}}',
            f"{words['line']} {LINE_WORDS[kind][lang]}: {line}",
        )
    )


def _example(kind: BallotKind, labels: Sequence[str], lang: Language) -> tuple[str, str]:
    """A ballot with gaps, as JSON has it and as a line has it."""
    letter, number = f"<{_WORDS[lang]['letter']}>", f"<{_WORDS[lang]['number']}>"
    if kind == "scores":
        points = ", ".join(f'"{label}": {number}' for label in labels)
        return f"{{{points}}}", ", ".join(f"{label}={number}" for label in labels)
    if kind == "ranking":
        gaps = [letter] * len(labels)
        return "[" + ", ".join(f'"{gap}"' for gap in gaps) + "]", " > ".join(gaps)
    if kind == "approved":
        return f'["{letter}", …]', f"{letter}, …"
    return f'"{letter}"', letter


def repair_instructions(kind: ReplyKind, lang: Language) -> str:
    """What to say in the one further call, if a reply could not be read or breaks a rule."""
    words = _WORDS[lang]
    letter, number = f"<{words['letter']}>", f"<{words['number']}>"
    gaps: dict[ReplyKind, str] = {
        "approved": f'["{letter}", …]',
        "ranking": f'["{letter}", …]',
        "scores": f'{{"{letter}": {number}, …}}',
        "score": number,
    }
    gap = gaps.get(kind, f'"{letter}"')
    return words["repair"].format(kind, f'{{"{kind}": {gap}}}')
