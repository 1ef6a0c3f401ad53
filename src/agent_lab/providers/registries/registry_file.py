"""Reads a registry's TOML: the shipped file with the operator's own merged over it."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import pydantic

from agent_lab.contracts import Contract, field_problems
from agent_lab.errors import ConfigurationError

Entry = TypeVar("Entry", bound=Contract)

MODEL_FILE_TABLES = ("providers", "models")
"""The tables of `models.toml`: where models live, and the models."""


def load_entries(
    shipped: str,
    operator_file: Path | None,
    allowed_tables: tuple[str, ...],
    table: str,
    name_field: str,
    entry: type[Entry],
) -> dict[str, Entry]:
    """Load every entry of one registry.

    Args:
        shipped: File name inside this package.
        operator_file: The operator's file, merged field by field over the shipped one.
        allowed_tables: The tables that such a file may have.
        table: The one of them that holds the entries.
        name_field: The field of `entry` that takes the entry's key.
        entry: The model of one entry.

    Returns:
        Entries by key, in file order.

    Raises:
        ConfigurationError: The file cannot be read, or a field of it is wrong.
    """
    text = files(__package__).joinpath(shipped).read_text(encoding="utf-8")
    tables: dict[str, Any] = tomllib.loads(text)[table]
    if operator_file is not None:
        tables = merge(tables, _operator_tables(operator_file, allowed_tables)[table])
    for key, fields in tables.items():
        if fields.get(name_field, key) != key:
            raise ConfigurationError(
                f"`{table}.{key}` names another `{name_field}`; the table's name is the one."
            )
    return {
        key: _entry(entry, {**fields, name_field: key}, f"{table}.{key}", operator_file)
        for key, fields in tables.items()
    }


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `over` on `base`: tables are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def _operator_tables(path: Path, allowed: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    try:
        loaded = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"The file `{path}` cannot be read: {error.strerror}.",
            hint="Correct AGENT_LAB_MODELS_FILE or AGENT_LAB_STRATEGIES_FILE, or unset it.",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The file `{path}` is not TOML: {error}.") from error
    wrong = sorted(name for name, t in loaded.items() if name not in allowed or _no_table(t))
    if wrong:
        raise ConfigurationError(
            f"The file `{path}` may hold only tables "
            + ", ".join(f"`[{name}.NAME]`" for name in allowed)
            + "; it has "
            + ", ".join(f"`{name}`" for name in wrong)
            + "."
        )
    for table, entries in loaded.items():
        for key, fields in entries.items():
            if _no_table(fields):
                raise ConfigurationError(f"`{table}.{key}` in `{path}` must be a table of fields.")
    return {name: loaded.get(name, {}) for name in allowed}


def _no_table(value: Any) -> bool:
    return not isinstance(value, dict)


def _entry(
    entry: type[Entry], fields: Mapping[str, Any], where: str, operator_file: Path | None
) -> Entry:
    try:
        return entry.model_validate(fields)
    except pydantic.ValidationError as error:
        raise ConfigurationError(
            f"`{where}` is not a valid entry: {field_problems(error)}.",
            hint=f"Fields are: {', '.join(entry.model_fields)}. File: {operator_file}.",
        ) from error
