"""Puts a table into the text of a TOML file, and leaves every other byte of it as it is.

A library that keeps the style of a file takes the comment above a table with the table before it
when that one goes; here it stays.
"""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

_LINE = 100
_TABLE = re.compile(r"[ \t]*\[")
_HEAD = re.compile(
    r"""[ \t]*\[[ \t]*["']?(?P<group>[\w-]+)["']?[ \t]*\.[ \t]*
    (?:"(?P<basic>[^"\\]*)"|'(?P<literal>[^']*)'|(?P<bare>[\w-]+))[ \t]*[.\]]""",
    re.ASCII | re.VERBOSE,
)
_BLANK_OR_COMMENT = re.compile(r"\s*(?:#.*)?$")


def with_table(old: str, group: str, key: str, fields: Mapping[str, Any]) -> str | None:
    """Append the table `[group."key"]`, or put it in place of the one that is there.

    Args:
        old: The text of a TOML file.
        group: The table that holds the new one: `models`.
        key: Its name.
        fields: What it holds: texts, numbers, lists and tables of them.

    Returns:
        The new text; None: the old one writes its tables in a way that these lines do not know.
    """
    expected = tomllib.loads(old)
    tables = expected.setdefault(group, {})
    block = _block(group, key, fields)
    if key in tables:
        text = _with_block_replaced(old, group, key, block)
    else:
        gap = "\n" if old.endswith("\n") else "\n\n"
        text = f"{old}{gap}{block}" if old else block
    tables[key] = fields
    try:
        return text if tomllib.loads(text) == expected else None
    except tomllib.TOMLDecodeError:
        return None


def _with_block_replaced(old: str, group: str, key: str, block: str) -> str:
    lines = old.splitlines(keepends=True)
    said = _lines_of(group, key, lines)
    if not said:
        return old
    first = min(said)
    kept = [line for number, line in enumerate(lines) if number > first and number not in said]
    return "".join([*lines[:first], block, *kept])


def _lines_of(group: str, key: str, lines: Sequence[str]) -> set[int]:
    """Numbers of the lines of a table and its own tables; comments behind them are others'."""
    found: set[int] = set()
    run: list[int] = []
    inside = False
    for number, line in enumerate([*lines, "["]):
        if _TABLE.match(line):
            while run and _BLANK_OR_COMMENT.match(lines[run[-1]]):
                run.pop()
            found.update(run)
            run, head = [], _HEAD.match(line)
            inside = head is not None and head["group"] == group and key in head.groups()[1:]
        if inside:
            run.append(number)
    return found


def _block(group: str, key: str, fields: Mapping[str, Any]) -> str:
    lines = [_line(name, value) for name, value in fields.items()]
    return "\n".join([f"[{group}.{_value(key)}]", *lines, ""])


def _line(name: str, value: object) -> str:
    line = f"{_name(name)} = {_value(value)}"
    if len(line) <= _LINE or not isinstance(value, list):
        return line
    return "\n".join([f"{_name(name)} = [", *(f"  {_value(item)}," for item in value), "]"])


def _value(value: object) -> str:
    """A value as TOML writes it."""
    match value:
        case str():
            # TOML's escapes are JSON's, but it wants DEL escaped too.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case bool():
            return str(value).lower()
        case int():
            return f"{value:_}"
        case float():
            return repr(value)
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case dict():
            pairs = [f"{_name(name)} = {_value(item)}" for name, item in value.items()]
            return f"{{ {', '.join(pairs)} }}"
    raise TypeError(f"TOML has no {type(value).__name__}")


def _name(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name, re.ASCII) else _value(name)
