"""Has a loaded model answer calls: as many at a time as it has slots, fairly between runs."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from agent_lab.providers.base import Delta, Emit, ProviderCall
from agent_lab.providers.local.engines.base import Engine, EngineAnswer
from agent_lab.providers.local.manager.fair_slots import FairSlots


class Executed(NamedTuple):
    """An answer, and how long it waited for a slot."""

    answer: EngineAnswer
    queue: float
    """Seconds."""


class ModelExecutor:
    """One loaded model at work.

    Args:
        engine: The model.
        slots: Calls that it answers at the same time.
    """

    def __init__(self, engine: Engine, slots: int) -> None:
        self._engine = engine
        self._slots = FairSlots(slots)
        # Threads of its own: asyncio's pool is small and serves everything else.
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="engine")

    async def execute(self, call: ProviderCall, emit: Emit) -> Executed:
        """Answer a call; being cancelled stops it and frees its slot.

        A call that waits is cancelled at once: it was not given to the engine yet, which cannot
        take back what waits within it.

        Raises:
            ProviderError: The engine refused.
        """
        waiting = time.perf_counter()
        async with self._slots.taken(call.run_id):
            queue = time.perf_counter() - waiting
            return Executed(await self._answered(call, emit), queue)

    @property
    def alive(self) -> bool:
        """Whether its engine can still be asked."""
        return self._engine.alive

    def close(self) -> None:
        """Free the model's memory; blocks while it is being freed."""
        self._threads.shutdown()
        self._engine.close()

    async def _answered(self, call: ProviderCall, emit: Emit) -> EngineAnswer:
        loop = asyncio.get_running_loop()
        cancelled = threading.Event()

        def emit_in_loop(delta: Delta) -> None:
            loop.call_soon_threadsafe(emit, delta)

        # Where nobody reads along, waking the event loop for each token only costs.
        shown = emit_in_loop if call.streamed else _unseen

        def work() -> EngineAnswer:
            return self._engine.chat(call.messages, call.params, shown, cancelled.is_set)

        answering = loop.run_in_executor(self._threads, work)
        try:
            return await asyncio.shield(answering)
        except asyncio.CancelledError:
            cancelled.set()
            # The slot is free only once the engine has stopped.
            done, _ = await asyncio.wait({answering})
            for stopped in done:
                stopped.exception()  # seen: asyncio need not warn of it
            raise


def _unseen(delta: Delta) -> None:
    """Show a piece to nobody."""
