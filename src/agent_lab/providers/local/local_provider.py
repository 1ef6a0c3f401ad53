"""Answers calls with models that run in this process, loading each at its first use."""

import asyncio
import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Self

from typing_extensions import override

from agent_lab.config import Settings
from agent_lab.contracts import Timings
from agent_lab.providers.base import Delta, Emit, Provider, ProviderAnswer, ProviderCall, provider
from agent_lab.providers.local.engines.base import ENGINES, Engine, EngineAnswer
from agent_lab.providers.local.weights.store import WeightsStore
from agent_lab.providers.registries.model_registry import ModelEntry
from agent_lab.providers.registries.provider_registry import ProviderEntry

logger = logging.getLogger(__name__)

CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")


class _LoadedModel(NamedTuple):
    engine: Engine
    thread: ThreadPoolExecutor
    """The engine's own thread: asyncio's default pool is small and serves everything else."""
    slot: asyncio.Lock
    """The engine answers one chat at a time; who waits here can still be cancelled."""


@provider("local")
class LocalProvider(Provider):
    """Local models, each loaded once and kept.

    Args:
        weights: Where the models' files are.
        context: Tokens of prompt and answer that a model must hold, within its own window.
        threads: Processor threads for each model.
    """

    is_local = True

    def __init__(self, weights: WeightsStore, *, context: int, threads: int) -> None:
        self._weights = weights
        self._context = context
        self._threads = threads
        self._loaded: dict[str, _LoadedModel] = {}
        self._load_locks: dict[str, asyncio.Lock] = {}

    @override
    @classmethod
    def from_settings(cls, settings: Settings, entry: ProviderEntry) -> Self:
        return cls(
            WeightsStore.from_settings(settings),
            context=settings.local_context,
            threads=settings.local_threads or available_cores(),
        )

    @override
    async def generate(self, call: ProviderCall, emit: Emit) -> ProviderAnswer:
        started = time.perf_counter()
        warm = call.model.key in self._loaded
        model = await self._load(call.model)
        load_time = 0.0 if warm else time.perf_counter() - started
        waiting = time.perf_counter()
        async with model.slot:
            queue = time.perf_counter() - waiting
            answer = await _chat(model, call, emit)
        return ProviderAnswer(
            text=answer.text,
            reasoning=answer.reasoning,
            finish_reason=answer.finish_reason,
            tokens=answer.tokens,
            timings=Timings(
                queue=queue, load_time=load_time, prefill=answer.prefill, decode=answer.decode
            ),
            model_warm=warm,
            source="local",
        )

    @override
    async def check(self, model: ModelEntry) -> None:
        if model.key not in self._loaded:
            await asyncio.to_thread(self._weights.verified_path, model)

    @override
    def ready(self, model: ModelEntry) -> bool:
        return model.key in self._loaded or self._weights.present(model)

    @override
    async def warm(self, model: ModelEntry) -> None:
        await self._load(model)

    @override
    def loaded(self) -> tuple[str, ...]:
        return tuple(self._loaded)

    @override
    async def aclose(self) -> None:
        while self._loaded:
            _, model = self._loaded.popitem()
            model.thread.shutdown()
            model.engine.close()

    async def _load(self, entry: ModelEntry) -> _LoadedModel:
        async with self._load_locks.setdefault(entry.key, asyncio.Lock()):
            if entry.key not in self._loaded:
                path = await asyncio.to_thread(self._weights.verified_path, entry)
                engine = await asyncio.to_thread(self._engine, entry, path)
                thread = ThreadPoolExecutor(1, thread_name_prefix=f"engine-{entry.key}")
                logger.info("`%s` is loaded", entry.key)
                self._loaded[entry.key] = _LoadedModel(engine, thread, asyncio.Lock())
            return self._loaded[entry.key]

    def _engine(self, entry: ModelEntry, path: Path) -> Engine:
        context = min(self._context, entry.context_window)
        return ENGINES.get(entry.engine).load(entry, path, context, self._threads)


async def _chat(model: _LoadedModel, call: ProviderCall, emit: Emit) -> EngineAnswer:
    loop = asyncio.get_running_loop()
    cancelled = threading.Event()

    def emit_in_loop(delta: Delta) -> None:
        loop.call_soon_threadsafe(emit, delta)

    def work() -> EngineAnswer:
        return model.engine.chat(call.messages, call.params, emit_in_loop, cancelled.is_set)

    answering = loop.run_in_executor(model.thread, work)
    try:
        return await asyncio.shield(answering)
    except asyncio.CancelledError:
        cancelled.set()
        # The slot is free only once the engine has stopped.
        done, _ = await asyncio.wait({answering})
        for stopped in done:
            stopped.exception()  # seen: asyncio need not warn of it
        raise


def available_cores() -> int:
    """Processor cores that this process may use, by affinity and control group."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    try:
        quota, period = CPU_LIMIT.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))
