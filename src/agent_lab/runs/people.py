"""The people whom an execution waits for, and whether anything else is left to do."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence

from agent_lab.errors import RunStateError, RunWaitingError


class People:
    """Knows who is awaited in one execution, and which nodes are at work beside that."""

    def __init__(self) -> None:
        self._at_work: Counter[str] = Counter()
        self._waits: dict[str, asyncio.Future[str]] = {}

    @property
    def awaited(self) -> list[str]:
        """The turns that people are to take."""
        return sorted(self._waits)

    def step_begins(self, path: str) -> None:
        """Note that a node is at work."""
        self._at_work[path] += 1

    def step_ends(self, path: str) -> None:
        """Note that a node has done its work."""
        self._at_work[path] -= 1
        if not self._at_work[path]:
            del self._at_work[path]
        self._leave_if_idle()

    async def wait_for(self, name: str) -> str:
        """Wait for what a person says.

        Args:
            name: The turn.

        Raises:
            RunWaitingError: Only people can go on: nobody waits for them in memory.
        """
        self._waits[name] = asyncio.get_running_loop().create_future()
        self._leave_if_idle()
        text = await self._waits[name]
        del self._waits[name]
        return text

    def answer(self, name: str, text: str) -> bool:
        """Hand on what a person has said; false: nobody waits for it."""
        waits = self._waits.get(name)
        if waits is None or waits.done():
            return False
        waits.set_result(text)
        return True

    def _leave_if_idle(self) -> None:
        """A node that runs a flow is not at work itself: the nodes of that flow are."""
        waits = [wait for wait in self._waits.values() if not wait.done()]
        if not waits:
            return
        holders = {outer for path in self._at_work for outer in _around(path)}
        if len(waits) == len(self._at_work.keys() - holders):
            for wait in waits:
                wait.set_exception(RunWaitingError("Only a person can go on with the run."))
                wait.exception()  # seen: one of them is enough to end the execution


def _around(path: str) -> Iterator[str]:
    """What a node may be within, by its path."""
    return (path[:place] for place, character in enumerate(path) if character in ".[")


def chosen_turn(run_id: str, awaited: Sequence[str], turn: str | None) -> str:
    """The turn that a person takes.

    Args:
        run_id: The run.
        awaited: Those that people are to take.
        turn: The one that is meant; None: the only one.

    Raises:
        RunStateError: It is not awaited, or there are several.
    """
    if turn is None and len(awaited) == 1:
        return awaited[0]
    if turn is not None and turn in awaited:
        return turn
    whom = ", ".join(f"`{name}`" for name in awaited) or "nobody"
    raise RunStateError(
        f"The run `{run_id}` waits for {whom}" + (f", not for `{turn}`." if turn else "."),
        hint=f"agent-lab runs answer {run_id} TEXT --turn TURN" if awaited else "",
        details={"awaited": list(awaited)},
    )
