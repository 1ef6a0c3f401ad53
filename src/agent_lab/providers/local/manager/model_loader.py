"""What loading a model takes: its file, the ways to load it, the memory that there is."""

from pathlib import Path
from typing import NamedTuple

from agent_lab.providers.local.engines.base import ENGINES, Engine
from agent_lab.providers.local.gpu_guard import Room, read_room
from agent_lab.providers.local.loading import LoadOptions
from agent_lab.providers.local.manager.placement import Option
from agent_lab.providers.local.weights.store import WeightsStore
from agent_lab.providers.registries.model_registry import ModelEntry

GB = 1e9
MOST_USEFUL_SLOTS = 4
CORES_OF_A_SLOT = 4
"""On 2 cores four calls at a time of a model of 1.5 B parameters wrote 26.3 tokens/s, one 25.4; and
each call in a slot of its own reads the shared head again."""
SHORTEST_WINDOW = 1024
"""Tokens; in less no debate has room."""


class _Stamp(NamedTuple):
    """A file as it was when its head was read."""

    path: Path
    size: int
    changed_ns: int


class ModelLoader:
    """Loads models from their files. All methods block.

    Args:
        weights: Where the files are.
        wish: The window, the slots that a model gets if there is room for so many (0: as many as
            are of use on this machine), and threads.
        limit_gb: Memory in GB that all models together may take; None: all that is free.
    """

    def __init__(
        self, weights: WeightsStore, wish: LoadOptions, limit_gb: float | None = None
    ) -> None:
        self._weights = weights
        self._wish = wish
        self._limit_gb = limit_gb
        self._ways: dict[_Stamp, tuple[Option, ...]] = {}

    def ways(self, entry: ModelEntry) -> tuple[Option, ...]:
        """The ways to load a model, from the most slots to one.

        Without its file here, there is one: what its entry says that it needs.

        Raises:
            WeightsCorruptError: It is no file that its engine can load.
            UnknownPluginError: Nobody knows its engine.
            MissingDependencyError: The engine's package is not installed.
        """
        if not self._weights.present(entry):
            return (Option(1, round(entry.min_vram_gb * GB)),)
        path = self._weights.path(entry)
        facts = path.stat()
        stamp = _Stamp(path, facts.st_size, facts.st_mtime_ns)
        if stamp not in self._ways:
            engine = ENGINES.get(entry.engine)
            self._ways[stamp] = tuple(
                Option(slots, engine.memory_need(path, self.options(entry, slots)).total)
                for slots in range(self._wish.slots or self._useful_slots(engine), 0, -1)
            )
        return self._ways[stamp]

    def _useful_slots(self, engine: type[Engine]) -> int:
        if engine.on_gpu():
            return MOST_USEFUL_SLOTS
        return max(1, min(MOST_USEFUL_SLOTS, self._wish.threads // CORES_OF_A_SLOT))

    def shorter_window(self, entry: ModelEntry, most: int) -> int | None:
        """The longest of the halved windows with which a model takes no more than `most` bytes.

        None: none of `SHORTEST_WINDOW` tokens and more does, or its file is not here.
        """
        if not self._weights.present(entry):
            return None
        engine, path = ENGINES.get(entry.engine), self._weights.path(entry)
        options = self.options(entry, 1)
        while options.context >= 2 * SHORTEST_WINDOW:
            options = options._replace(context=options.context // 2)
            if engine.memory_need(path, options).total <= most:
                return options.context
        return None

    def options(self, entry: ModelEntry, slots: int) -> LoadOptions:
        """How a model is loaded with so many slots."""
        context = min(self._wish.context, entry.context_window)
        return self._wish._replace(context=context, slots=slots)

    def room(self, entry: ModelEntry) -> Room:
        """Measure the memory that a model of this engine could have.

        Raises:
            MissingDependencyError: The engine's package is not installed.
        """
        return read_room(self._limit_gb, on_gpu=ENGINES.get(entry.engine).on_gpu())

    def load(self, entry: ModelEntry, slots: int) -> Engine:
        """Load a model.

        Raises:
            WeightsMissingError: Its file is not here.
            WeightsCorruptError: It is another file than the entry says.
            MissingDependencyError: The engine's package is not installed.
            ProviderUnavailableError: The engine cannot load it.
        """
        path = self._weights.verified_path(entry)
        return ENGINES.get(entry.engine).load(entry, path, self.options(entry, slots))
