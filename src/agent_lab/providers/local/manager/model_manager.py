"""Keeps local models in memory: loads them, knows who uses them, makes room, lets idle ones go."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple, Protocol

from agent_lab.contracts import LoadedModel, ModelFit, ModelTraffic, UnloadReason
from agent_lab.errors import ModelInUseError, NotEnoughVramError
from agent_lab.providers.local.engines.base import Engine
from agent_lab.providers.local.gpu_guard import Room
from agent_lab.providers.local.loading import LoadOptions
from agent_lab.providers.local.manager.holds import HOLD_S, Holds
from agent_lab.providers.local.manager.model_executor import ModelExecutor
from agent_lab.providers.local.manager.no_room import calls, never_fits, no_room_in_time
from agent_lab.providers.local.manager.placement import Option, Placement, best_option, place
from agent_lab.providers.local.manager.residents import GB, ResidentModel, Residents
from agent_lab.providers.registries.model_registry import ModelEntry

logger = logging.getLogger(__name__)

_LAST_MOMENT_S = 0.1
"""How long before a call's deadline waiting ends, so that the error can say for what."""


class Loader(Protocol):
    """What loading takes; all of it blocks. `ModelLoader` is the real one."""

    def ways(self, entry: ModelEntry) -> tuple[Option, ...]:
        """The ways to load a model, from the most slots to one."""

    def shorter_window(self, entry: ModelEntry, most: int) -> int | None:
        """A window with which a model takes no more than so many bytes."""

    def options(self, entry: ModelEntry, slots: int) -> LoadOptions:
        """How a model is loaded with so many slots."""

    def room(self, entry: ModelEntry) -> Room:
        """Measure the memory that the model could have."""

    def load(self, entry: ModelEntry, slots: int) -> Engine:
        """Load it."""


class InUse(NamedTuple):
    """A model that stays loaded while somebody uses it."""

    executor: ModelExecutor
    queue: float
    """Seconds that passed until its loading began, or it was found loaded."""
    load: float
    """Seconds of loading; 0: it was loaded before."""


class ModelManager:
    """The local models that are in memory.

    A model that is asked for and not here is loaded once, however many ask. If there is no room,
    who asks waits in line, and idle models go, the least recently used first, until it fits: never
    one that is in use, nor one of a running debate.

    Args:
        loader: How models are loaded.
        idle_s: Seconds after which a model that nobody uses goes; 0: never.
        now: The event loop's clock, in seconds.
    """

    def __init__(self, loader: Loader, *, idle_s: float, now: Callable[[], float]) -> None:
        self._loader = loader
        self._idle_s = idle_s
        self._now = now
        self._holds = Holds(now)
        self._residents = Residents(self._holds, now)
        self._door = asyncio.Lock()
        """In line, one at a time: who needs a model that is not here."""
        self._news = asyncio.Event()
        """Something changed that whoever stands at the door may have waited for."""
        self._least: dict[str, int] = {}
        """Bytes with which a model can be loaded at the least, as far as it was asked for."""
        self._closing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def using(
        self, entry: ModelEntry, run_id: str = "", deadline: float = math.inf
    ) -> AsyncIterator[InUse]:
        """Have a model, loaded, for as long as the block lasts.

        Args:
            entry: Which.
            run_id: The run that asks; its models are held until its next turn.
            deadline: When waiting for memory is of no use any more; seconds on the loop's clock.

        Raises:
            NotEnoughVramError: It never fits, or there was no room in time.
            ConfigurationError: Its file is missing or damaged, or its engine is.
            ProviderUnavailableError: The engine cannot load it.
        """
        asked = self._now()
        model = await self._admitted(entry, run_id, deadline)
        begun = self._now()
        try:
            load = 0.0
            if not model.loaded:
                await asyncio.wait({model.loading})
                load = self._now() - begun
            executor = model.loading.result()
            self._holds.begin(run_id, entry.key)
            try:
                yield InUse(executor, begun - asked, load)
            finally:
                self._holds.end(run_id)
        finally:
            self._left(model)

    async def load(self, entry: ModelEntry) -> None:
        """Load a model, to stay when nobody uses it for long. Raises as `using` does."""
        async with self.using(entry):
            self._residents.here[entry.key].pinned = True

    async def unload(self, key: str) -> None:
        """Free a model's memory; one that is not loaded is no error.

        Raises:
            ModelInUseError: Somebody uses it.
        """
        model = self._residents.here.get(key)
        if model is None:
            return
        if model.users:
            raise ModelInUseError(
                f"`{key}` is in use by {calls(model.users)}.",
                hint="Try again once they are answered.",
                details={"model": key, "in_use": model.users},
            )
        await asyncio.shield(self._close(model, "asked"))

    async def check(self, entry: ModelEntry) -> None:
        """Find out whether a model could ever be loaded here; what others take now is not asked.

        Raises:
            NotEnoughVramError: It needs more than all models together may take.
            ConfigurationError: Its file is damaged, or its engine is not installed.
        """
        fit = await self.fit(entry)
        if fit.need_gb > fit.limit_gb:
            raise await self._never(entry, fit)

    async def fit(self, entry: ModelEntry) -> ModelFit:
        """Whether a model fits, beside those that are loaded or instead of them.

        Raises:
            ConfigurationError: Its file is damaged, or its engine is not installed.
        """
        ways, room = await asyncio.to_thread(self._measured, entry)
        here = self._residents.here.get(entry.key)
        spare = self._residents.spare(room) + (here.option.need if here else 0)
        others = sum(resident.need for resident in self._residents.beside(entry.key))
        best = best_option(ways, spare)
        later = best or best_option(ways, min(room.limit, spare + others))
        return ModelFit(
            fits="now" if best else "after_unload" if later else "never",
            need_gb=ways[-1].need / GB,
            slots=later.slots if later else 0,
            limit_gb=room.limit / GB,
            spare_gb=max(0, spare) / GB,
        )

    def ready(self, key: str) -> bool:
        """Whether a model is loaded."""
        return key in self._residents.here and self._residents.here[key].loaded

    def loaded(self) -> tuple[LoadedModel, ...]:
        """The models that take memory; those that leave come last."""
        return self._residents.shown()

    def traffic(self) -> tuple[ModelTraffic, ...]:
        """How often each model came and went."""
        return self._residents.traffic()

    async def aclose(self) -> None:
        """Free all models; what is being loaded is loaded first."""
        for model in list(self._residents.here.values()):
            await asyncio.wait({model.loading})
            if self._residents.here.get(model.entry.key) is model:
                self._close(model, "asked")
        if self._closing:
            await asyncio.wait(self._closing)

    # In line for memory.

    async def _admitted(self, entry: ModelEntry, run_id: str, deadline: float) -> ResidentModel:
        """The model, loaded or being loaded, with the caller among its users."""
        here = self._residents.here.get(entry.key)
        if here and here.ended and not here.users:
            self._close(here, "ended")
            here = None
        # Past those who wait for memory goes only who belongs to a debate that has begun: new
        # calls of a busy model would keep them waiting for ever.
        if here and (not self._door.locked() or self._holds.has(run_id, entry.key)):
            return _entered(here)
        try:
            limit = None if math.isinf(deadline) else deadline - _LAST_MOMENT_S
            async with asyncio.timeout_at(limit), self._door:
                return await self._make_room(entry, run_id)
        except TimeoutError as error:
            raise no_room_in_time(entry, await self.fit(entry), self.loaded()) from error

    async def _make_room(self, entry: ModelEntry, run_id: str) -> ResidentModel:
        here = self._residents.here
        while entry.key not in here:
            ways, room = await asyncio.to_thread(self._measured, entry)
            placed = self._place(entry, run_id, ways, room)
            if placed.option is not None:
                return _entered(self._begin_load(entry, placed.option))
            if placed.way == "never":
                raise await self._never(entry, await self.fit(entry))
            if placed.way == "evict":
                await asyncio.shield(self._close(here[placed.evict], "room"))
            else:
                await self._wait_for_news()
        return _entered(here[entry.key])

    def _place(
        self, entry: ModelEntry, run_id: str, ways: tuple[Option, ...], room: Room
    ) -> Placement:
        self._news.clear()
        self._least[entry.key] = ways[-1].need
        others = self._holds.models(run_id) - self._residents.here.keys() - {entry.key}
        reserve = sum(self._least[key] for key in others)
        beside = self._residents.beside(entry.key, run_id)
        return place(ways, self._residents.spare(room), beside, reserve)

    async def _wait_for_news(self) -> None:
        try:
            async with asyncio.timeout_at(self._holds.next_end()):
                await self._news.wait()
        except TimeoutError:
            pass  # a hold ended

    async def _never(self, entry: ModelEntry, fit: ModelFit) -> NotEnoughVramError:
        most = round(GB * min(fit.limit_gb, fit.spare_gb))
        window = await asyncio.to_thread(self._loader.shorter_window, entry, most)
        return never_fits(entry, fit, window)

    def _measured(self, entry: ModelEntry) -> tuple[tuple[Option, ...], Room]:
        return self._loader.ways(entry), self._loader.room(entry)

    # Coming and going.

    def _left(self, model: ResidentModel) -> None:
        model.users -= 1
        model.used_at = self._now()
        self._news.set()
        if self._residents.here.get(model.entry.key) is not model:
            return
        if model.ended and not model.users:
            self._close(model, "ended")
        elif self._idle_s and model.timer is None:
            self._look_later(model, model.used_at + self._idle_s)

    def _begin_load(self, entry: ModelEntry, option: Option) -> ResidentModel:
        context = self._loader.options(entry, option.slots).context
        model = ResidentModel(entry, option, context, self._now())
        # A task of its own: who asked first may leave, and others wait for the same model.
        model.loading = asyncio.create_task(self._load(model))
        model.loading.add_done_callback(_seen)
        self._residents.here[entry.key] = model
        return model

    async def _load(self, model: ResidentModel) -> ModelExecutor:
        key, slots, begun = model.entry.key, model.option.slots, self._now()
        try:
            engine = await asyncio.to_thread(self._loader.load, model.entry, slots)
        except BaseException:
            del self._residents.here[key]
            raise
        finally:
            self._news.set()
        seconds = self._now() - begun
        self._residents.note_load(key, seconds)
        logger.info("`%s` is loaded: %d slots, %.2f s", key, slots, seconds)
        return ModelExecutor(engine, slots)

    def _close(self, model: ResidentModel, reason: UnloadReason) -> "asyncio.Task[None]":
        """Begin to free a model's memory; a task of its own, as whoever waits for it may leave."""
        key = model.entry.key
        if model.timer is not None:
            model.timer.cancel()
        del self._residents.here[key]
        self._residents.leaving.add(model)
        task = asyncio.create_task(self._free(model, reason))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task

    async def _free(self, model: ResidentModel, reason: UnloadReason) -> None:
        key = model.entry.key
        try:
            await asyncio.to_thread(model.loading.result().close)
        finally:
            self._residents.leaving.remove(model)
            self._news.set()
        self._residents.note_unload(key, reason)
        logger.info("`%s` is unloaded (%s)", key, reason)

    def _look_later(self, model: ResidentModel, at: float) -> None:
        loop = asyncio.get_running_loop()
        model.timer = loop.call_at(at, partial(self._unload_if_idle, model))

    def _unload_if_idle(self, model: ResidentModel) -> None:
        model.timer = None
        if model.pinned or model.users:
            return  # who uses it looks again when they leave
        due = model.used_at + self._idle_s
        if self._holds.held(model.entry.key):
            due = max(due, self._now() + HOLD_S)
        if self._now() < due:
            self._look_later(model, due)
        else:
            self._close(model, "idle")


def _entered(model: ResidentModel) -> ResidentModel:
    model.users += 1
    return model


def _seen(task: "asyncio.Task[ModelExecutor]") -> None:
    """Look at a failure: all who waited for the model may have left."""
    if not task.cancelled():
        task.exception()
