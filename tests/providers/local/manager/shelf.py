"""Models that weigh what a test says, in place of files and of the machine's memory."""

import threading
from collections.abc import Iterable

from typing_extensions import override

from agent_lab.errors import ProviderUnavailableError
from agent_lab.providers.local.engines.base import Engine, EngineAnswer
from agent_lab.providers.local.gpu_guard import Room
from agent_lab.providers.local.loading import LoadOptions, MemoryNeed
from agent_lab.providers.local.manager.placement import Option
from agent_lab.providers.registries.model_registry import ModelEntry


def model(key: str) -> ModelEntry:
    """An entry of this key."""
    return ModelEntry(key=key, provider="local", engine="none", context_window=4096)


class Weight(Engine):
    """What is loaded: something that only weighs."""

    def __init__(self, shelf: "Shelf", key: str, need: int) -> None:
        self._shelf, self._key, self._need = shelf, key, need

    @property
    @override
    def alive(self) -> bool:
        return self._key not in self._shelf.ended

    @override
    @classmethod
    def memory_need(cls, weights, options) -> MemoryNeed:
        raise NotImplementedError

    @override
    @classmethod
    def on_gpu(cls) -> bool:
        return False

    @override
    @classmethod
    def load(cls, model, weights, options) -> "Weight":
        raise NotImplementedError

    @override
    def chat(self, messages, params, emit, cancelled) -> EngineAnswer:
        raise NotImplementedError

    @override
    def close(self) -> None:
        with self._shelf.lock:
            self._shelf.taken -= self._need
            self._shelf.log.append(f"-{self._key}")


class Shelf:
    """Loads models by their sizes, and keeps a record.

    Args:
        limit: Bytes that all may take.
        sizes: Bytes of one slot of each model.
        slots: How many slots a model gets at the most.
    """

    def __init__(self, limit: int, sizes: dict[str, int], slots: int = 1) -> None:
        self.limit, self.sizes, self.slots = limit, sizes, slots
        self.others = 0
        """Bytes that other programs take."""
        self.lock = threading.Lock()
        self.taken = self.most = 0
        """Bytes that are loaded, and the most that ever were."""
        self.log: list[str] = []
        """`+key` for each load, `-key` for each unload."""
        self.broken: set[str] = set()
        """Models whose loading fails."""
        self.ended: set[str] = set()
        """Models whose engine has ended by itself."""
        self.gates: dict[str, threading.Event] = {}
        """Models whose loading waits for an event."""

    def ways(self, entry: ModelEntry) -> tuple[Option, ...]:
        size = self.sizes[entry.key]
        return tuple(Option(slots, size * slots) for slots in range(self.slots, 0, -1))

    def shorter_window(self, entry: ModelEntry, most: int) -> int | None:
        return 1024 if self.sizes[entry.key] <= 2 * most else None

    def options(self, entry: ModelEntry, slots: int) -> LoadOptions:
        return LoadOptions(2048, slots, 1)

    def room(self, entry: ModelEntry) -> Room:
        return Room(self.limit, self.limit - self.taken - self.others)

    def load(self, entry: ModelEntry, slots: int) -> Engine:
        gate = self.gates.get(entry.key)
        if gate is not None:
            assert gate.wait(20)
        if entry.key in self.broken:
            raise ProviderUnavailableError("broken", provider="local", model=entry.key)
        self.ended.discard(entry.key)
        need = self.sizes[entry.key] * slots
        with self.lock:
            self.taken += need
            self.most = max(self.most, self.taken)
            self.log.append(f"+{entry.key}")
        return Weight(self, entry.key, need)

    def loads(self, keys: Iterable[str]) -> dict[str, int]:
        """How often each of some models was loaded."""
        return {key: self.log.count(f"+{key}") for key in keys}
