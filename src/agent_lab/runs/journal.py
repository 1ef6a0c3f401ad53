"""The journal of one execution of a run: keeps what happens, and answers what has happened before.

A turn that has ended is queued in a moment, and committed before its successor is asked: each begin
is waited for, and all that was said before comes with it. An execution that goes on with a run
takes the same way through the same graph; what the journal has is not asked again.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import orjson

from agent_lab.contracts import ErrorInfo, JsonObject, Step, Turn, Usage
from agent_lab.errors import AgentLabError, JournalMismatchError, TurnLostError
from agent_lab.orchestrator.run_recorder import (
    SPOKEN,
    UNDECIDED,
    AskedTurn,
    EventType,
    message_id,
    spoken,
)
from agent_lab.runs.event_writer import EventWriter
from agent_lab.runs.events import DECISION, RESUMED, WAITING, activity
from agent_lab.runs.live import LiveRun
from agent_lab.runs.log import RunLog, ended_event
from agent_lab.runs.mismatch import difference
from agent_lab.runs.people import People
from agent_lab.runs.run_header import RunHeader
from agent_lab.runs.turn_rows import Key, KnownTurn, key_row, start_row, turn_row
from agent_lab.storage.commit_queue import CommitQueue
from agent_lab.storage.commits import Kind, Row
from agent_lab.storage.shared_texts import split_text
from agent_lab.storage.tables import microseconds

MOST_STARTS = 3
"""A turn that was asked so often, and never ended, has ended its process: it is asked no more."""
_ANEW = "agent-lab run … asks anew"


class Journal:
    """Records one execution of a run.

    Args:
        header: The run.
        epoch: The fence: what is written with an older one is refused.
        queue: Who commits.
        live: Who shows it.
        now: The clock.
        earlier: What earlier executions have left; None: this is the first.
    """

    def __init__(
        self,
        header: RunHeader,
        epoch: int,
        queue: CommitQueue,
        live: LiveRun,
        now: Callable[[], datetime],
        earlier: RunLog | None = None,
    ) -> None:
        self._header = header
        self._epoch = epoch
        self._now = now
        self._asked: set[Key] = set()
        self.turns: list[Turn] = []
        """Those that have ended, in this execution and before."""
        self.steps: list[Step] = []
        self._known: dict[Key, KnownTurn] = {}
        self._texts = header.known_texts()
        self._begun: Counter[str] = Counter()
        self._decisions: dict[str, Any] = {}
        last_seq = 0
        if earlier is not None:
            last_seq = earlier.events[-1].seq if earlier.events else 0
            self._known = dict(earlier.turns)
            self._texts = earlier.texts
            self.turns, self.steps = earlier.finished(), earlier.steps()
            self._begun, self._decisions = earlier.steps_begun(), earlier.decisions()
        self._steps = {(step.path, step.visit, step.retry): step for step in self.steps}
        self._people = People()
        self._log = EventWriter(header.id, epoch, queue, live, now, last_seq)
        self.publish_delta = live.publish_delta

    @property
    def is_kept(self) -> bool:
        """Whether all that was said so far, and queued, could be committed as far as is known."""
        return self._log.is_kept

    @property
    def begun_at(self) -> datetime | None:
        """When this execution wrote its first event."""
        return self._log.begun_at

    @property
    def last_at(self) -> datetime | None:
        """When it wrote its last one."""
        return self._log.last_at

    def create(self, row: Row, flow: Row | None, *, start: bool) -> None:
        """Put the run itself in, and say that it starts if it does so at once.

        Args:
            row: What its own row has beside the header.
            flow: The row of its flow's version; None: the database has it.
            start: Whether it starts.
        """
        now = self._now()
        started_at = microseconds(now) if start else None
        own = {**self._header.to_row(), "epoch": self._epoch, "started_at": started_at, **row}
        self._log.create([] if flow is None else [("flow", flow)])
        self._log.create([("run", own)])
        if start:
            self._log.add("RUN_STARTED", {}, served=self._header.started, at=now)

    def start(self) -> None:
        """Say that a run that has waited for its turn starts now."""
        now = self._now()
        started = {
            "run": self._header.id,
            "to_status": "running",
            "to_started_at": microseconds(now),
        }
        rows: list[tuple[Kind, Row]] = [("run_start", started)]
        self._log.add("RUN_STARTED", {}, rows, served=self._header.started, at=now)

    def resume(self, place: int) -> None:
        """Say that this execution goes on with the run.

        Args:
            place: How many executions there were before.
        """
        payload = activity(self._header.id, RESUMED, place, {"turns": len(self.turns)})
        status = {"run": self._header.id, "to_status": "running"}
        self._log.add("ACTIVITY_SNAPSHOT", payload, [("run_status", status)])

    def commit(self) -> "asyncio.Future[None]":
        """Have what was said so far committed; see `EventWriter.commit`."""
        return self._log.commit()

    def end(
        self, event_type: EventType, payload: JsonObject, usage: Usage
    ) -> "asyncio.Future[None]":
        """Say how the run ended; queued when this returns.

        Args:
            event_type: `RUN_FINISHED` or `RUN_ERROR`.
            payload: With the `result`.
            usage: Of all turns.
        """
        result, now = payload["result"], self._now()
        output = result.get("output")
        shared = None if output is None else split_text(output, self._texts)
        row = {
            "run": self._header.id,
            "to_status": result["status"],
            "to_stop_reason": result["stop_reason"],
            "to_output": None if shared is None else orjson.dumps(shared).decode(),
            "to_turn_count": len(self.turns),
            "to_tokens": usage.prompt_tokens + usage.completion_tokens,
            "to_cost_usd": usage.cost_usd,
            "to_ended_at": microseconds(now),
        }
        kept = {name: value for name, value in result.items() if name != "output"}
        stored = {**payload, "result": kept}
        self._log.add(event_type, stored, [("run_end", row)], served=lambda: payload, at=now)
        return self._log.commit()

    async def record(self, event_type: EventType, payload: JsonObject) -> None:
        """Add an event; what an earlier execution has logged of a node's begin is not repeated."""
        if event_type == "STEP_STARTED":
            path = payload["stepName"]
            self._people.step_begins(path)
            if self._begun[path] > 0:
                self._begun[path] -= 1
                return
        self._log.add(event_type, payload)

    async def begin_turn(self, asked: AskedTurn) -> Turn | None:
        """Say that a turn is about to be asked, or give what was said when it was."""
        known = self._known_turn(asked)
        if known is None:
            row = start_row(self._header.id, asked, asked.request_hash(), self._texts)
            await self._say_begun(asked, [("turn_start", row)])
            return None
        if known.ended:
            return known.asked
        if known.starts >= MOST_STARTS:
            return await self._lost(known)
        key = (asked.path, asked.visit, asked.retry)
        await self._say_begun(asked, [("turn_restart", key_row(self._header.id, key))])
        return None

    def _known_turn(self, asked: AskedTurn) -> KnownTurn | None:
        """What earlier executions have of a turn, if it was asked in the same words."""
        key = (asked.path, asked.visit, asked.retry)
        if key in self._asked:
            raise AgentLabError(f"The turn `{asked.message_id}` was asked twice in one execution.")
        self._asked.add(key)
        known = self._known.get(key)
        if known is not None and known.request_hash != asked.request_hash():
            raise self._mismatch(asked, known)
        return known

    async def restart_turn(self, asked: AskedTurn) -> None:
        """Say that what was shown of a turn is void."""
        await self._say_begun(asked, [])

    async def ask_person(self, asked: AskedTurn) -> Turn:
        """Wait for a person, here for as long as something else is done, else in the database."""
        known = self._known_turn(asked)
        if known is not None and known.ended:
            return known.asked
        if known is None:
            row = start_row(self._header.id, asked, asked.request_hash(), self._texts)
            await self._say_begun(asked, [("turn_start", row)])
        text = await self._people.wait_for(asked.message_id)
        turn = spoken(asked, text, self._now())
        await self.record_turn(turn)
        return turn

    @property
    def awaited(self) -> list[str]:
        """The turns that people are to take."""
        return self._people.awaited

    def answer(self, name: str, text: str) -> bool:
        """Hand on what a person has said; false: nobody waits for it here."""
        return self._people.answer(name, text)

    async def take_answer(self, name: str, text: str) -> None:
        """Record what a person has said while nobody executed the run."""
        path, visit, retry = name.rsplit(":", 2)
        key = (path, int(visit), int(retry))
        known = self._known[key]
        seconds = (self._now() - known.asked.started_at).total_seconds()
        changed = {**SPOKEN, "text": text, "seconds": seconds}
        await self.record_turn(known.asked.model_copy(update=changed))
        self._known[key] = known._replace(asked=self.turns[-1], ended=True)

    def wait(self) -> "asyncio.Future[None]":
        """Say that only people can go on with the run, and leave it to whoever they tell."""
        row: tuple[Kind, Row] = ("run_wait", {"run": self._header.id})
        content = {"turns": self._people.awaited}
        payload = activity(self._header.id, WAITING, self._log.seq, content)
        self._log.add("ACTIVITY_SNAPSHOT", payload, [row])
        return self._log.commit()

    async def record_turn(self, turn: Turn) -> None:
        """Keep a finished turn; it is committed before the next one is asked."""
        name = message_id(turn.path, turn.visit, turn.retry)
        numbered = turn.model_copy(update={"seq": self._log.seq + 1})
        self.turns.append(numbered)
        self._texts[name] = turn.text
        self._log.add(
            "TEXT_MESSAGE_END",
            {"messageId": name},
            [("turn_end", turn_row(self._header.id, numbered))],
            served=lambda: ended_event(numbered),
            turn=name,
        )
        self._log.end_turn()

    async def record_step(self, step: Step) -> bool:
        """Add a finished pass of a node; an earlier one must have gone the same way."""
        self._people.step_ends(step.path)
        known = self._steps.get((step.path, step.visit, step.retry))
        if known is None:
            self.steps.append(step)
            self._log.add(
                "STEP_FINISHED",
                step.model_dump_json(exclude_defaults=True),
                served=lambda: {"stepName": step.path, "step": step.model_dump(mode="json")},
            )
            return True
        if known.next != step.next:
            raise JournalMismatchError(
                f"Node `{step.path}` leads to {_named(step.next)} now; when the run was first "
                f"executed, it led to {_named(known.next)}.",
                hint=_ANEW,
            )
        return False

    def decided(self, key: str) -> Any:
        """What an earlier execution decided."""
        return self._decisions.get(key, UNDECIDED)

    def decide(self, key: str, value: Any) -> None:
        """Keep a decision; it is committed before, or with, whatever comes after it."""
        self._decisions[key] = value
        content = {"key": key, "value": value}
        payload = activity(self._header.id, DECISION, len(self._decisions), content)
        self._log.add("ACTIVITY_SNAPSHOT", payload)

    async def _say_begun(self, asked: AskedTurn, rows: Sequence[tuple[Kind, Row]]) -> None:
        name = asked.message_id
        stored = {"messageId": name}
        self._log.begin_turn()
        self._log.add("TEXT_MESSAGE_START", stored, rows, served=asked.event, turn=name)
        await self._log.commit_soon()

    async def _lost(self, known: KnownTurn) -> Turn:
        """End a turn that has never ended by itself: its process has died each time."""
        error = TurnLostError(
            f"The turn was asked {known.starts} times, and the process died each time.",
            hint="the server's log; less memory per model, or another model for this role",
        )
        turn = known.asked.model_copy(update={"status": "failed", "error": ErrorInfo.of(error)})
        await self.record_turn(turn)
        return turn

    def _mismatch(self, asked: AskedTurn, known: KnownTurn) -> JournalMismatchError:
        changed = difference(known.asked, asked)
        return JournalMismatchError(
            f"The turn `{asked.message_id}` of run `{self._header.id}` is asked otherwise now than "
            f"when the run was first executed: {changed}.",
            hint=_ANEW,
            details={"turn": asked.message_id, "difference": changed},
        )


def _named(nodes: Sequence[str]) -> str:
    return ", ".join(f"`{node}`" for node in nodes) or "the end"
