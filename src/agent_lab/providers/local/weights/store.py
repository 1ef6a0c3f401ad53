"""Keeps the weights of local models: finds, checks and fetches their files."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Self

from agent_lab.config import Settings
from agent_lab.contracts import PullProgress
from agent_lab.errors import (
    ConfigurationError,
    ProviderUnavailableError,
    StorageError,
    WeightsCorruptError,
    WeightsMissingError,
)
from agent_lab.providers.local.weights.hub import HubAccess
from agent_lab.providers.local.weights.lock import locked
from agent_lab.providers.local.weights.partial_file import (
    CutError,
    PartialFile,
    Report,
    SourceFailedError,
    Wanted,
    WrongBytesError,
    storage_errors,
)
from agent_lab.providers.local.weights.sources import Source, parse_source
from agent_lab.providers.local.weights.verification import remember, verified
from agent_lab.providers.registries.model_registry import ModelEntry

_TRIES = 3
"""How often one source is asked, as long as each time brings new bytes."""


OnProgress = Callable[[PullProgress], None]


def _silent(progress: PullProgress) -> None:
    """Hear nothing."""


def _reporter(on_progress: OnProgress, source: str, total: int) -> Report:
    def report(done: int, phase: str) -> None:
        on_progress(PullProgress(source, done, total, phase))

    return report


class WeightsStore:
    """The weights files below one folder.

    Args:
        folder: Where the files are; `pull` creates it.
        hub_endpoint: The hub that `hf:` sources are fetched from.
        hub_token: Its token, sent to no other host.
        offline: Never use the network.
    """

    def __init__(
        self,
        folder: Path,
        *,
        hub_endpoint: str = "https://huggingface.co",
        hub_token: str | None = None,
        offline: bool = False,
    ) -> None:
        self.folder = folder
        self._hub = HubAccess(hub_endpoint, hub_token)
        self._offline = offline

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Build the store that the operator's settings describe."""
        token = settings.hf_token
        return cls(
            settings.weights_folder,
            hub_endpoint=settings.hf_endpoint,
            hub_token=token.get_secret_value() if token else None,
            offline=settings.offline,
        )

    def path(self, entry: ModelEntry) -> Path:
        """Where the weights of `entry` are, or would be.

        Raises:
            ConfigurationError: The entry names no file, or one outside the folder.
        """
        if entry.file in ("", ".", "..") or Path(entry.file).name != entry.file:
            raise ConfigurationError(
                f"Model `{entry.key}` has no weights file: `{entry.file}` is not a file name.",
                hint="Correct `file` of the model's entry in models.toml.",
            )
        return self.folder / entry.file

    def present(self, entry: ModelEntry) -> bool:
        """Whether a file of the right size is there; cheap, and no proof of its content."""
        if not entry.file:
            return False
        path = self.path(entry)
        return path.is_file() and entry.bytes in (0, path.stat().st_size)

    def verified_path(self, entry: ModelEntry) -> Path:
        """Return the weights file, once its sha256 is known to be right.

        A good hash is remembered in `<file>.verified` and trusted while size and time of change
        stay as they were: hashing a gigabyte takes seconds, and a damaged file may load and
        answer. An entry without sha256 is taken as it is.

        Raises:
            WeightsMissingError: There is no such file.
            WeightsCorruptError: It is another file than the entry describes.
            StorageError: It cannot be read.
        """
        return verified(entry, self.path(entry))

    async def pull(
        self, entry: ModelEntry, on_progress: OnProgress = _silent, *, force: bool = False
    ) -> Path:
        """Fetch the weights of `entry` from the first source that gives the right file.

        What was downloaded is kept in `<file>.partial` when the pull is cancelled or cut; the
        next one continues there. A second process that pulls the same file waits for the first.

        Args:
            entry: Whose weights.
            on_progress: Hears of every step, in the event loop's thread.
            force: Fetch it even if it is there; what is there stays until the new file is right.

        Returns:
            The verified file; at once if it is there already.

        Raises:
            ProviderUnavailableError: No source gave the file; the message says why of each.
            StorageError: The folder cannot be written, or the disk is too full.
            ConfigurationError: The entry names no file, or a source has no known form.
        """
        path = self.path(entry)
        if not force and await asyncio.to_thread(self._verified, entry):
            return path
        sources = [(text, parse_source(text)) for text in entry.sources]
        with storage_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        failures = []
        async with locked(path, lambda: on_progress(PullProgress("", 0, entry.bytes, "waiting"))):
            # Another process may have fetched it while this one waited.
            if not force and await asyncio.to_thread(self._verified, entry):
                return path
            self._check_space(entry)
            for text, source in sources:
                failure = await self._try(entry, source, _reporter(on_progress, text, entry.bytes))
                if failure is None:
                    remember(entry, path)
                    return path
                failures.append(f"`{text}`: {failure}")
        raise self._nothing_fetched(entry, path, failures)

    def _verified(self, entry: ModelEntry) -> bool:
        try:
            self.verified_path(entry)
        except (WeightsMissingError, WeightsCorruptError):
            return False
        return True

    async def _try(self, entry: ModelEntry, source: Source, report: Report) -> str | None:
        """Fetch from one source; returns why it failed, or None."""
        if self._offline and source.needs_network:
            return "not asked (offline)"
        wanted = Wanted(self.path(entry), entry.bytes, entry.sha256)
        failure = ""
        for _ in range(_TRIES):
            with PartialFile(wanted, report) as partial:
                before = partial.resumable
                try:
                    await source.fetch(partial, self._hub)
                    await partial.commit()
                except SourceFailedError as error:
                    failure = str(error)
                    if isinstance(error, WrongBytesError):
                        partial.discard()
                        # What was kept may be what is wrong: once more without it.
                        again = partial.continued
                    else:
                        again = isinstance(error, CutError) and partial.resumable > before
                else:
                    return None
            if not again:
                break
        return failure

    def _check_space(self, entry: ModelEntry) -> None:
        partial = self.path(entry).with_name(f"{entry.file}.partial")
        needed = entry.bytes - (partial.stat().st_size if partial.is_file() else 0)
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise StorageError(
                f"The weights of `{entry.key}` need {needed / 1e9:.2f} GB more in "
                f"`{self.folder}`, and {free / 1e9:.2f} GB are free.",
                hint="Free some disk space, or set MODEL_CACHE_DIR to a folder on another disk.",
                details={"needed_bytes": needed, "free_bytes": free},
            )

    def _nothing_fetched(
        self, entry: ModelEntry, path: Path, failures: list[str]
    ) -> ProviderUnavailableError:
        reasons = "; ".join(failures) or "its entry names no source"
        network = "Unset AGENT_LAB_OFFLINE" if self._offline else "Set HTTPS_PROXY or HF_ENDPOINT"
        return ProviderUnavailableError(
            f"The weights of `{entry.key}` could not be fetched: {reasons}.",
            provider="weights",
            model=entry.key,
            hint=f"{network} and try again, or put the file at `{path}` yourself.",
            details={"model": entry.key, "path": str(path), "failures": failures},
        )
