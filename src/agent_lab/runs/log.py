"""A run's log, read back: its rows joined with the texts that stand in turns and runs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from agent_lab.contracts import JsonObject, RunRecord, Step, Turn
from agent_lab.errors import RunStateError
from agent_lab.orchestrator.flow_metrics import total_usage
from agent_lab.orchestrator.run_recorder import message_id
from agent_lab.runs.events import DECISION, RESUMED, TERMINAL, WAITING, RunEvent
from agent_lab.runs.record import Progress, record_of
from agent_lab.runs.run_header import RunHeader, header_of
from agent_lab.runs.turn_rows import Key, KnownTurn, known_turns
from agent_lab.storage.run_queries import RunRows
from agent_lab.storage.shared_texts import join_text


class RunLog(NamedTuple):
    """All that is kept of one run."""

    row: Any
    """Its row in the table of runs."""
    header: RunHeader
    events: Sequence[Any]
    """Rows, oldest first."""
    turns: Mapping[Key, KnownTurn]
    texts: dict[str, str]
    """By name: the run's input and head, and what its turns said."""

    def finished(self) -> list[Turn]:
        """The turns that have ended, in the order in which they did."""
        ended = [known.asked for known in self.turns.values() if known.ended]
        return sorted(ended, key=lambda turn: turn.seq)

    def steps(self) -> list[Step]:
        """The passes of nodes that have ended, in the order in which they did."""
        return [_step(event.payload) for event in self.events if event.type == "STEP_FINISHED"]

    def steps_begun(self) -> Counter[str]:
        """By path: how often its node has begun."""
        return Counter(e.payload["stepName"] for e in self.events if e.type == "STEP_STARTED")

    def decisions(self) -> dict[str, Any]:
        """By key: what was decided."""
        contents = (e.payload["content"] for e in self.events if _is(e, DECISION))
        return {content["key"]: content["value"] for content in contents}

    def seconds(self) -> float:
        """For how long it was executed, whatever passed between two executions left out."""
        total, begin, last = 0.0, None, None
        for event in self.events:
            if begin is None or _is(event, RESUMED):
                total += _between(begin, last)
                begin = event.ts
            last = event.ts
        return total + _between(begin, last)

    def executions(self) -> int:
        """How often it was begun or gone on with."""
        return 1 + sum(_is(event, RESUMED) for event in self.events)

    def awaited(self) -> list[str]:
        """The turns that people are to take before the run can go on."""
        last = self.events[-1] if self.events else None
        if last is None or self.row.status != "waiting" or not _is(last, WAITING):
            return []
        return list(last.payload["content"]["turns"])

    def check_resumable(self) -> None:
        """See that the run can be gone on with, as far as it is up to it.

        Raises:
            RunStateError: It cannot: nothing of it could come out otherwise.
        """
        run_id, status = self.header.id, self.row.status
        if status == "waiting":
            raise RunStateError(
                f"The run `{run_id}` waits for {', '.join(f'`{n}`' for n in self.awaited())}.",
                hint=f"agent-lab runs answer {run_id} TEXT",
            )
        if status == "completed":
            raise RunStateError(
                f"The run `{run_id}` is completed.", hint=f"agent-lab runs show {run_id}"
            )
        if status == "failed" and not self.events[-1].payload.get("resumable"):
            raise RunStateError(
                f"The run `{run_id}` failed, and would fail again: failed turns are kept.",
                hint="agent-lab run … asks anew",
            )

    def record(self) -> RunRecord:
        """Compute the run's record."""
        row, last = self.row, self.events[-1] if self.events else None
        ended = last is not None and last.type in TERMINAL
        result = self._result(last.payload) if ended and last is not None else None
        turns = self.finished()
        progress = Progress(
            status=row.status,
            turns=turns,
            usage=total_usage(turns),
            steps=self.steps(),
            seconds=self.seconds(),
            started_at=row.started_at,
            ended_at=row.ended_at if ended else None,
            result=result,
        )
        return record_of(self.header, progress)

    def served(self, after: int = 0) -> list[RunEvent]:
        """The events after a place in the log, whole, as they were shown when they happened.

        An ending that a later execution has taken back is left out.
        """
        last = self.events[-1].seq if self.events else 0
        return [
            RunEvent(
                run_id=self.header.id,
                seq=event.seq,
                ts=event.ts,
                type=event.type,
                payload=self._payload(event),
            )
            for event in self.events
            if event.seq > after and (event.type not in TERMINAL or event.seq == last)
        ]

    def _payload(self, event: Any) -> JsonObject:
        payload: JsonObject = event.payload
        if event.type == "RUN_STARTED":
            return self.header.started()
        if event.type == "STEP_FINISHED":
            step = _step(payload)
            return {"stepName": step.path, "step": step.model_dump(mode="json")}
        if event.type == "TEXT_MESSAGE_START":
            return started_event(self._turn(payload["messageId"]).asked)
        if event.type == "TEXT_MESSAGE_END":
            return ended_event(self._turn(payload["messageId"]).asked)
        if event.type in TERMINAL:
            return {**payload, "result": self._result(payload)}
        return payload

    def _turn(self, name: str) -> KnownTurn:
        path, visit, retry = name.rsplit(":", 2)
        return self.turns[path, int(visit), int(retry)]

    def _result(self, payload: JsonObject) -> JsonObject:
        result: JsonObject = payload["result"]
        if self.row.output is None or payload["result"]["status"] != "completed":
            return result
        return {**result, "output": join_text(self.row.output, self.texts)}


def read_log(rows: RunRows) -> RunLog:
    """Read all that is kept of one run."""
    header = header_of(rows.run)
    texts = header.known_texts()
    turns = known_turns(list(rows.turns), texts)
    return RunLog(rows.run, header, rows.events, turns, texts)


def started_event(turn: Turn) -> JsonObject:
    """The payload of a turn's `TEXT_MESSAGE_START`."""
    return {
        "messageId": message_id(turn.path, turn.visit, turn.retry),
        "role": "assistant",
        "name": turn.role,
        "metadata": {
            "node": turn.node_id,
            "round": turn.round,
            "visit": turn.visit,
            "retry": turn.retry,
            "model": turn.model_key,
            "messages": [message.model_dump() for message in turn.messages],
        },
    }


def ended_event(turn: Turn) -> JsonObject:
    """The payload of a turn's `TEXT_MESSAGE_END`."""
    name = message_id(turn.path, turn.visit, turn.retry)
    return {"messageId": name, "turn": turn.model_dump(mode="json")}


def _step(payload: JsonObject) -> Step:
    return Step.model_validate(payload)


def _is(event: Any, kind: str) -> bool:
    return event.type == "ACTIVITY_SNAPSHOT" and bool(event.payload["activityType"] == kind)


def _between(begin: datetime | None, end: datetime | None) -> float:
    return 0.0 if begin is None or end is None else (end - begin).total_seconds()
