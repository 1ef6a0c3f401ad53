"""Pulls weights and shows how far it is."""

import asyncio
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from agent_lab.cli.outputs import Interrupted, say

if TYPE_CHECKING:
    from agent_lab.config import Settings
    from agent_lab.contracts import PullProgress
    from agent_lab.providers.provider_gateway import ProviderGateway
    from agent_lab.providers.registries.model_registry import ModelEntry


class PullView:
    """A progress bar on a terminal; elsewhere one line for each source.

    Args:
        entry: The model that is pulled.
    """

    def __init__(self, entry: "ModelEntry") -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._key = entry.key
        self._source = ""
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task(entry.key, total=entry.bytes or None)
        self.fetched = False
        """Whether anything had to be fetched."""

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def __call__(self, progress: "PullProgress") -> None:
        """Show one step."""
        self.fetched = True
        if progress.source != self._source:
            self._source = progress.source
            if progress.source:
                # By the bar's own console: it draws itself again below the line.
                line = f"agent-lab: `{self._key}` from {progress.source}"
                self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._bar.update(
            self._task,
            completed=progress.done,
            description=f"{self._key} ({progress.phase})",
        )


def pull_models(settings: "Settings", keys: Sequence[str], *, force: bool = False) -> None:
    """Fetch the weights of some models, one after the other, showing how far each is."""
    from agent_lab.providers.provider_gateway import ProviderGateway

    gateway = ProviderGateway.from_settings(settings)
    for entry in [gateway.models.get(key) for key in keys]:
        try:
            asyncio.run(_pull(gateway, entry, force=force))
        except KeyboardInterrupt:
            raise Interrupted(
                f"What was fetched is kept. Try: agent-lab models pull {entry.key}"
            ) from None


async def _pull(gateway: "ProviderGateway", entry: "ModelEntry", *, force: bool) -> None:
    with PullView(entry) as view:
        path = await gateway.weights.pull(entry, view, force=force)
    if view.fetched:
        say(f"`{entry.key}` is in `{path}`. Licence: {entry.licence or 'unknown'}.")
    else:
        say(f"`{entry.key}` is here already: `{path}`.")
