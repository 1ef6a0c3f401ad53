"""Adds entries to the operator's `models.toml`, and leaves all else in it as it is."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from agent_lab.errors import AgentLabError, ConfigurationError, StorageError
from agent_lab.providers.registries.model_registry import ModelEntry, ModelRegistry
from agent_lab.providers.registries.toml_text import with_table

LOCK_TIMEOUT_S = 10.0
_NEW_FILE = """\
# Your own models and providers, merged over those that AI Agent Lab ships: a new key adds one, a
# known key changes the named fields. docs/providers.md has examples.
"""


def add_entry(path: Path, entry: ModelEntry, *, replace: bool = False) -> None:
    """Write an entry into the operator's file; the file is made if there is none.

    The block is appended as text, or put in place of the key's old one: every other byte of the
    file stays. The new file is loaded before it takes the old one's place.

    Args:
        path: The file; a link is followed.
        entry: The entry.
        replace: Whether an entry of this key may be there already.

    Raises:
        ConfigurationError: The key is taken, the file is no registry, or it cannot be changed
            without a person; the file is as it was.
        StorageError: It cannot be written, or another process keeps it locked.
    """
    target = Path(os.path.realpath(path))
    with _disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        # The lock's file stays where it is: deleting it would let two processes in.
        with FileLock(f"{target}.lock", timeout=LOCK_TIMEOUT_S):
            old = target.read_bytes().decode() if _checked(target, entry, replace) else ""
            text = _with_entry(old, entry, target)
            new = target.with_name(f"{target.name}.new")
            try:
                _write(new, text, like=target)
                _check_loads(new, entry, target)
                new.replace(target)
            finally:
                new.unlink(missing_ok=True)
            _sync_folder(target.parent)


def _checked(target: Path, entry: ModelEntry, replace: bool) -> bool:
    """Whether the file is there; it must be valid, and have room for the entry."""
    there = target.exists()
    models = {model.key: model for model in ModelRegistry.load(target if there else None).all()}
    if entry.key in models and not replace:
        raise ConfigurationError(
            f"There is a model `{entry.key}` already.",
            hint="Give the new one another key (--key), or write it over that one (--replace)",
            details={"model": entry.key, "file": str(target)},
        )
    for other in models.values():
        if entry.file and other.file == entry.file and other.key != entry.key:
            _check_same_file(entry, other)
    return there


def _check_same_file(entry: ModelEntry, other: ModelEntry) -> None:
    # Each pull of one would overwrite the other's weights.
    if other.sha256 != entry.sha256:
        raise ConfigurationError(
            f"`{entry.key}` would keep its weights in `{entry.file}`, where `{other.key}` has "
            "others.",
            hint=f"Write it over that one (--key {other.key} --replace), or remove that entry",
            details={"model": entry.key, "other": other.key, "file": entry.file},
        )


def _with_entry(old: str, entry: ModelEntry, target: Path) -> str:
    """The file's text with the entry in it."""
    text = with_table(old or _NEW_FILE, "models", entry.key, _fields(entry))
    if text is None:
        raise ConfigurationError(
            f"`{target}` is written in a way in which `{entry.key}` cannot be added to it.",
            hint=f'Write each model as a table of its own, `[models."KEY"]`, and remove '
            f"`{entry.key}` by hand if it is there",
            details={"model": entry.key, "file": str(target)},
        )
    return text


def _fields(entry: ModelEntry) -> dict[str, Any]:
    """What is written of an entry: what no default says, and no shipped model of its key."""
    fields = entry.model_dump(mode="json", exclude={"key"}, exclude_defaults=True)
    shipped = next((m for m in ModelRegistry.load().all() if m.key == entry.key), entry)
    over = {
        name
        for name in ModelEntry.model_fields
        if name != "key" and getattr(shipped, name) != getattr(entry, name)
    }
    # What TOML cannot say, `None`, stays the shipped one's: the check after it refuses that.
    return fields | entry.model_dump(mode="json", include=over, exclude_none=True)


def _write(new: Path, text: str, like: Path) -> None:
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with os.fdopen(handle, "wb") as file:
        if like.exists():
            os.fchmod(handle, like.stat().st_mode & 0o7777)
        file.write(text.encode())
        file.flush()
        os.fsync(handle)


def _check_loads(new: Path, entry: ModelEntry, target: Path) -> None:
    hint, details = "Give it another key (--key)", {"model": entry.key, "file": str(target)}
    try:
        loaded = ModelRegistry.load(new).get(entry.key)
    except AgentLabError as error:
        raise ConfigurationError(
            f"`{target}` would not load with `{entry.key}` in it: {error.message}",
            hint=hint,
            details=details,
        ) from error
    if loaded != entry:
        raise ConfigurationError(
            f"`{entry.key}` would mix with the model of this key that is shipped.",
            hint=hint,
            details=details,
        )


def _sync_folder(folder: Path) -> None:
    # The new name is safe only once the folder is on disk too.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _disk_errors(target: Path) -> Iterator[None]:
    hint = "Set AGENT_LAB_MODELS_FILE to a file that you can write to."
    try:
        yield
    except Timeout as error:
        raise StorageError(
            f"`{target}` is being changed by another process.", hint="Try again in a moment."
        ) from error
    except OSError as error:
        raise StorageError(
            f"`{target}` cannot be written: {error.strerror or error}.", hint=hint
        ) from error
