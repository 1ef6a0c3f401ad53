"""One spelling for characters that mean the same, and values without what encloses them."""

import re
import unicodedata

LONGEST_VALUE = 1000
"""Characters of an answer that is a number, a choice, yes or no, or a label; a longer one is none.
"""

# NFKC makes `11/2` of `1½`, and `102` of `10²`.
_VULGAR_FRACTION = re.compile(r"(?<=[0-9])(?=[\u00bc-\u00be\u2150-\u215e\u2189])")
_SUPERSCRIPT = re.compile(r"[⁺⁻]?[⁰¹²³⁴-⁹]++")
_SAME = {
    **dict.fromkeys(map(ord, "‐‑‒–—―−﹣－"), "-"),
    **dict.fromkeys(map(ord, "‘’‚‛ʼ′"), "'"),
    **dict.fromkeys(map(ord, "“”„‟«»″"), '"'),
    **dict.fromkeys(map(ord, "⁄∕"), "/"),
    # Marks that nobody sees: soft hyphen, zero width, direction.
    **dict.fromkeys(
        [
            0xAD,
            0x61C,
            0xFEFF,
            *range(0x200B, 0x2010),
            *range(0x202A, 0x202F),
            *range(0x2060, 0x2070),
        ]
    ),
}
_BEFORE = " \t\r\n*_`\"'#>•¡¿"
_AFTER = " \t\r\n*_`\"'.,;:!?"
_PAIRS = (("(", ")"), ("[", "]"), ("{", "}"))
# How LaTeX and tags mark an answer or its typeface.
_WRAPPERS = (
    re.compile(r"\\\((.*)\\\)", re.DOTALL),
    re.compile(r"\\\[(.*)\\\]", re.DOTALL),
    re.compile(r"(\$+)([^$]*)\1"),
    re.compile(r"\\(?:boxed|fbox|text|textbf|textit|mathrm|mathbf)\s*\{([^{}]*)\}"),
    re.compile(r"(?:<answer>)?([^<>]*)</answer>", re.IGNORECASE),
)


def plain(text: str) -> str:
    """A text in the compatibility form of Unicode (NFKC), with one minus sign and plain quotes.

    A superscript is told from a digit of the same line: `10²` becomes `10^2`. Invisible marks go.
    """
    text = _VULGAR_FRACTION.sub(" ", text)
    text = _SUPERSCRIPT.sub(lambda power: "^" + power[0], text)
    text = unicodedata.normalize("NFKC", text.translate(_SAME)).translate(_SAME)
    return unicodedata.normalize("NFKC", text)


def unwrapped(value: str) -> str:
    """A value without the emphasis, quotes, brackets and final punctuation around it."""
    while True:
        bare = _inside(value.strip().lstrip(_BEFORE).rstrip(_AFTER))
        if bare == value:
            return value
        value = bare


def one_line(value: str) -> str:
    """A value with single spaces between its words."""
    return " ".join(value.split())


def _inside(value: str) -> str:
    for wrapper in _WRAPPERS:
        if match := wrapper.fullmatch(value):
            return match[match.lastindex or 0]
    for left, right in _PAIRS:
        if value.startswith(left) and value.endswith(right) and _encloses(value, left, right):
            return value[1:-1]
    return value


def _encloses(value: str, left: str, right: str) -> bool:
    """Whether the first bracket is closed by the last: not so in `(a) or (b)`."""
    depth = 0
    for place, sign in enumerate(value):
        depth += (sign == left) - (sign == right)
        if depth == 0:
            return place == len(value) - 1
    return False
