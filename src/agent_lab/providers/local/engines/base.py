"""What an engine is: a loaded model that answers several chats at a time, one in each slot."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from agent_lab.contracts import Message
from agent_lab.plugins import Registry
from agent_lab.providers.base import Delta, TokenCounts
from agent_lab.providers.local.loading import LoadOptions, MemoryNeed
from agent_lab.providers.registries.model_registry import ModelEntry


class EngineAnswer(NamedTuple):
    """What came out of the model, and the engine's own timings in seconds."""

    text: str
    reasoning: str
    finish_reason: str
    tokens: TokenCounts
    prefill: float | None
    decode: float | None


class Engine(ABC):
    """One loaded model. All methods block: they are called in threads."""

    @classmethod
    @abstractmethod
    def memory_need(cls, weights: Path, options: LoadOptions) -> MemoryNeed:
        """Compute, from the head of the file alone, what a model will take.

        Raises:
            WeightsCorruptError: It is no file that the engine can load.
        """

    @classmethod
    @abstractmethod
    def on_gpu(cls) -> bool:
        """Whether models of this engine lie in a GPU's memory.

        Raises:
            MissingDependencyError: The engine's package is not installed.
        """

    @classmethod
    @abstractmethod
    def load(cls, model: ModelEntry, weights: Path, options: LoadOptions) -> Self:
        """Load a model.

        Args:
            model: Its registry entry.
            weights: The verified file.
            options: How.

        Raises:
            MissingDependencyError: The engine's package is not installed.
            ProviderUnavailableError: The engine cannot load this file.
        """

    @abstractmethod
    def chat(
        self,
        messages: Sequence[Message],
        params: Mapping[str, Any],
        emit: Callable[[Delta], None],
        cancelled: Callable[[], bool],
    ) -> EngineAnswer:
        """Answer one chat; several threads may call it, one for each slot.

        Args:
            messages: The chat, to which the model's own template is applied.
            params: As in `ProviderCall`.
            emit: Called in this thread for every piece of the answer.
            cancelled: Asked between tokens; True stops the work.

        Raises:
            ContextLengthError: The prompt does not fit, with both lengths.
            ProviderError: Anything else that the engine refuses.
        """

    @property
    def alive(self) -> bool:
        """Whether it can still be asked; one that has ended by itself must be loaded anew."""
        return True

    @abstractmethod
    def close(self) -> None:
        """Free the model's memory."""


ENGINES: Registry[type[Engine]] = Registry(
    "engine", ("agent_lab.providers.local.engines",), "_engine", "agent_lab.engines"
)


def engine(name: str) -> Callable[[type[Engine]], type[Engine]]:
    """Decorator: makes a class the engine of the registry entries that name it."""
    return ENGINES.register(name)
