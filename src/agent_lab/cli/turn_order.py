"""Puts the events of turns that are taken at the same time one after the other, counts between."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent_lab.runs.events import RunEvent

STARTS, ENDS = "TEXT_MESSAGE_START", "TEXT_MESSAGE_END"
OF_TURNS = (STARTS, "TEXT_MESSAGE_CONTENT", ENDS)
COUNTS = "STEP_FINISHED"
LAST = ("RUN_FINISHED", "RUN_ERROR")


class OneAtATime:
    """Lets one turn through as it happens, and keeps the others until it has ended.

    Turns come out in the order in which they began; a count, after those that began before it. What
    has not ended when the run does comes out as far as it came.
    """

    def __init__(self) -> None:
        self._kept: dict[str, list[RunEvent]] = {}
        """By turn that has begun, and by count: what has not come out yet; the first one is let
        through.
        """

    def __call__(self, event: "RunEvent") -> Iterator["RunEvent"]:
        """Take an event; give those whose time has come."""
        turn = _place_of(event)
        if turn is None:
            if event.type in LAST:
                yield from self._rest()
            yield event
            return
        kept = self._kept.setdefault(turn, [])
        if next(iter(self._kept)) != turn:
            if event.type == STARTS:
                kept.clear()  # a second start voids what nobody has seen
            kept.append(event)
            return
        yield event
        if event.type in (ENDS, COUNTS):
            del self._kept[turn]
            yield from self._following()

    def _following(self) -> Iterator["RunEvent"]:
        """The turns that have ended meanwhile, and what there is of the one after them."""
        while self._kept:
            turn, kept = next(iter(self._kept.items()))
            events = list(kept)
            kept.clear()
            yield from events
            if not events or events[-1].type not in (ENDS, COUNTS):
                return
            del self._kept[turn]

    def _rest(self) -> Iterator["RunEvent"]:
        for kept in self._kept.values():
            yield from kept
        self._kept.clear()


def _place_of(event: "RunEvent") -> str | None:
    """The turn, or the count, that an event is part of; None: it holds up none of them."""
    if event.type in OF_TURNS:
        turn: str = event.payload["messageId"]
        return turn
    step = event.payload["step"] if event.type == COUNTS else {}
    if step.get("vote"):
        return f"{step['path']}:{step.get('visit', 0)}:{step.get('retry', 0)} counted"
    return None
