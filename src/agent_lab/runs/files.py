"""Files that are written whole or not at all."""

import os
import tempfile
from pathlib import Path

from agent_lab.errors import StorageError


def write_atomically(path: Path, text: str, hint: str) -> None:
    """Write a file whole or not at all; only its owner can read it.

    Args:
        path: The file; its folder is made if need be.
        text: Its new content.
        hint: What to do when it cannot be written.

    Raises:
        StorageError: The folder cannot be written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _not_writable(path.parent, error, hint) from error


def check_writable(folder: Path, hint: str) -> None:
    """Find out before anything is paid for whether a folder can be written.

    Raises:
        StorageError: It cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _not_writable(folder, error, hint) from error


def _not_writable(folder: Path, error: OSError, hint: str) -> StorageError:
    reason = (error.strerror or str(error)).lower()
    return StorageError(
        f"The folder `{folder}` cannot be written: {reason}.",
        hint=hint,
        details={"folder": str(folder)},
    )
