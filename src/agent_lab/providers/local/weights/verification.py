"""Tells whether a weights file is the one that its registry entry names, at little cost.

A damaged file may load and answer, so its sha256 must be right; hashing a gigabyte takes seconds,
so a good hash is remembered beside the file, in `<file>.verified`.
"""

import json
from contextlib import suppress
from hashlib import file_digest
from pathlib import Path
from typing import Any

from agent_lab.errors import StorageError, WeightsCorruptError, WeightsMissingError
from agent_lab.providers.registries.model_registry import ModelEntry


def verified(entry: ModelEntry, path: Path) -> Path:
    """Return `path`, once its content is known to be right.

    Args:
        entry: Gives size and sha256; without a sha256 any content is right.
        path: The weights file.

    Raises:
        WeightsMissingError: There is no such file.
        WeightsCorruptError: It is another file than the entry describes.
        StorageError: It cannot be read.
    """
    if not path.is_file():
        raise WeightsMissingError(
            f"The weights of `{entry.key}` are not in `{path.parent}`.",
            hint=f"agent-lab models pull {entry.key}",
            details={"model": entry.key, "path": str(path)},
        )
    # Before the hash: a file that changes meanwhile does not fit its stamp later.
    stamp = _stamp(entry, path)
    if entry.bytes not in (0, stamp["size"]):
        raise _corrupt(entry, path, f"{entry.bytes} bytes", f"{stamp['size']}")
    if entry.sha256 and stamp != _read_stamp(path):
        found = _hash(path)
        if found != entry.sha256:
            raise _corrupt(entry, path, f"sha256 `{entry.sha256[:12]}`", f"`{found[:12]}`")
        _write_stamp(path, stamp)
    return path


def remember(entry: ModelEntry, path: Path) -> None:
    """Trust `path` as it is now, since its bytes were hashed while they were written."""
    if entry.sha256:
        _write_stamp(path, _stamp(entry, path))


def _stamp(entry: ModelEntry, path: Path) -> dict[str, Any]:
    facts = path.stat()
    return {"sha256": entry.sha256, "size": facts.st_size, "mtime_ns": facts.st_mtime_ns}


def _stamp_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.verified")


def _read_stamp(path: Path) -> Any:
    try:
        return json.loads(_stamp_path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write_stamp(path: Path, stamp: dict[str, Any]) -> None:
    # A folder that is read-only serves as well: its files are hashed at each start.
    with suppress(OSError):
        _stamp_path(path).write_text(json.dumps(stamp), encoding="utf-8")


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StorageError(f"`{path}` cannot be read: {error.strerror or error}.") from error


def _corrupt(entry: ModelEntry, path: Path, expected: str, found: str) -> WeightsCorruptError:
    return WeightsCorruptError(
        f"`{path}` is not the file that it should be: expected {expected}, found {found}.",
        hint=f"agent-lab models pull {entry.key} --force",
        details={"model": entry.key, "path": str(path)},
    )
