"""How the orchestrator says what happens; whoever runs it decides what becomes of that.

A recorder that keeps a journal also answers: what it has of an earlier execution of the same run
is not asked, measured or decided again.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple, Protocol

import orjson
from typing_extensions import override

from agent_lab.contracts import GenerationRequest, JsonObject, Step, Turn
from agent_lab.errors import ConfigurationError

EventType = Literal[
    "RUN_STARTED",
    "RUN_FINISHED",
    "RUN_ERROR",
    "STEP_STARTED",
    "STEP_FINISHED",
    "TEXT_MESSAGE_START",
    "TEXT_MESSAGE_CONTENT",
    "TEXT_MESSAGE_END",
    "ACTIVITY_SNAPSHOT",
]
"""The event types of AG-UI 1.0 that a run uses."""

_HASHED = (
    "model_key",
    "strategy",
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "task_type",
    "seed",
    "stop",
    "response_schema",
    "data_policy",
    "role",
)
_SAMPLING = ("max_tokens", "temperature", "top_p", "top_k", "seed")
_hashed, _sampling = attrgetter(*_HASHED), attrgetter(*_SAMPLING)
SPOKEN: Final[JsonObject] = {"status": "ok", "source": "person", "finish_reason": "stop"}
"""What tells the turn of a person."""
UNDECIDED: Final = object()
"""What `decided` gives where nobody has decided yet."""


def message_id(path: str, visit: int, retry: int) -> str:
    """The name of a turn in the events of its run."""
    return f"{path}:{visit}:{retry}"


class AskedTurn(NamedTuple):
    """A turn that is about to be asked."""

    node_id: str
    path: str
    """The node's id, with the places of samples and of flows around it."""
    role: str
    round: int
    sample: int
    visit: int
    retry: int
    request: GenerationRequest
    started_at: datetime

    @property
    def message_id(self) -> str:
        """The turn's name in the events of its run."""
        return message_id(self.path, self.visit, self.retry)

    def sampling(self) -> JsonObject:
        """How it is sampled, as far as anybody said; as JSON."""
        values = zip(_SAMPLING, _sampling(self.request), strict=True)
        sampling: JsonObject = {name: value for name, value in values if value is not None}
        return {**sampling, "stop": list(self.request.stop)} if self.request.stop else sampling

    def request_hash(self) -> str:
        """Digest of all that flow and state say of it, in hexadecimal.

        Neither the run, nor a time, nor what registries hold now: a second execution of the same
        run must find the same.
        """
        request = self.request
        messages = [(message.role, message.content) for message in request.messages]
        said = (*_hashed(request), request.constraints.distinct_from, messages)
        return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def ended(self, now: datetime, outcome: Mapping[str, Any]) -> Turn:
        """The turn, once it is known what came of it.

        Args:
            now: When it ended.
            outcome: Further fields: status, text, what was counted.
        """
        return Turn(
            node_id=self.node_id,
            path=self.path,
            role=self.role,
            round=self.round,
            sample=self.sample,
            visit=self.visit,
            retry=self.retry,
            model_key=self.request.model_key,
            messages=self.request.messages,
            sampling=self.sampling(),
            started_at=self.started_at,
            seconds=(now - self.started_at).total_seconds(),
            **outcome,
        )

    def event(self) -> JsonObject:
        """The payload of its `TEXT_MESSAGE_START`."""
        return {
            "messageId": self.message_id,
            "role": "assistant",
            "name": self.role,
            "metadata": {
                "node": self.node_id,
                "round": self.round,
                "visit": self.visit,
                "retry": self.retry,
                "model": self.request.model_key,
                "messages": [message.model_dump() for message in self.request.messages],
            },
        }


class RunRecorder(Protocol):
    """Takes the events of one run, in order."""

    @property
    def turns(self) -> Sequence[Turn]:
        """The turns that have ended, in this execution and before, as far as they are kept."""

    async def record(self, event_type: EventType, payload: JsonObject) -> None:
        """Add an event to the run's log."""

    async def begin_turn(self, asked: AskedTurn) -> Turn | None:
        """Say that a turn is about to be asked; this is in the log when this returns.

        Returns:
            The turn, if it was taken in an earlier execution; then nobody is asked.

        Raises:
            JournalMismatchError: It was, and something else was asked.
        """

    async def restart_turn(self, asked: AskedTurn) -> None:
        """Say that the turn begins anew: what was shown of it is void."""

    async def ask_person(self, asked: AskedTurn) -> Turn:
        """Wait for what a person says, and record it as a turn.

        Raises:
            RunWaitingError: Nothing is left to do before they have spoken.
            ConfigurationError: Nobody could ever answer here.
        """

    async def record_turn(self, turn: Turn) -> None:
        """Add a finished turn, as `TEXT_MESSAGE_END`; in the log before the next one is asked."""

    async def record_step(self, step: Step) -> bool:
        """Add a finished pass of a node, as `STEP_FINISHED`.

        Returns:
            Whether it is news: false where an earlier execution has got further.
        """

    def decided(self, key: str) -> Any:
        """What an earlier execution has decided or measured; `UNDECIDED`: nothing."""

    def decide(self, key: str, value: Any) -> None:
        """Keep what was decided or measured: whatever could come out otherwise the next time.

        Args:
            key: Of this pass of this node, and no other.
            value: As JSON.
        """

    def publish_delta(self, turn: str, delta: str, *, reasoning: bool) -> None:
        """Show a piece of the turn of this `message_id`; it does not enter the log."""


class NoRecorder:
    """Keeps nothing: for a bare graph."""

    @property
    def turns(self) -> Sequence[Turn]:
        """None."""
        return ()

    async def record(self, event_type: EventType, payload: JsonObject) -> None:
        """Ignore the event."""

    async def begin_turn(self, asked: AskedTurn) -> Turn | None:
        """Nobody has taken it."""
        await self.record("TEXT_MESSAGE_START", asked.event())
        return None

    async def restart_turn(self, asked: AskedTurn) -> None:
        """Say so."""
        await self.record("TEXT_MESSAGE_START", asked.event())

    async def ask_person(self, asked: AskedTurn) -> Turn:
        """Refuse: whoever answers later would not find the run."""
        raise ConfigurationError(
            f"The role `{asked.role}` is a person: a run that nobody keeps cannot wait for one.",
            hint="agent-lab run, POST /api/runs or `run_orchestrator` keep their runs",
        )

    async def record_turn(self, turn: Turn) -> None:
        """Ignore the turn."""

    async def record_step(self, step: Step) -> bool:
        """Ignore the step."""
        return True

    def decided(self, key: str) -> Any:
        """Nothing."""
        return UNDECIDED

    def decide(self, key: str, value: Any) -> None:
        """Ignore the decision."""

    def publish_delta(self, turn: str, delta: str, *, reasoning: bool) -> None:
        """Ignore the delta."""


class Collector(NoRecorder):
    """Keeps the finished turns and steps, in order."""

    def __init__(self) -> None:
        self._turns: list[Turn] = []
        self.steps: list[Step] = []

    @property
    @override
    def turns(self) -> Sequence[Turn]:
        return self._turns

    @override
    async def begin_turn(self, asked: AskedTurn) -> Turn | None:
        return None

    @override
    async def record_turn(self, turn: Turn) -> None:
        self._turns.append(turn.model_copy(update={"seq": len(self._turns) + 1}))

    @override
    async def record_step(self, step: Step) -> bool:
        self.steps.append(step)
        return True


def spoken(asked: AskedTurn, text: str, now: datetime) -> Turn:
    """The turn of a person.

    Args:
        asked: How they were asked.
        text: What they said.
        now: When.
    """
    return asked.ended(now, {**SPOKEN, "text": text})


async def decided(recorder: RunRecorder, key: str, make: Callable[[], Awaitable[Any]]) -> Any:
    """What was decided in an earlier execution, else what is decided now.

    Args:
        recorder: Of the run.
        key: Of this pass of this node, and no other.
        make: Decides or measures; gives JSON.
    """
    known = recorder.decided(key)
    if known is UNDECIDED:
        known = await make()
        recorder.decide(key, known)
    return known
