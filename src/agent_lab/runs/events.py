"""The event log of a run: the one source of truth, from which everything else is computed."""

from collections.abc import Callable
from datetime import datetime

from agent_lab.contracts import Contract, JsonObject, Step, Turn
from agent_lab.orchestrator.run_recorder import EventType, message_id


class RunEvent(Contract):
    """Something that happened in a run."""

    run_id: str
    seq: int | None
    """Place in the log, from 1; None: a piece of a turn, which never enters the log."""
    ts: datetime
    type: EventType
    payload: JsonObject


Listener = Callable[[RunEvent], None]


class InMemoryRecorder:
    """Keeps a run's log in memory, and shows each event to a listener once it is in it.

    Args:
        run_id: The run.
        now: The clock.
        listener: Who watches; it must not raise.
    """

    def __init__(
        self, run_id: str, now: Callable[[], datetime], listener: Listener | None = None
    ) -> None:
        self._run_id = run_id
        self._now = now
        self._listener = listener or _nobody
        self.events: list[RunEvent] = []

    async def record(self, event_type: EventType, payload: JsonObject) -> None:
        """Add an event to the log."""
        event = self._event(event_type, payload, len(self.events) + 1)
        self.events.append(event)
        self._listener(event)

    async def record_turn(self, turn: Turn) -> None:
        """Add a finished turn to the log."""
        numbered = turn.model_copy(update={"seq": len(self.events) + 1})
        name = message_id(turn.path, turn.visit, turn.retry)
        payload = {"messageId": name, "turn": numbered.model_dump(mode="json")}
        await self.record("TEXT_MESSAGE_END", payload)

    async def record_step(self, step: Step) -> None:
        """Add a finished pass of a node to the log."""
        payload = {"stepName": step.path, "step": step.model_dump(mode="json")}
        await self.record("STEP_FINISHED", payload)

    def publish_delta(self, turn: str, delta: str, *, reasoning: bool) -> None:
        """Show a piece of a turn to the listener."""
        if self._listener is _nobody:
            return
        payload = {"messageId": turn, "delta": delta, "reasoning": reasoning}
        self._listener(self._event("TEXT_MESSAGE_CONTENT", payload, None))

    def _event(self, event_type: EventType, payload: JsonObject, seq: int | None) -> RunEvent:
        return RunEvent(
            run_id=self._run_id, seq=seq, ts=self._now(), type=event_type, payload=payload
        )


def _nobody(event: RunEvent) -> None:
    """Nobody watches."""
