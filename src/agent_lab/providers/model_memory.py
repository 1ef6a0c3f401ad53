"""The models that take this machine's memory, whoever provides them."""

from collections.abc import Iterable

from agent_lab.contracts import LoadedModel, Message, ModelFit, ModelTraffic
from agent_lab.providers.registries.model_registry import ModelEntry
from agent_lab.providers.targets import Targets


class ModelMemory:
    """Loads and unloads models, and knows which would fit.

    Args:
        targets: Knows the provider of each model.
    """

    def __init__(self, targets: Targets) -> None:
        self._targets = targets

    async def load(self, entries: Iterable[ModelEntry]) -> None:
        """Load some models, so that their first calls need not; they stay if nobody uses them.

        Raises:
            ConfigurationError: Weights are missing; nothing is loaded yet.
            NotEnoughVramError: There is no room for one.
            ProviderError: A model cannot be loaded.
        """
        for entry in await self._checked(entries):
            await self._targets.provider(entry.provider).load(entry)

    async def warm(self, entries: Iterable[ModelEntry], head: tuple[Message, ...] = ()) -> None:
        """Load some models, and have them read what prompts will begin with.

        Args:
            entries: The models.
            head: The messages that prompts begin with.

        Raises:
            AgentLabError: As of `load`.
        """
        for entry in await self._checked(entries):
            await self._targets.provider(entry.provider).warm(entry, head)

    async def unload(self, entry: ModelEntry) -> None:
        """Free a model's memory; one that is not loaded is no error.

        Raises:
            ModelInUseError: It is answering calls.
        """
        await self._targets.provider(entry.provider).unload(entry)

    async def fit(self, entry: ModelEntry) -> ModelFit | None:
        """Whether there is memory for a model; None: it takes none of this machine's.

        Raises:
            ConfigurationError: Its file is damaged, or its engine is not installed.
        """
        return await self._targets.provider(entry.provider).fit(entry)

    def loaded(self) -> tuple[LoadedModel, ...]:
        """The models that take memory; those that come and go, too."""
        return tuple(model for provider in self._targets.made() for model in provider.loaded())

    def traffic(self) -> tuple[ModelTraffic, ...]:
        """How often models were loaded and unloaded."""
        return tuple(seen for provider in self._targets.made() for seen in provider.traffic())

    async def _checked(self, entries: Iterable[ModelEntry]) -> list[ModelEntry]:
        wanted = list(entries)
        for entry in wanted:
            await self._targets.provider(entry.provider).check(entry)
        return wanted
