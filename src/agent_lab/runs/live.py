"""What those who watch a run see as it happens: pulled by each at a pace of their own.

A reader never holds up the run: what is more than it takes is dropped, and read again in the log.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import TypeAlias

from agent_lab.contracts import JsonObject
from agent_lab.orchestrator.run_recorder import EventType
from agent_lab.runs.events import RunEvent

MOST_UNREAD = 512
"""Events that wait for one reader; one that is further behind reads the log."""
GATHERED_S = 0.05
"""Longest time that a piece of a turn waits for the next ones."""
GATHERED_CHARACTERS = 64
"""Length at which gathered pieces are handed on."""


Draft: TypeAlias = list[tuple[str, bool]]
"""What has been shown of a turn that is being written: texts, and whether they are reasoning."""


class Shown:
    """How much of a turn one reader has been shown."""

    def __init__(self) -> None:
        self._pieces = 0
        self._characters = {False: 0, True: 0}

    def news(self, draft: Draft) -> Iterator[JsonObject]:
        """What the draft has beyond that, joined as far as it is of one kind."""
        fresh = draft[self._pieces :]
        self._pieces = len(draft)
        for reasoning, pieces in groupby(fresh, key=itemgetter(1)):
            yield self._piece("".join(text for text, _ in pieces), reasoning=reasoning)

    def rest(self, turn: JsonObject) -> Iterator[JsonObject]:
        """What the finished turn has beyond that."""
        for reasoning, text in ((True, turn["reasoning"]), (False, turn["text"])):
            fresh = text[self._characters[reasoning] :]
            if fresh:
                yield self._piece(fresh, reasoning=reasoning)

    def _piece(self, text: str, *, reasoning: bool) -> JsonObject:
        offset = self._characters[reasoning]
        self._characters[reasoning] += len(text)
        return {"delta": text, "reasoning": reasoning, "offset": offset}


class LiveRun:
    """A run that is being executed here.

    Args:
        run_id: The run.
        now: The clock.
    """

    def __init__(self, run_id: str, now: Callable[[], datetime]) -> None:
        self.run_id = run_id
        self.now = now
        self.drafts: dict[str, Draft] = {}
        self.readers: set[LiveReader] = set()
        self.is_over = False

    def publish(self, event_type: EventType, turn: str, make: Callable[[str], RunEvent]) -> None:
        """Show an event that is in the log.

        Args:
            event_type: Its type.
            turn: The turn that it is about; empty: none.
            make: Makes the event, for the run's id; called only if anybody watches.
        """
        if event_type == "TEXT_MESSAGE_START":
            self.drafts[turn] = []
        if self.readers:
            event = make(self.run_id)
            for reader in self.readers:
                reader.take(event)
        if event_type == "TEXT_MESSAGE_END":
            self.drafts.pop(turn, None)

    def publish_delta(self, turn: str, text: str, *, reasoning: bool) -> None:
        """Show a piece of a turn."""
        self.drafts[turn].append((text, reasoning))
        for reader in self.readers:
            reader.wake(len(text))

    def close(self) -> None:
        """Say that nothing more will come from here."""
        self.is_over = True
        for reader in self.readers:
            reader.wake(GATHERED_CHARACTERS)


class LiveReader:
    """One who watches a run.

    Args:
        live: The run.
        after: The last event of the log that is known.
    """

    def __init__(self, live: LiveRun, after: int) -> None:
        self._live = live
        self.after = after
        """The last event of the log that was handed on."""
        self._unread: deque[RunEvent] = deque()
        # Turns that began before what is known: their drafts are shown from the beginning.
        self._shown: dict[str, Shown] = {name: Shown() for name in live.drafts}
        self._missed = True  # what came before this reader
        self._news = asyncio.Event()
        self._characters = 0

    def __enter__(self) -> "LiveReader":
        self._live.readers.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._live.readers.discard(self)

    @property
    def has_missed(self) -> bool:
        """Whether the log must be read: something came that is not here."""
        return self._missed

    def before_reading(self) -> None:
        """Note that the log is about to be read: what is missed from now on may not be in it."""
        self._missed = False

    def take(self, event: RunEvent) -> None:
        """Keep an event until it is asked for."""
        self._unread.append(event)
        if len(self._unread) > MOST_UNREAD:
            self._unread.clear()
            self._missed = True
        self.wake(GATHERED_CHARACTERS)

    def wake(self, characters: int) -> None:
        """Say that there is something new."""
        self._characters += characters
        self._news.set()

    def catch_up(self, events: Sequence[RunEvent]) -> None:
        """Take in what the log has after the last event that is known.

        Args:
            events: Read after `before_reading`.
        """
        if self._missed:
            self._unread.clear()  # they came after a gap; the next reading has both
        self._unread.extendleft(reversed(events))

    def news(self) -> list[RunEvent]:
        """Everything that came since the last time: events, and pieces of turns.

        A turn that has ended before all of it was shown is shown to its end: whoever only joins
        pieces has the whole text.
        """
        self._news.clear()
        self._characters = 0
        events = [piece for event in self._unread for piece in self._whole(event)]
        self._unread.clear()
        if not self._missed:
            for name, shown in self._shown.items():
                draft = self._live.drafts.get(name)
                events += [self._piece(name, p) for p in shown.news(draft)] if draft else []
        return events

    async def wait(self, longest_s: float) -> None:
        """Return when there is something worth showing, or after so many seconds."""
        if self._missed:
            return
        try:
            async with asyncio.timeout(longest_s):
                await self._news.wait()
        except TimeoutError:
            return
        if self._characters < GATHERED_CHARACTERS and not self._unread:
            await asyncio.sleep(GATHERED_S)  # what follows at once is shown with it

    def _whole(self, event: RunEvent) -> Iterator[RunEvent]:
        """An event, unless it is known, after what was not yet shown of its turn."""
        if event.seq is None or event.seq <= self.after:
            return
        self.after = event.seq
        if event.type == "TEXT_MESSAGE_START":
            self._shown[event.payload["messageId"]] = Shown()
        elif event.type == "TEXT_MESSAGE_END":
            name = event.payload["messageId"]
            for piece in self._shown.pop(name, Shown()).rest(event.payload["turn"]):
                yield self._piece(name, piece)
        yield event

    def _piece(self, turn: str, piece: JsonObject) -> RunEvent:
        return RunEvent(
            run_id=self._live.run_id,
            seq=None,
            ts=self._live.now(),
            type="TEXT_MESSAGE_CONTENT",
            payload={"messageId": turn, **piece},
        )
