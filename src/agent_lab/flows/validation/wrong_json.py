"""Says of JSON that does not fit a model what is wrong, and where in the JSON that is."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from agent_lab.contracts import problem

Place = tuple[str | int, ...]
"""Keys and indexes that lead to a part of JSON."""
Wrong = Mapping[str, Any]
"""One error, as pydantic describes it."""


def misfits(content: Any, error: ValidationError) -> Iterator[tuple[Place, list[Wrong]]]:
    """Every place that is wrong, with what is said of it.

    Args:
        content: The JSON.
        error: Why it does not fit.
    """
    found: dict[Place, list[Wrong]] = {}
    for wrong in error.errors(include_url=False, include_input=False):
        found.setdefault(_place(content, wrong), []).append(dict(wrong))
    deeper = {place[:length] for place in found for length in range(len(place))}
    for place, wrongs in found.items():
        # Of a value that may be one of several things, the likeliest is looked into; and a list
        # is not too short whose members are wrong.
        if place not in deeper or wrongs[0]["type"] in {"extra_forbidden", "missing"}:
            yield place, wrongs


def is_unknown(wrongs: list[Wrong]) -> bool:
    """Whether a place is a field that there is not."""
    return bool(wrongs[0]["type"] == "extra_forbidden")


def sentences(wrongs: list[Wrong]) -> str:
    """What is wrong at a place, in words for people."""
    return " Or: ".join(dict.fromkeys(map(_sentence, wrongs)))


def at(content: Any, place: Place) -> Any:
    """What stands at a place; None: nothing does."""
    for part in place:
        if not _holds(content, part):
            return None
        content = content[part]
    return content


def _sentence(wrong: Wrong) -> str:
    said = re.sub(r"dictionary or instance of \w+|dictionary", "object", problem(wrong))
    said = said.replace("valid tuple", "valid list").replace("Tuple should", "The list should")
    return f"{said[:1].upper()}{said[1:]}."


def _place(content: Any, wrong: Wrong) -> Place:
    """Where an error is in the JSON itself: without the names of what a value might have been."""
    here, place, last = content, list[str | int](), len(wrong["loc"]) - 1
    for index, part in enumerate(wrong["loc"]):
        if _holds(here, part):
            here = here[part]
        elif index != last or wrong["type"] != "missing":
            continue
        place.append(part)
    return tuple(place)


def _holds(value: Any, part: str | int) -> bool:
    if isinstance(value, Mapping):
        return part in value
    return isinstance(value, (list, tuple)) and isinstance(part, int) and part < len(value)
