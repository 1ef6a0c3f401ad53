"""The books of memory: which models take it now, who may go, how often each came and went."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from agent_lab.contracts import LoadedModel, ModelTraffic, UnloadReason
from agent_lab.providers.local.gpu_guard import Room
from agent_lab.providers.local.manager.holds import Holds
from agent_lab.providers.local.manager.model_executor import ModelExecutor
from agent_lab.providers.local.manager.placement import Option, Resident
from agent_lab.providers.registries.model_registry import ModelEntry

GB = 1e9


@dataclass(eq=False)
class ResidentModel:
    """A model that takes memory."""

    entry: ModelEntry
    option: Option
    context: int
    """Tokens of each slot."""
    used_at: float
    """When somebody used it last; seconds on the event loop's clock."""
    loading: "asyncio.Task[ModelExecutor]" = field(init=False)
    users: int = 0
    """Calls that use it, or wait for it to be loaded."""
    pinned: bool = False
    """Whether it stays when nobody uses it for long."""
    timer: asyncio.TimerHandle | None = None
    """Rings when nobody may have used it for long enough."""

    @property
    def loaded(self) -> bool:
        """Whether its loading is over."""
        return self.loading.done()

    @property
    def ended(self) -> bool:
        """Whether it was loaded, and its engine has ended by itself."""
        return self.loaded and not self.loading.result().alive


@dataclass(eq=False)
class _Traffic:
    loads: int = 0
    load_seconds: float = 0.0
    unloads: Counter[UnloadReason] = field(default_factory=Counter)


class Residents:
    """The models that take memory.

    Args:
        holds: Which of them belong to running debates.
        now: The event loop's clock, in seconds.
    """

    def __init__(self, holds: Holds, now: Callable[[], float]) -> None:
        self._holds = holds
        self._now = now
        self._traffic: defaultdict[str, _Traffic] = defaultdict(_Traffic)
        self.here: dict[str, ResidentModel] = {}
        """By key: those that are loaded, or being loaded."""
        self.leaving: set[ResidentModel] = set()
        """Those whose memory is being freed; one of the same key may be here again."""

    def spare(self, room: Room) -> int:
        """Bytes that a further model could take: within the limit, and really free.

        What is being loaded does not take all of its memory yet.
        """
        taken = sum(m.option.need for m in (*self.here.values(), *self.leaving))
        loading = sum(m.option.need for m in self.here.values() if not m.loaded)
        return min(room.limit - taken, room.free - loading)

    def beside(self, asked: str, run_id: str = "") -> list[Resident]:
        """All but one, and which of them may go.

        Args:
            asked: Key of the one that is to come.
            run_id: The run that asks: it is not in the way of itself.
        """
        here = [
            Resident(
                key=key,
                need=model.option.need,
                used_at=model.used_at,
                stays=model.users > 0 or self._holds.held(key, but_by=run_id),
                own=self._holds.has(run_id, key),
            )
            for key, model in self.here.items()
            if key != asked
        ]
        return here + [
            Resident(model.entry.key, model.option.need, model.used_at, stays=True)
            for model in self.leaving
        ]

    def note_load(self, key: str, seconds: float) -> None:
        """A model was loaded."""
        self._traffic[key].loads += 1
        self._traffic[key].load_seconds += seconds

    def note_unload(self, key: str, reason: UnloadReason) -> None:
        """A model was unloaded."""
        self._traffic[key].unloads[reason] += 1

    def traffic(self) -> tuple[ModelTraffic, ...]:
        """How often each model came and went."""
        return tuple(
            ModelTraffic(
                key=key,
                loads=seen.loads,
                load_seconds=seen.load_seconds,
                unloads=dict(seen.unloads),
            )
            for key, seen in self._traffic.items()
        )

    def shown(self) -> tuple[LoadedModel, ...]:
        """All of them, for people; those that leave come last."""
        here = (self._shown(m, "ready" if m.loaded else "loading") for m in self.here.values())
        return (*here, *(self._shown(model, "unloading") for model in self.leaving))

    def _shown(
        self, model: ResidentModel, state: Literal["loading", "ready", "unloading"]
    ) -> LoadedModel:
        return LoadedModel(
            key=model.entry.key,
            state=state,
            need_gb=model.option.need / GB,
            context=model.context,
            slots=model.option.slots,
            in_use=model.users,
            held=self._holds.held(model.entry.key),
            pinned=model.pinned,
            idle_s=0.0 if model.users else self._now() - model.used_at,
        )
