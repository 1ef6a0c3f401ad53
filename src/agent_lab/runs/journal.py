"""The journal of one execution of a run: keeps what happens, and answers what has happened before.

Every finished turn is committed before its successor starts. An execution that goes on with a run
takes the same way through the same graph; what the journal has is not asked again.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import orjson

from agent_lab.contracts import ErrorInfo, JsonObject, Step, Turn
from agent_lab.errors import AgentLabError, JournalMismatchError, TurnLostError
from agent_lab.orchestrator.flow_metrics import total_usage
from agent_lab.orchestrator.run_recorder import UNDECIDED, AskedTurn, EventType
from agent_lab.runs.events import DECISION, RESUMED, RunEvent, activity
from agent_lab.runs.live import LiveRun
from agent_lab.runs.log import RunLog, ended_event
from agent_lab.runs.mismatch import difference
from agent_lab.runs.run_header import RunHeader
from agent_lab.runs.turn_rows import Key, KnownTurn, key_row, start_row, turn_row
from agent_lab.storage.commit_queue import CommitQueue
from agent_lab.storage.commits import Change, Kind, Row
from agent_lab.storage.shared_texts import split_text

logger = logging.getLogger(__name__)

MOST_STARTS = 3
"""A turn that was asked so often, and never ended, has ended its process: it is asked no more."""


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
        self._queue = queue
        self._live = live
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._broken: Exception | None = None
        self._asked: set[Key] = set()
        self.turns: list[Turn] = []
        self.steps: list[Step] = []
        self._known: dict[Key, KnownTurn] = {}
        self._texts = header.known_texts()
        self._begun: Counter[str] = Counter()
        self._decisions: dict[str, Any] = {}
        self._seq = 0
        self.begun_at: datetime | None = None
        """When this execution wrote its first event."""
        self.last_at: datetime | None = None
        """When it wrote its last one."""
        if earlier is not None:
            self._take_in(earlier)
        self._steps = {(step.path, step.visit, step.retry): step for step in self.steps}

    @property
    def seconds(self) -> float:
        """For how long this execution has gone on."""
        if self.begun_at is None or self.last_at is None:
            return 0.0
        return (self.last_at - self.begun_at).total_seconds()

    def _take_in(self, earlier: RunLog) -> None:
        self._seq = earlier.events[-1].seq if earlier.events else 0
        self._known = dict(earlier.turns)
        self._texts = earlier.texts
        self.turns, self.steps = earlier.finished(), earlier.steps()
        self._begun, self._decisions = earlier.steps_begun(), earlier.decisions()

    def create(self, row: Row, flow: Row | None, *, start: bool) -> "asyncio.Future[None]":
        """Put the run itself in, and say that it starts if it does so at once.

        Args:
            row: What its own row has beside the header.
            flow: The row of its flow's version; None: the database has it.
            start: Whether it starts.
        """
        own = {**self._header.to_row(), "epoch": self._epoch, "started_at": None, **row}
        rows: list[tuple[Kind, Row]] = [("run", own)]
        if flow is not None:
            rows.insert(0, ("flow", flow))
        if not start:
            return self._send(rows, creates=True)
        own["started_at"] = now = self._now()
        begun = {"runId": self._header.id}
        return self._put("RUN_STARTED", begun, rows, self._header.started, at=now, creates=True)

    def start(self) -> None:
        """Say that a run that has waited for its turn starts now."""
        now, run_id = self._now(), self._header.id
        started = {"run": run_id, "to_status": "running", "to_started_at": now}
        self._put(
            "RUN_STARTED",
            {"runId": run_id},
            [("run_start", started)],
            self._header.started,
            at=now,
        )

    def resume(self, place: int) -> None:
        """Say that this execution goes on with the run.

        Args:
            place: How many executions there were before.
        """
        content = {"turns": len(self.turns)}
        status = {"run": self._header.id, "to_status": "running"}
        payload = activity(self._header.id, RESUMED, place, content)
        self._put("ACTIVITY_SNAPSHOT", payload, [("run_status", status)])

    def end(self, event_type: EventType, payload: JsonObject) -> "asyncio.Future[None]":
        """Say how the run ended; it is in the log when the future is done.

        Args:
            event_type: `RUN_FINISHED` or `RUN_ERROR`.
            payload: With the `result`.
        """
        result = payload["result"]
        usage, now = total_usage(self.turns), self._now()
        output = result.get("output")
        kept = {name: value for name, value in result.items() if name != "output"}
        row = {
            "run": self._header.id,
            "to_status": result["status"],
            "to_stop_reason": result["stop_reason"],
            "to_output": None
            if output is None
            else orjson.dumps(split_text(output, self._texts)).decode(),
            "to_turn_count": len(self.turns),
            "to_tokens": usage.prompt_tokens + usage.completion_tokens,
            "to_cost_usd": usage.cost_usd,
            "to_ended_at": now,
        }
        stored = {**payload, "result": kept}
        return self._put(event_type, stored, [("run_end", row)], lambda: payload, at=now)

    async def record(self, event_type: EventType, payload: JsonObject) -> None:
        """Add an event; what an earlier execution has logged of a node's begin is not repeated."""
        if event_type == "STEP_STARTED":
            path = payload["stepName"]
            if self._begun[path] > 0:
                self._begun[path] -= 1
                return
        self._put(event_type, payload)

    async def begin_turn(self, asked: AskedTurn) -> Turn | None:
        """Say that a turn is about to be asked, or give what was said when it was."""
        key = (asked.path, asked.visit, asked.retry)
        if key in self._asked:
            raise AgentLabError(f"The turn `{asked.message_id}` was asked twice in one execution.")
        self._asked.add(key)
        digest = asked.request_hash()
        known = self._known.get(key)
        if known is not None and known.request_hash != digest:
            raise self._mismatch(asked, known)
        if known is not None and known.ended:
            return known.asked
        if known is not None and known.starts >= MOST_STARTS:
            return await self._lost(known)
        row: tuple[Kind, Row]
        if known is None:
            row = ("turn_start", start_row(self._header.id, asked, digest, self._texts))
        else:
            row = ("turn_restart", key_row(self._header.id, key))
        await self._begun_turn(asked, [row])
        return None

    async def restart_turn(self, asked: AskedTurn) -> None:
        """Say that what was shown of a turn is void."""
        await self._begun_turn(asked, ())

    async def record_turn(self, turn: Turn) -> None:
        """Commit a finished turn. What is cancelled now has been queued all the same."""
        numbered = turn.model_copy(update={"seq": self._seq + 1})
        name = ended_name(turn)
        self.turns.append(numbered)
        self._texts[name] = turn.text
        row = turn_row(self._header.id, numbered)
        stored = {"messageId": name}
        await self._put(
            "TEXT_MESSAGE_END", stored, [("turn_end", row)], lambda: ended_event(numbered), name
        )

    async def record_step(self, step: Step) -> bool:
        """Add a finished pass of a node; an earlier one must have gone the same way."""
        known = self._steps.get((step.path, step.visit, step.retry))
        if known is not None:
            if known.next != step.next:
                raise JournalMismatchError(
                    f"Node `{step.path}` leads to {_named(step.next)} now; when the run was first "
                    f"executed, it led to {_named(known.next)}.",
                    hint=_ANEW,
                )
            return False
        self.steps.append(step)
        text = step.model_dump_json(exclude_defaults=True)
        self._put_text(
            "STEP_FINISHED",
            text,
            served=lambda: {"stepName": step.path, "step": step.model_dump(mode="json")},
        )
        return True

    def decided(self, key: str) -> Any:
        """What an earlier execution decided."""
        return self._decisions.get(key, UNDECIDED)

    def decide(self, key: str, value: Any) -> None:
        """Keep a decision; it is committed before whatever comes after it."""
        self._decisions[key] = value
        content = {"key": key, "value": value}
        payload = activity(self._header.id, DECISION, len(self._decisions), content)
        self._put("ACTIVITY_SNAPSHOT", payload)

    def publish_delta(self, turn: str, delta: str, *, reasoning: bool) -> None:
        """Show a piece of a turn."""
        self._live.publish_delta(turn, delta, reasoning=reasoning)

    async def _begun_turn(self, asked: AskedTurn, rows: Sequence[tuple[Kind, Row]]) -> None:
        name = asked.message_id
        stored = {"messageId": name}
        await self._put("TEXT_MESSAGE_START", stored, rows, asked.event, name)

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

    def _put(
        self,
        event_type: EventType,
        payload: JsonObject,
        rows: Sequence[tuple[Kind, Row]] = (),
        served: Callable[[], JsonObject] | None = None,
        turn: str = "",
        *,
        at: datetime | None = None,
        creates: bool = False,
    ) -> "asyncio.Future[None]":
        text = orjson.dumps(payload).decode()
        made = served or (lambda: payload)
        return self._put_text(event_type, text, rows, made, turn, at=at, creates=creates)

    def _put_text(
        self,
        event_type: EventType,
        text: str,
        rows: Sequence[tuple[Kind, Row]] = (),
        served: Callable[[], JsonObject] = dict,
        turn: str = "",
        *,
        at: datetime | None = None,
        creates: bool = False,
    ) -> "asyncio.Future[None]":
        """Queue an event with the rows that belong to it; shown once they are committed."""
        self._seq += 1
        seq, ts, run_id = self._seq, at or self._now(), self._header.id
        self.begun_at, self.last_at = self.begun_at or ts, ts
        event = {"run_id": run_id, "seq": seq, "ts": ts, "type": event_type, "payload": text}

        def show() -> None:
            def make() -> RunEvent:
                return RunEvent(run_id=run_id, seq=seq, ts=ts, type=event_type, payload=served())

            self._live.publish(event_type, turn, make)

        return self._send([*rows, ("event", event)], show, creates=creates)

    def _send(
        self,
        rows: Sequence[tuple[Kind, Row]],
        show: Callable[[], None] | None = None,
        *,
        creates: bool = False,
    ) -> "asyncio.Future[None]":
        if self._broken is not None:
            raise self._broken
        future: asyncio.Future[None] = self._loop.create_future()

        def done(error: Exception | None) -> None:
            if error is None:
                if show is not None:
                    show()
            elif self._broken is None:
                self._broken = error
            if not future.done():
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)
                    future.exception()  # seen: whoever does not wait is told at the next write

        self._queue.put(Change(self._header.id, self._epoch, rows, done, self._loop, creates))
        return future


def ended_name(turn: Turn) -> str:
    """The turn's name in the events of its run."""
    return f"{turn.path}:{turn.visit}:{turn.retry}"


_ANEW = "agent-lab run … asks anew"


def _named(nodes: Sequence[str]) -> str:
    return ", ".join(f"`{node}`" for node in nodes) or "the end"
