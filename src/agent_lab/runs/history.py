"""Earlier runs, from the database."""

from collections.abc import Sequence

from agent_lab.orchestrator.history import EarlierRun
from agent_lab.orchestrator.run_recorder import message_id
from agent_lab.storage.run_store import RunStore
from agent_lab.storage.shared_texts import join_text


class SavedRuns:
    """Reads what the database keeps.

    Args:
        store: Where runs are kept.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store

    async def earlier(self, owner: str | None, *, most: int) -> Sequence[EarlierRun]:
        """The completed runs of one owner, of no other, oldest first.

        Args:
            owner: Who asks; None: whoever uses this machine without a name.
            most: How many of the latest ones to look at.

        Raises:
            StorageError: The database cannot be read.
        """
        rows, turns = await self._store.completed(owner, most)
        said: dict[str, dict[str, str]] = {row.id: {} for row in rows}
        for turn in turns:
            said[turn.run_id][message_id(turn.path, turn.visit, turn.retry)] = turn.text
        found = []
        for row in reversed(rows):
            texts = {**said[row.id], "input": row.input}
            texts["head"] = join_text(row.setting["head"], texts)
            output = join_text(row.output or [], texts)
            found.append(EarlierRun(row.id, row.flow, row.input, output, row.ended_at))
        return found
