"""Bounds what a JSON Schema leaves open, so that an answer is complete before its limit. Pure.

A model that is held to a schema may write one string until `max_tokens` cuts it: what is left is no
JSON. With a bound, the grammar closes the string in time.
"""

from collections.abc import Iterator, Mapping
from typing import Any

CHARACTERS_PER_TOKEN = 2
"""Less than languages have (English about 4), so that all strings together stay below the limit."""
SHORTEST, LONGEST = 16, 1500
"""Characters. llama.cpp refuses grammars that repeat anything 2,000 times and more."""
MOST_ITEMS = 32


def bounded(schema: Mapping[str, Any], max_tokens: int) -> dict[str, Any]:
    """A schema whose strings and arrays all have an end.

    Args:
        schema: A JSON Schema; what bounds itself stays as it is.
        max_tokens: The limit of the whole answer, which the open strings share.
    """
    strings = sum(_is_open_string(part) for part in _parts(schema))
    share = CHARACTERS_PER_TOKEN * max_tokens // max(1, strings)
    closed: dict[str, Any] = _closed(schema, max(SHORTEST, min(LONGEST, share)))
    return closed


def _closed(part: Any, longest: int) -> Any:
    if isinstance(part, list):
        return [_closed(item, longest) for item in part]
    if not isinstance(part, Mapping):
        return part
    closed = {name: _closed(value, longest) for name, value in part.items()}
    if _is_open_string(part):
        closed["maxLength"] = max(longest, part.get("minLength", 0))
    if part.get("type") == "array" and "maxItems" not in part:
        closed["maxItems"] = max(MOST_ITEMS, part.get("minItems", 0))
    return closed


def _is_open_string(part: Mapping[str, Any]) -> bool:
    return part.get("type") == "string" and not part.keys() & {
        "maxLength",
        "enum",
        "const",
        "pattern",
        "format",
    }


def _parts(part: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(part, Mapping):
        yield part
    children = part.values() if isinstance(part, Mapping) else part
    if isinstance(part, Mapping | list):
        for child in children:
            yield from _parts(child)
