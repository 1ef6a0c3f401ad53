r"""Numbers as people and models write them, read exactly: `1,234.5`, `-3/4`, `\frac12`, `2 mil`.

Nothing is computed: `6*7` is no number. How a number is read does not depend on the language of the
run, since models mix the conventions:

- A comma and a point: the later one is the decimal mark.
- A point alone is the decimal mark, also before three digits: `1.234` is a little more than one.
  So is every key that this module writes.
- A comma alone parts thousands if exactly three digits follow and one to three stand before it,
  the first no zero: `1,234` is 1234; `0,125` and `3,14` are decimals.
- The same mark several times, `'`, `_` and a space part thousands.

A unit is dropped, and so is the percent sign: who is asked for a percentage writes `50%` or `50`,
and both are one answer; `0.5` is another (as in D. Hendrycks et al., Measuring Mathematical Problem
Solving With the MATH Dataset, 2021).
"""

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from agent_lab.deliberation.answers.plain_text import plain

MOST_DIGITS = 100
"""Of a numerator, a denominator or decimal places: what has more is no answer."""

# What LaTeX writes otherwise; before NFKC, which makes plain spaces of thin ones.
_LATEX = tuple(
    (re.compile(pattern), written)
    for pattern, written in (
        (r"\\([$%])", r"\1"),
        (r"\{,\}", ","),
        (r"(?<=[0-9])(?:\\[,!;: ]|[\u00a0\u2009\u202f])(?=[0-9]{3}(?![0-9]))", "'"),
        (r"\\[,!;: ]|\\(?:left|right|displaystyle)(?![a-zA-Z])", " "),
        (r"\\(?:text|textbf|mathrm|mathbf|boxed)\s*+\{([^{}]*+)\}", r"\1"),
        (r"(?<=[0-9])(?=\\[dt]?frac)", " "),
        (r"\\[dt]?frac\s*+\{\s*+([0-9]{1,99})\s*+\}\s*+\{\s*+([0-9]{1,99})\s*+\}", r"\1/\2"),
        (r"\\[dt]?frac\s*+([0-9])\s*+([0-9])", r"\1/\2"),
        (r"\\(?:times|cdot)(?![a-zA-Z])", "×"),
        (r"\^\s?(?:\{\s?\\circ\s?\}|\\circ)|\\degree", "°"),
    )
)
_RUN = r"(?:[0-9]++(?:[.,'_][0-9]++)*+|\.[0-9]++)"
_TO_THE = r"10\^[{(]?(?P<%s>[-+]?[0-9]{1,3}+)[)}]?"
_TOKEN = re.compile(
    # A sign, unless it is an operator; a digit that begins a number, not an exponent's.
    r"(?:(?<![\w)\]}.,^])(?<!\^[{(])(?P<sign>[-+])[$€£¥]?"
    r"|(?<![\w^±√])(?<![0-9][.,'/:])(?<!\^[-+{(])(?<!\^[{(][-+]))"
    rf"(?:{_TO_THE % 'ten'}|(?P<whole>[0-9]++) (?P<over>[0-9]++)/(?P<under>[0-9]++)"
    rf"|(?P<run>{_RUN})(?:[ ]?/[ ]?(?P<divisor>{_RUN}))?"
    rf"(?:[eE](?P<e>[-+]?[0-9]{{1,3}}+)(?!\w)|[ ]?[×x*·][ ]?{_TO_THE % 'times_ten'})?)"
)
# What makes a number a part of something else: a formula, a date, a time.
_OPERATOR_BEFORE = re.compile(r"[-+*/×÷^√±]\s?\Z")
_OPERATOR_AFTER = re.compile(
    r"\s?[/:]\s?[0-9(]|\s?(?:[\\^π√+×÷±]|\*{1,2}\s?[\w(])|[xyzi](?!\w)|\s-\s(?:[0-9(]|\w(?!\w))"
    r"|-[0-9]"
)
_POINT = re.compile(r"[0-9]*(?:\.[0-9]+)?")
_ENGLISH = re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_SPANISH = re.compile(r"[1-9][0-9]{0,2}(?:(?:\.[0-9]{3})+,[0-9]+|(?:\.[0-9]{3}){2,})")
_PARTED = re.compile(r"[1-9][0-9]{0,2}(?:'[0-9]{3}|_[0-9]{3})+(?:[.,][0-9]+)?")
_COMMA = re.compile(r"[0-9]+,[0-9]+")
_MAGNITUDES = (
    ("hundred", 10**2),
    ("dozens?|docenas?", 12),
    ("mil millones|billions?", 10**9),
    ("thousands?|mil(?:es)?|(?<=[0-9])k", 10**3),
    ("millions?|mill[oó]n(?:es)?", 10**6),
    ("trillions?|bill[oó]n(?:es)?", 10**12),
)
_MAGNITUDE = re.compile(
    rf"[ ]?(?:{'|'.join(f'({words})' for words, _ in _MAGNITUDES)})(?!\w)", re.IGNORECASE
)
_WORDS = {
    word: number
    for words in (
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
        " fifteen sixteen seventeen eighteen nineteen twenty",
        "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince"
        " dieciséis diecisiete dieciocho diecinueve veinte",
    )
    for number, word in enumerate(words.split())
}
_GROUPS_BY_SPACE = re.compile(r"([-+]?[1-9][0-9]{0,2})((?: [0-9]{3})+)(?![0-9/])")
_SIGN_APART = re.compile(r"([-+])\s+(?=[0-9.$€£¥])")
_REMARK = re.compile(r"\s*\([^()]*\)")
_REASON = re.compile(
    r"(?:[.;]|,(?!\s+(?:and|or|y|e|o|u)\b))\s+(?=[^\W\d])"
    r"|\s+(?:-\s+(?=\w\w)|(?:because|since|porque|ya que|pues)\b)",
    re.IGNORECASE,
)
_SEVERAL = re.compile(r"[,;]\s|\b(?:and|or|y|o)\b", re.IGNORECASE)
# Words before a number that make another answer of it.
_NOT_THAT = re.compile(
    r"\b(?:not|cannot|no|nor|neither|never|less|more|fewer|than|over|under|least|most|between|up to"
    r"|menos|m[aá]s|mayor|menor|nunca|ni|entre|hasta)\b|n't\b|[<>≤≥≠]",
    re.IGNORECASE,
)
_OR = re.compile(r"\b(?:or|o)\b", re.IGNORECASE)
_AROUND = re.compile(
    r"\s*(?:(?:approximately|approx\.?|about|around|roughly|aproximadamente|aprox\.?|unos|unas)\s+"
    r"|[≈~]\s*)?(?:(?:US|USD|EUR|GBP)?\s?[$€£¥]?|(?:USD|EUR|GBP)\s)\s*",
    re.IGNORECASE,
)
_UNIT = re.compile(r"\s?(?:[%°$€£¥][^\W\d_]?|[^\W\d_][\w/^.²³-]*)?(?: [^\W\d_][\w/^.-]*){0,2}\s*")


class Number(NamedTuple):
    """A number that a text gives."""

    key: str
    """Equal for equal numbers."""
    display: str
    """As it stands there; with its unit, if nothing else stands there."""
    alone: bool
    """Whether the text says nothing else."""


class _Token(NamedTuple):
    number: Fraction | None
    """None: it is part of a formula, a date or a time, or it is no number at all."""
    start: int
    end: int


def number_key(number: Fraction) -> str | None:
    """The one spelling of a number: `42`, `0.75`, or `2/3` where no decimal is exact.

    None: it has more than `MOST_DIGITS` digits.
    """
    top, bottom = number.numerator, number.denominator
    if max(abs(top), bottom) >= 10**MOST_DIGITS:
        return None
    twos, fives = _exponent(2, bottom), _exponent(5, bottom)
    places = max(twos, fives)
    if 2**twos * 5**fives != bottom or places > MOST_DIGITS:
        return f"{top}/{bottom}"
    digits = str(abs(top) * 10**places // bottom).rjust(places + 1, "0")
    sign, whole = "-" if top < 0 else "", digits[: len(digits) - places]
    return f"{sign}{whole}.{digits[-places:]}" if places else sign + whole


def read_number(value: str) -> Number | None:
    """The number that a value gives, such as `$1,234.50`, `x = 3/4` or `There are 42 apples`.

    None where it gives none, several, or one that is part of a formula, a range or a denial.
    """
    value = _spelled(value).strip()
    value = _REMARK.sub("", value).strip() or value
    value = _GROUPS_BY_SPACE.sub(lambda run: run[1] + run[2].replace(" ", "'"), value, count=1)
    if apart := _SIGN_APART.match(value):
        value = apart[1] + value[apart.end() :]
    if (word := _WORDS.get(value.lower())) is not None:
        return Number(str(word), value, alone=True)
    value = _without_reason(value)
    sides = value.replace("≈", "=").split("=")
    if len(sides) > 1 and not _SEVERAL.search(value):
        found = _only(sides[-1].strip()) or _only(sides[0].strip())
        return None if found is None else found._replace(alone=False)
    return _only(value)


def last_number(line: str) -> Number | None:
    """The last number of a line of prose, whatever it says of it."""
    text, last = _spelled(line), None
    for token in _tokens(text):
        key = None if token.number is None else number_key(token.number)
        if key is not None:
            last = Number(key, text[token.start : token.end], alone=False)
    return last


def _without_reason(value: str) -> str:
    """A value that begins with a number, without the sentence or reason that follows."""
    first = next(_tokens(value), None)
    if first is None or not _AROUND.fullmatch(value[: first.start]):
        return value
    reason = _REASON.search(value, first.end)
    return value[: reason.start()] if reason else value


def _only(value: str) -> Number | None:
    tokens = list(_tokens(value))
    if not tokens or tokens[0].number is None:
        return None
    start, end = tokens[0].start, tokens[0].end
    if {token.number for token in tokens} != {tokens[0].number}:
        return None
    if _NOT_THAT.search(value[:start]) or _OR.search(value):
        return None
    is_alone = _AROUND.fullmatch(value[:start]) and _UNIT.fullmatch(value, end)
    shown = " ".join(value.split()) if is_alone else value[start:end]
    key = number_key(tokens[0].number)
    return None if key is None else Number(key, shown, bool(is_alone))


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        magnitude = _MAGNITUDE.match(text, end)
        if magnitude:
            end = magnitude.end()
        number = _value(match)
        if magnitude and number is not None:
            number *= _MAGNITUDES[(magnitude.lastindex or 0) - 1][1]
        is_part = _OPERATOR_AFTER.match(text, end) or _OPERATOR_BEFORE.search(
            text[max(start - 2, 0) : start]
        )
        yield _Token(None if is_part else number, start, end)


def _value(match: re.Match[str]) -> Fraction | None:
    groups = match.groupdict()
    if len(match[0]) > 4 * MOST_DIGITS:
        return None
    if groups["ten"]:
        number: Fraction | None = Fraction(10) ** int(groups["ten"])
    elif groups["whole"]:
        part = _ratio(_decimal(groups["over"]), _decimal(groups["under"]))
        number = None if part is None else int(groups["whole"]) + part
    else:
        divisor = groups["divisor"]
        number = _decimal(groups["run"])
        number = _ratio(number, _decimal(divisor)) if divisor else number
    if number is None:
        return None
    exponent = int(groups["e"] or groups["times_ten"] or 0)
    return number * Fraction(10) ** exponent * (-1 if groups["sign"] == "-" else 1)


def _decimal(run: str) -> Fraction | None:
    if _POINT.fullmatch(run):
        return Fraction(run)
    if _ENGLISH.fullmatch(run):
        return Fraction(run.replace(",", ""))
    if _SPANISH.fullmatch(run):
        return Fraction(run.replace(".", "").replace(",", "."))
    if _PARTED.fullmatch(run):
        return Fraction(run.replace("'", "").replace("_", "").replace(",", "."))
    return Fraction(run.replace(",", ".")) if _COMMA.fullmatch(run) else None


def _ratio(top: Fraction | None, bottom: Fraction | None) -> Fraction | None:
    return top / bottom if top is not None and bottom else None


def _exponent(prime: int, number: int) -> int:
    """How often a prime divides a number."""
    count = 0
    while number % prime == 0:
        number //= prime
        count += 1
    return count


def _spelled(text: str) -> str:
    for pattern, written in _LATEX:
        text = pattern.sub(written, text)
    return plain(text)
