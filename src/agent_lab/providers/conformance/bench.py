"""Where a provider is tried out: asks it, listens to it, and ends what it does not end itself."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from threading import get_ident
from typing import Any, NamedTuple, TypeVar

from agent_lab.contracts import Message
from agent_lab.providers.base import Delta, Provider, ProviderAnswer, ProviderCall
from agent_lab.providers.conformance.leftovers import in_a_call, tasks_of_calls
from agent_lab.providers.conformance.subject import Make, Subject
from agent_lab.providers.conformance.verdicts import BreachError, NotApplicableError

Result = TypeVar("Result")

LONG = 256
"""Tokens of an answer that is cancelled long before its end."""
CLOSING_S = 10.0
"""How long a provider is waited for that is not closed for its own sake."""
SOME_TURNS = 20
"""Turns of the event loop in which what is under way without waiting for anybody comes to rest."""


class Listener:
    """Stands where the gateway stands: is shown the pieces of one answer.

    Where the event loop was, is noted by callbacks that it runs at its next turn: a provider
    that blocks it lets none of them run, however long it takes.
    """

    def __init__(self) -> None:
        self.deltas: list[Delta] = []
        self.strangers = 0
        """Pieces that were shown in another thread than the event loop's."""
        self.began = asyncio.Event()
        self.turns = 0
        """Turns of the event loop since the call began, as far as they were noted."""
        self.turns_at: list[int] = []
        """The same, at each piece."""
        self._loop, self._thread = asyncio.get_running_loop(), get_ident()
        self._noting = False

    def __call__(self, delta: Delta) -> None:
        """Take a piece; this is the `emit` of the call."""
        if get_ident() != self._thread:
            self.strangers += 1
        self.deltas.append(delta)
        self.turns_at.append(self.turns)
        self.note_turn()
        if len(self.deltas) == 1:
            self._loop.call_soon_threadsafe(self.began.set)

    def note_turn(self) -> None:
        """Have the next turn of the event loop counted."""
        if not self._noting:
            self._noting = True
            self._loop.call_soon_threadsafe(self._turned)

    def _turned(self) -> None:
        self.turns += 1
        self._noting = False


class Heard(NamedTuple):
    """An answer, and what was shown of it."""

    answer: ProviderAnswer
    listener: Listener
    deltas: tuple[Delta, ...]
    """Until it returned; the listener goes on listening."""
    seconds: float
    """From the call to the answer."""

    @property
    def text(self) -> str:
        """What was shown of what was said."""
        return "".join(delta.text for delta in self.deltas if not delta.reasoning)

    @property
    def reasoning(self) -> str:
        """What was shown of what was thought."""
        return "".join(delta.text for delta in self.deltas if delta.reasoning)


class Cut(NamedTuple):
    """A call that was cancelled while its answer was under way."""

    task: asyncio.Task[Heard]
    """Ended, in whatever way."""
    listener: Listener
    before: int
    """Pieces that were shown until it was cancelled."""
    shown: int
    """Pieces that were shown until it ended."""


class Bench:
    """A provider, and the ways to ask it.

    Args:
        subject: What is checked.
        provider: The provider, or one of those that are staged.
        made: The tasks that its calls make, as they make them.
    """

    def __init__(self, subject: Subject, provider: Provider, made: list[asyncio.Task[Any]]) -> None:
        self.subject = subject
        self.provider = provider
        self.made = made
        self._tasks: list[asyncio.Task[Any]] = []
        self._closed = False

    def call(
        self, prompt: str | None = None, *, streamed: bool = True, **params: Any
    ) -> ProviderCall:
        """A call of the subject's model, with its prompt and parameters where none are given."""
        message = Message(role="user", content=self.subject.prompt if prompt is None else prompt)
        model = self.subject.model
        wanted = {**self.subject.params, **params}
        sent = {name: wanted[name] for name in wanted if name not in model.unsupported_params}
        return ProviderCall(model, (message,), sent, streamed=streamed)

    def long_call(self) -> ProviderCall:
        """A call whose answer takes a while."""
        most = min(LONG, self.subject.model.max_output_tokens or LONG)
        return self.call(self.subject.endless_prompt, max_tokens=most)

    def begin(
        self, call: ProviderCall | None = None, listener: Listener | None = None
    ) -> asyncio.Task[Heard]:
        """Start a call."""
        return self.doing(self._heard(call or self.call(), listener or Listener()))

    async def ask(self, call: ProviderCall | None = None) -> Heard:
        """Make a call, and return its answer; what it raises is raised."""
        return await self.answered(self.begin(call))

    def doing(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Start something that the provider does."""
        task = asyncio.get_running_loop().create_task(work, context=in_a_call())
        self._tasks.append(task)
        return task

    async def answered(self, task: asyncio.Task[Result]) -> Result:
        """Wait for an answer; what the provider raises is raised.

        Raises:
            BreachError: None came in time, or the provider cancelled itself.
        """
        await self.ended(task)
        if task.cancelled():
            raise BreachError("an answer or an error", "CancelledError, and nobody cancelled")
        return task.result()

    async def failure(self, task: asyncio.Task[Any]) -> BaseException | None:
        """What a call raises; None: it was answered."""
        await self.ended(task)
        return asyncio.CancelledError() if task.cancelled() else task.exception()

    async def ended(self, task: asyncio.Task[Any]) -> None:
        """Wait for a call to end, in whatever way.

        Raises:
            BreachError: It did not end in time.
        """
        # Not `asyncio.timeout`: a provider that swallows its cancellation would hang it.
        await asyncio.wait({task}, timeout=self.subject.patience_s)
        if not task.done():
            raise BreachError(f"an end within {self.subject.patience_s:g} s", "none")
        if not task.cancelled():
            task.exception()  # seen: asyncio need not warn of it

    async def cut(self) -> Cut:
        """Ask for a long answer, and cancel it once it is under way.

        Raises:
            NotApplicableError: It was complete before.
        """
        listener = Listener()
        task = self.begin(self.long_call(), listener)
        await self.until_begun(listener, task)
        before = len(listener.deltas)
        task.cancel()
        await self.ended(task)
        return Cut(task, listener, before, len(listener.deltas))

    async def until_begun(self, listener: Listener, task: asyncio.Task[Heard]) -> None:
        """Wait for the first piece of an answer; if no pieces come, some turns of the loop.

        Raises:
            NotApplicableError: The answer was complete at once.
        """
        if self.subject.streams:
            began = self.doing(listener.began.wait())
            patience = self.subject.patience_s
            await asyncio.wait({began, task}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if not (began.done() or task.done()):
                raise BreachError(f"a piece of the answer within {patience:g} s", "none")
        else:
            await some_turns()
        if task.done():
            await self.answered(task)
            raise NotApplicableError("the answer was complete before it could be cancelled")

    async def close(self) -> None:
        """Stop what still runs, and free the provider; whether that ends well is a check's."""
        if self._closed:
            return
        self._closed = True
        await self._cancelled(self._tasks)
        closing = self.doing(self.provider.aclose())
        await asyncio.wait({closing}, timeout=min(CLOSING_S, self.subject.patience_s))
        await self._cancelled([*self._tasks, *self.made])

    async def _cancelled(self, tasks: Sequence[asyncio.Task[Any]]) -> None:
        for task in tasks:
            task.cancel()
        await some_turns()
        for task in tasks:
            if task.done() and not task.cancelled():
                task.exception()  # seen: asyncio need not warn of it

    async def _heard(self, call: ProviderCall, listener: Listener) -> Heard:
        loop = asyncio.get_running_loop()
        listener.note_turn()
        begun = loop.time()
        answer = await self.provider.generate(call, listener)
        return Heard(answer, listener, tuple(listener.deltas), loop.time() - begun)


@asynccontextmanager
async def benched(subject: Subject, make: Make | None = None) -> AsyncIterator[Bench]:
    """A provider of a subject, freed at the end; without `make`, the one that works."""
    with tasks_of_calls() as made:
        bench = Bench(subject, (make or subject.make)(), made)
        try:
            yield bench
        finally:
            await bench.close()


async def some_turns() -> None:
    """Let the event loop do what it can do at once."""
    for _ in range(SOME_TURNS):
        await asyncio.sleep(0)
