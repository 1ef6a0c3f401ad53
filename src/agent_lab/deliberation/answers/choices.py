"""Which of the options of a question an answer chooses."""

import re
from collections.abc import Sequence
from string import ascii_lowercase
from typing import NamedTuple

from agent_lab.deliberation.answers.normalisation import label_key
from agent_lab.deliberation.answers.plain_text import one_line, plain, unwrapped

_LABELLED = re.compile(
    r"[(\[]?(?P<label>[^\W\d_]|[0-9]{1,2})(?:[)\]]|[.:]?(?=\s|$))(?:\s+(?P<text>\S.*))?", re.DOTALL
)
_NAMED = re.compile(
    r"(?:the\s+|la\s+|el\s+)?(?:(?:option|choice|letter|answer|opci[oó]n|letra|alternativa"
    r"|respuesta)\s+|(?<=la\s))(?=[(\[\"'*]*[a-z0-9]{1,2}\b)",
    re.IGNORECASE,
)
_CHOSEN = re.compile(
    r"[(\[{\"'*]*(?P<label>[^\W\d_]|[0-9]{1,2})[\"'*]*"
    r"(?:\s*[)\]}:.,;]+[\"'*]*|\s+-(?=\s)|(?=\s+\()|$"
    r"|\s+(?=(?:because|since|as|porque|ya que|is (?:the )?(?:correct|right|best)|es (?:la )?"
    r"(?:correcta|mejor))\b))\s*(?P<rest>.*)",
    re.DOTALL | re.IGNORECASE,
)
_AT_THE_END = re.compile(r".*[(\[](?P<label>[^\W\d_]|[0-9]{1,2})[)\]]", re.DOTALL)
# Where a further label stands in the words behind the first: `B, C`, `A and B`, `not A)`.
_FURTHER = re.compile(
    r"^[(\[]?([A-Z])[)\]]?\s*(?=$|[,;])"
    r"|(?:[,;/&+]\s*|\b(?:and|or|not|y|o|no)\s+)[(\[]?([A-Z])(?![\w'.])"
    r"|(?<![\w'.])[(\[]?([A-Z])(?:[)\]]|\s*[,:;/&+](?!\w)|\s+(?:and|or|y|o)\b)"
    r"|[(\[]([a-z])[)\]]"
)


class Option(NamedTuple):
    """One of the answers that a question offers."""

    key: str
    label: str
    """The letter or number before it, in small letters."""
    text: str
    """Key of its words; empty: only its label is known."""
    shown: str


def read_options(options: Sequence[str]) -> tuple[Option, ...]:
    """Options given as labels (`A`), as words (`Paris`), or as both (`A) Paris`).

    The key is the label; of words without one it is their own key, and their label is the letter of
    their place. An option without a word cannot be chosen.
    """
    spelled = [one_line(plain(option)) for option in options]
    labelled = [_LABELLED.fullmatch(option) for option in spelled]
    found = []
    for place, (option, match) in enumerate(zip(spelled, labelled, strict=True)):
        if all(labelled) and match:
            label = match["label"].casefold()
            found.append(Option(label, label, label_key(match["text"] or "") or "", option))
        elif words := label_key(option):
            found.append(Option(words, ascii_lowercase[place : place + 1], words, option))
    return tuple(found)


def read_choice(value: str, options: Sequence[Option] = ()) -> Option | None:
    """The option that a value chooses.

    None where it names none or several, or the label of one with the words of another.

    Args:
        value: Such as `B`, `(B)`, `B) Paris`, `option B`, `Paris`.
        options: What there is to choose from; empty: any single letter.
    """
    value = unwrapped(plain(value))
    words = label_key(value)
    by_text = [option for option in options if option.text and option.text == words]
    if by_text:
        return by_text[0] if len(by_text) == 1 else None
    if named := _NAMED.match(value):
        value = unwrapped(value[named.end() :])
    match = _CHOSEN.fullmatch(value)
    rest = match["rest"] if match else value
    match = match or _AT_THE_END.fullmatch(value)
    if match is None:
        return None
    chosen = _labelled(match["label"], options)
    if chosen is None or _names_another(rest, chosen, options):
        return None
    return chosen


def _labelled(label: str, options: Sequence[Option]) -> Option | None:
    label = label.casefold()
    if not options:
        return Option(label, label, "", label.upper()) if label in ascii_lowercase else None
    return next((option for option in options if option.label == label), None)


def _names_another(rest: str, chosen: Option, options: Sequence[Option]) -> bool:
    words = label_key(rest)
    if any(option.text and option.text == words != chosen.text for option in options):
        return True
    for match in _FURTHER.finditer(rest):
        other = _labelled(match[match.lastindex or 0], options)
        if other is not None and (other != chosen or match[1] or match[2]):
            return True
    return False
