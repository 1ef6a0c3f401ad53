"""The file that a download grows in: hashed while it is written, kept when the download is cut."""

import asyncio
import errno
import json
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Self

from agent_lab.errors import StorageError

CHUNK = 1 << 20
"""Bytes that are read, hashed and written in one step: a cancelled pull waits for one step."""

Report = Callable[[int, str], None]
"""Takes the bytes that the partial file holds and the phase of the work."""


class SourceFailedError(Exception):
    """One source could not give the file; the text is the reason, as a clause of a message."""


class WrongBytesError(SourceFailedError):
    """The bytes are not those of the file: what was kept of them is worthless."""


class CutError(SourceFailedError):
    """The bytes stopped before the end: asking the same source for the rest may succeed."""


class Wanted(NamedTuple):
    """The file that a download must give."""

    path: Path
    bytes: int
    """0: any size."""
    sha256: str
    """Empty: any content."""


class Record(NamedTuple):
    """How much of a partial file is whole, for a source that gives the file in parts."""

    source: str
    bytes: int
    parts: int


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into a `StorageError` that names `path`.

    Args:
        path: What is written inside the `with` block.

    Raises:
        StorageError: The block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise StorageError(
            f"`{path}` cannot be written: {error.strerror or error}.",
            hint="Free some disk space, or set MODEL_CACHE_DIR to a folder on another disk."
            if full
            else "Set MODEL_CACHE_DIR to a folder that you can write to.",
        ) from error


class PartialFile:
    """`<file>.partial`, beside the file that it becomes.

    Bytes are only ever appended, so every length that was reached is a correct beginning of the
    file, and a later download may continue from it. Without a sha256 nobody could tell whether
    two downloads gave the same file, so then nothing is continued.

    Args:
        wanted: The file that this one becomes.
        report: Hears of every step.

    Raises:
        StorageError: The file cannot be opened.
    """

    def __init__(self, wanted: Wanted, report: Report) -> None:
        self.wanted = wanted
        self.done = 0
        """Bytes from the start of the file that are written and hashed."""
        self.continued = False
        """Whether bytes of an earlier download were kept."""
        self.path = wanted.path.with_name(f"{wanted.path.name}.partial")
        self._record_path = wanted.path.with_name(f"{wanted.path.name}.partial.json")
        self._report = report
        self._digest = sha256()
        # A cancelled step goes on in its thread: closing waits for it.
        self._step = threading.Lock()
        with storage_errors(self.path):
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        self._file = os.fdopen(handle, "r+b")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with self._step, suppress(OSError):
            self._file.close()
            if self.path.stat().st_size == 0:
                self.discard()

    @property
    def resumable(self) -> int:
        """Bytes that a source which can start anywhere need not give again."""
        if not (self.wanted.bytes and self.wanted.sha256):
            return 0
        size = os.fstat(self._file.fileno()).st_size
        record = self._read_record()
        return min(size, self.wanted.bytes, record.bytes if record else size)

    def recorded(self, source: str) -> Record:
        """What `source` recorded with `mark`, if its bytes are still there; else nothing."""
        record = self._read_record()
        if record is None or record.source != source or record.bytes != self.resumable:
            return Record(source, 0, 0)
        return record

    async def keep(self, length: int) -> None:
        """Keep the first `length` bytes, hashed again, and drop the rest and the record.

        Raises:
            WrongBytesError: The file is shorter.
            StorageError: The file cannot be read or cut.
        """
        self._digest, self.done, self.continued = sha256(), 0, length > 0
        while self.done < length and await asyncio.to_thread(self._hash_step, length):
            self._report(self.done, "verify")
        if self.done != length:
            raise WrongBytesError(f"the partial file holds {self.done} bytes instead of {length}")
        with storage_errors(self.path):
            self._file.truncate(length)
            self._record_path.unlink(missing_ok=True)
        self._report(self.done, "download")

    async def append(self, read: Callable[[int], Awaitable[bytes]]) -> None:
        """Append what `read` gives until it gives nothing; `keep` was called before.

        Args:
            read: Takes the most bytes that it may return.

        Raises:
            WrongBytesError: There are more bytes than the file has.
            StorageError: They cannot be written.
        """
        while chunk := await read(self._room()):
            await asyncio.to_thread(self._write_step, chunk)
            self._report(self.done, "download")
            if self.wanted.bytes and self.done > self.wanted.bytes:
                raise WrongBytesError(f"gave more than {self.wanted.bytes} bytes")

    def mark(self, source: str, parts: int) -> None:
        """Record that the bytes so far are `parts` whole parts of `source`.

        Raises:
            StorageError: The record cannot be written.
        """
        record = Record(source, self.done, parts)
        new = self._record_path.with_name(f"{self._record_path.name}.new")
        with storage_errors(self._record_path):
            new.write_text(json.dumps(record._asdict()), encoding="utf-8")
            new.replace(self._record_path)

    async def commit(self) -> None:
        """Make this the wanted file, if it is that file to the last byte.

        Raises:
            WrongBytesError: Size or sha256 is another.
            StorageError: It cannot be written out or renamed.
        """
        wanted, found = self.wanted, self._digest.hexdigest()
        if wanted.bytes and self.done != wanted.bytes:
            raise WrongBytesError(f"gave {self.done} bytes instead of {wanted.bytes}")
        if wanted.sha256 and found != wanted.sha256:
            raise WrongBytesError(
                f"gave a file with sha256 `{found[:12]}` instead of `{wanted.sha256[:12]}`"
            )
        await asyncio.to_thread(self._publish)

    def discard(self) -> None:
        """Delete the partial file and its record.

        Raises:
            StorageError: They cannot be deleted.
        """
        with storage_errors(self.path):
            self.path.unlink(missing_ok=True)
            self._record_path.unlink(missing_ok=True)

    def _room(self) -> int:
        # One byte too many is read on purpose: it shows that the source gives another file.
        return min(CHUNK, self.wanted.bytes + 1 - self.done) if self.wanted.bytes else CHUNK

    def _hash_step(self, length: int) -> bool:
        with self._step, storage_errors(self.path):
            self._file.seek(self.done)
            chunk = self._file.read(min(CHUNK, length - self.done))
            self._digest.update(chunk)
            self.done += len(chunk)
            return bool(chunk)

    def _write_step(self, chunk: bytes) -> None:
        with self._step, storage_errors(self.path):
            self._file.seek(self.done)
            self._file.write(chunk)
            self._file.flush()
            self._digest.update(chunk)
            self.done += len(chunk)

    def _publish(self) -> None:
        with self._step, storage_errors(self.wanted.path):
            os.fsync(self._file.fileno())
            self.path.replace(self.wanted.path)
            self._record_path.unlink(missing_ok=True)
            folder = os.open(self.wanted.path.parent, os.O_RDONLY)
            try:
                # The new name is safe only once the folder is on disk too.
                os.fsync(folder)
            finally:
                os.close(folder)

    def _read_record(self) -> Record | None:
        try:
            saved = json.loads(self._record_path.read_text(encoding="utf-8"))
            return Record(str(saved["source"]), int(saved["bytes"]), int(saved["parts"]))
        except (OSError, ValueError, TypeError, KeyError):
            return None
