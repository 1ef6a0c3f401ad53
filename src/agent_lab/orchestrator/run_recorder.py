"""How the orchestrator says what happens; whoever runs it decides what becomes of that."""

from typing import Literal, Protocol

from typing_extensions import override

from agent_lab.contracts import JsonObject, Step, Turn

EventType = Literal[
    "RUN_STARTED",
    "RUN_FINISHED",
    "RUN_ERROR",
    "STEP_STARTED",
    "STEP_FINISHED",
    "TEXT_MESSAGE_START",
    "TEXT_MESSAGE_CONTENT",
    "TEXT_MESSAGE_END",
]
"""The event types of AG-UI 1.0 that a run uses."""


def message_id(path: str, visit: int, retry: int) -> str:
    """The name of a turn in the events of its run."""
    return f"{path}:{visit}:{retry}"


class RunRecorder(Protocol):
    """Takes the events of one run, in order."""

    async def record(self, event_type: EventType, payload: JsonObject) -> None:
        """Add an event to the run's log; it is in the log when this returns."""

    async def record_turn(self, turn: Turn) -> None:
        """Add a finished turn, as `TEXT_MESSAGE_END`."""

    async def record_step(self, step: Step) -> None:
        """Add a finished pass of a node, as `STEP_FINISHED`."""

    def publish_delta(self, turn: str, delta: str, *, reasoning: bool) -> None:
        """Show a piece of the turn of this `message_id`; it does not enter the log."""


class NoRecorder:
    """Keeps nothing: for a bare graph."""

    async def record(self, event_type: EventType, payload: JsonObject) -> None:
        """Ignore the event."""

    async def record_turn(self, turn: Turn) -> None:
        """Ignore the turn."""

    async def record_step(self, step: Step) -> None:
        """Ignore the step."""

    def publish_delta(self, turn: str, delta: str, *, reasoning: bool) -> None:
        """Ignore the delta."""


class Collector(NoRecorder):
    """Keeps the finished turns and steps, in order."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.steps: list[Step] = []

    @override
    async def record_turn(self, turn: Turn) -> None:
        self.turns.append(turn.model_copy(update={"seq": len(self.turns) + 1}))

    @override
    async def record_step(self, step: Step) -> None:
        self.steps.append(step)
