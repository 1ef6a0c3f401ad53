"""Keys of answers: equal for equal answers, and for no others.

Two answers are one if their keys are equal, never because their words are similar: of two long
texts that end in 40 and in 41, each is an answer of its own. The keys of numbers are in `numbers`.
"""

import json
import unicodedata
from typing import Any, Final

from agent_lab.deliberation.answers.plain_text import plain, unwrapped

_ARTICLES = frozenset(
    ["a", "an", "the", "el", "la", "lo", "los", "las", "un", "una", "unos", "unas"]
)
# Grave, acute, circumflex, diaeresis, cedilla.
_ACCENTS = dict.fromkeys([0x300, 0x301, 0x302, 0x308, 0x327])
_YES_OR_NO: Final[dict[str, str]] = {
    **dict.fromkeys(["yes", "yeah", "yep", "true", "correct", "sí", "si"], "true"),
    **dict.fromkeys(["verdadero", "verdadera", "cierto", "correcto"], "true"),
    **dict.fromkeys(["no", "nope", "false", "incorrect", "falso", "falsa", "incorrecto"], "false"),
}
# By the name that a fence gives a language: what begins its comments.
_COMMENTS: Final[dict[str, str]] = {
    **dict.fromkeys(["python", "py", "python3", "sh", "bash", "ruby", "rb", "r", "perl"], "#"),
    **dict.fromkeys(["yaml", "yml", "toml"], "#"),
    **dict.fromkeys(["javascript", "js", "jsx", "typescript", "ts", "tsx", "java", "php"], "//"),
    **dict.fromkeys(["c", "h", "cpp", "c++", "csharp", "cs", "c#", "go", "golang"], "//"),
    **dict.fromkeys(["rust", "rs", "kotlin", "kt", "swift", "scala", "dart"], "//"),
    **dict.fromkeys(["sql", "lua", "haskell", "hs"], "--"),
}
_SHEBANG = "#!"


def label_key(text: str) -> str | None:
    """The key of a name or a few words; None: no letter, digit or sign is left.

    What does not count: case, compatibility forms of Unicode (NFKC), white space, emphasis, quotes
    and final punctuation around it, English and Spanish articles before it, and accents, as many
    write none. But ñ does count: it is a letter of its own.
    """
    folded = plain(text)
    # As Unicode defines caseless matching of compatibility forms, 3.13, D146.
    for _ in range(2):
        folded = unicodedata.normalize("NFKD", folded).casefold()
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFKD", folded).translate(_ACCENTS))
    words = unwrapped(folded).split()
    while len(words) > 1 and words[0] in _ARTICLES:
        words = unwrapped(" ".join(words[1:])).split()
    return " ".join(words) or None


def boolean_key(text: str) -> str | None:
    """`true` or `false` for a word that says yes or no, in English or Spanish."""
    return _YES_OR_NO.get(unwrapped(plain(text)).casefold())


def json_key(value: Any) -> str:
    """The key of a JSON value: 1 and 1.0 are one, 1 and true are two; objects have no order."""
    return json.dumps(_whole(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def code_key(code: str, language: str = "") -> str | None:
    """The key of a program; None: nothing is left of it.

    White space at the ends of lines, blank lines and lines that are only a comment do not count,
    all else does. It is compared line by line and never executed, so this holds inside a string of
    several lines, too.

    Args:
        code: The program.
        language: As the fence names it. Of one that is unknown no line counts as a comment.
    """
    mark = _COMMENTS.get(language)
    lines = (line.rstrip() for line in code.split("\n"))
    kept = [line for line in lines if line and not _is_comment(line.lstrip(), mark)]
    return "\n".join(kept) or None


def _is_comment(line: str, mark: str | None) -> bool:
    return mark is not None and line.startswith(mark) and not line.startswith(_SHEBANG)


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _whole(part) for name, part in value.items()}
    return [_whole(part) for part in value] if isinstance(value, list) else value
