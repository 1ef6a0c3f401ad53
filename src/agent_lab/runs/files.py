"""Files that are written whole or not at all."""

import os
import tempfile
from itertools import count
from pathlib import Path

from agent_lab.errors import StorageError

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_numbers = count()
"""Tell two files apart that one process writes at the same time."""


def write_atomically(path: Path, text: str, hint: str, *, durable: bool = True) -> None:
    """Write a file whole or not at all; only its owner can read it.

    Args:
        path: The file; its folder is made if need be.
        text: Its new content.
        hint: What to do when it cannot be written.
        durable: Whether it outlives a power cut at once: there is no other copy.

    Raises:
        StorageError: The folder cannot be written, or the disk is full.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.{next(_numbers)}")
    try:
        try:
            descriptor = os.open(temporary, _NEW_FILE, 0o600)
        except FileNotFoundError:
            os.makedirs(folder, exist_ok=True)
            descriptor = os.open(temporary, _NEW_FILE, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode())
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
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
