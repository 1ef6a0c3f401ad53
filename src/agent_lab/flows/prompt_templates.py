"""Fills `{name}` in prompt templates: bare names only, one pass, nothing is ever evaluated."""

import re
from collections.abc import Mapping
from functools import lru_cache

from agent_lab.contracts import Language
from agent_lab.errors import InvalidRequestError

LocalizedText = str | dict[Language, str]
"""One text for every language, or one for each."""

LONGEST_PROMPT = 4_000_000
"""Characters; more than any model's window, and far less than a machine's memory."""

_TOKEN = re.compile(r"\{\{|\}\}|\{([a-z_][a-z0-9_]*)\}")
_ESCAPED = {"{{": "{", "}}": "}"}


@lru_cache(maxsize=1024)
def placeholders(template: str) -> frozenset[str]:
    """The names that a template asks for."""
    return frozenset(match[1] for match in _TOKEN.finditer(template) if match[1])


def format_prompt_template(template: str, values: Mapping[str, str]) -> str:
    """Replace every `{name}` by its value.

    `{{` and `}}` stand for braces; other braces, as in JSON or code, stay as they are. Values
    are not looked through again, so a text that a model wrote cannot ask for another value.

    Args:
        template: The template.
        values: Text by name.

    Raises:
        InvalidRequestError: A name has no value, or the prompt becomes longer than 4 million
            characters.
    """
    unknown = sorted(placeholders(template) - set(values))
    if unknown:
        raise InvalidRequestError(
            f"The prompt template asks for `{{{unknown[0]}}}`, which nobody gives; given are "
            + ", ".join(f"`{{{name}}}`" for name in sorted(values))
            + "."
        )
    prompt = _TOKEN.sub(lambda m: values[m[1]] if m[1] else _ESCAPED[m[0]], template)
    if len(prompt) > LONGEST_PROMPT:
        raise InvalidRequestError(
            f"The prompt has {len(prompt)} characters; at most {LONGEST_PROMPT} are taken."
        )
    return prompt


def in_language(text: LocalizedText, lang: Language) -> str:
    """Return the text in a language, or in the one that there is."""
    if isinstance(text, str):
        return text
    return text.get(lang) or next(iter(text.values()), "")
