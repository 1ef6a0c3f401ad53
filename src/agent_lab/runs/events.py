"""What happens in a run; the log of it is the one source of truth."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from agent_lab.contracts import Contract, JsonObject
from agent_lab.orchestrator.run_recorder import EventType

TERMINAL: Final = frozenset({"RUN_FINISHED", "RUN_ERROR"})
"""Types of the event that ends a run; every run gets one."""
RESUMED: Final = "lab.run_resumed"
"""Activity: another execution goes on with the run."""
WAITING: Final = "lab.run_waiting"
"""Activity: nothing is left to do before a person has spoken."""
DECISION: Final = "lab.decision"
"""Activity: something was decided or measured that could come out otherwise the next time."""


class RunEvent(Contract):
    """Something that happened in a run."""

    run_id: str
    seq: int | None
    """Place in the log, from 1; None: a piece of a turn, which never enters the log."""
    ts: datetime
    type: EventType
    payload: JsonObject


PROTOCOL: Final = "1.0"
"""Version of AG-UI."""

Listener = Callable[[RunEvent], None]


def activity(run_id: str, kind: str, place: int, content: JsonObject) -> JsonObject:
    """The payload of an `ACTIVITY_SNAPSHOT`.

    Args:
        run_id: The run.
        kind: `lab.*`.
        place: Tells it from others of its kind in the run.
        content: What it says.
    """
    name = f"{run_id}:{kind.partition('.')[2]}:{place}"
    return {"messageId": name, "activityType": kind, "content": content}


def as_ag_ui(event: RunEvent) -> JsonObject:
    """An event as AG-UI's clients read it, but for its place in the log."""
    data: JsonObject = {"type": event.type, "timestamp": int(event.ts.timestamp() * 1000)}
    if event.type.startswith("RUN_"):
        data |= {"threadId": event.run_id, "runId": event.run_id}
    if event.type == "RUN_STARTED":
        data["protocolVersion"] = PROTOCOL
    return data | event.payload
