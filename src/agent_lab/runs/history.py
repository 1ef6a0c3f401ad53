"""Earlier runs, from their saved records."""

import asyncio
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from agent_lab.contracts import field_problems
from agent_lab.errors import StorageError
from agent_lab.orchestrator.history import EarlierRun

logger = logging.getLogger(__name__)

_EARLIER = TypeAdapter(EarlierRun)


class SavedRuns:
    """Reads what is in the folder of the saved runs.

    Args:
        outputs: The folder.
    """

    def __init__(self, outputs: Path) -> None:
        self._outputs = outputs

    async def earlier(self, owner: str | None, *, most: int) -> Sequence[EarlierRun]:
        """The completed runs of one owner, of no other, oldest first.

        Args:
            owner: Who asks; None: whoever uses this machine without a name.
            most: How many of the latest ones to look at.

        Raises:
            StorageError: The folder cannot be read.
        """
        return await asyncio.to_thread(self._read, owner, most)

    def _read(self, owner: str | None, most: int) -> list[EarlierRun]:
        found: list[EarlierRun] = []
        try:
            # Ids are ULIDs: their order is that of their beginnings.
            paths = sorted(self._outputs.glob("*_flows/*.json"), key=lambda path: path.stem)
        except OSError as error:
            raise StorageError(f"`{self._outputs}` cannot be read: {error}.") from error
        for path in reversed(paths):
            found += _completed(path, owner)
            if len(found) >= most:
                break
        return found[::-1]


def _completed(path: Path, owner: str | None) -> Iterator[EarlierRun]:
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        if saved["status"] != "completed" or saved["owner"] != owner:
            return
        yield _EARLIER.validate_python(
            {
                "run_id": saved["id"],
                "flow": saved["flow"],
                "input": saved["input"],
                "output": saved["output"],
                "ended_at": saved["ended_at"],
            }
        )
    except ValidationError as error:
        logger.warning("`%s` is no record of a run: %s", path, field_problems(error))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        # Somebody else's file, or one of an older lab: no reason to answer nothing.
        logger.warning("`%s` is no record of a run: %r", path, error)
