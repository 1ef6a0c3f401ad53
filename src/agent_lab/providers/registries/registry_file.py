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


def load_entries(
    shipped: str, operator_file: Path | None, table: str, name_field: str, entry: type[Entry]
) -> dict[str, Entry]:
    """Load every entry of one registry.

    Args:
        shipped: File name inside this package.
        operator_file: The operator's file, merged field by field over the shipped one.
        table: The TOML table that holds the entries: `models` or `strategies`.
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
        tables = merge(tables, _operator_tables(operator_file, table))
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


def _operator_tables(path: Path, table: str) -> dict[str, Any]:
    try:
        loaded = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"The file `{path}` cannot be read: {error.strerror}.",
            hint="Correct AGENT_LAB_MODELS_FILE or AGENT_LAB_STRATEGIES_FILE, or unset it.",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The file `{path}` is not TOML: {error}.") from error
    unknown = sorted(set(loaded) - {table})
    if unknown or not isinstance(loaded.get(table, {}), dict):
        raise ConfigurationError(
            f"The file `{path}` may hold only tables `[{table}.NAME]`; it has "
            + ", ".join(f"`{name}`" for name in unknown or [table])
            + "."
        )
    entries: dict[str, Any] = loaded.get(table, {})
    for key, fields in entries.items():
        if not isinstance(fields, dict):
            raise ConfigurationError(f"`{table}.{key}` in `{path}` must be a table of fields.")
    return entries


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
