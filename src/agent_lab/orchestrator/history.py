"""How nodes read what the same owner asked before; whoever keeps runs implements it."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol


class EarlierRun(NamedTuple):
    """A run that ended with an answer."""

    run_id: str
    flow: str
    input: str
    output: str
    ended_at: datetime


class HistoryReader(Protocol):
    """Knows earlier runs."""

    async def earlier(self, owner: str | None, *, most: int) -> Sequence[EarlierRun]:
        """The completed runs of one owner, of no other, oldest first.

        Args:
            owner: Who asks; None: whoever uses this machine without a name.
            most: How many of the latest ones to look at.

        Raises:
            AgentLabError: They cannot be read; the run goes on without them.
        """


class NoHistory:
    """Knows nothing."""

    async def earlier(self, owner: str | None, *, most: int) -> Sequence[EarlierRun]:
        """There was nothing before."""
        return ()
