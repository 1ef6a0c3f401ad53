"""Adds models that a hub has: to the operator's file, and to the registry that is in use."""

import asyncio

from agent_lab.config import Settings
from agent_lab.providers.local.weights.hub import HubAccess
from agent_lab.providers.local.weights.hub_repository import new_model
from agent_lab.providers.model_memory import ModelMemory
from agent_lab.providers.registries.model_registry import ModelEntry, ModelRegistry
from agent_lab.providers.registries.operator_file import add_entry


class NewModels:
    """Makes models of a hub known.

    Args:
        models: The registry that is in use.
        memory: Frees a model that is replaced.
        settings: Which hub is asked, and where the operator's file is.
    """

    def __init__(self, models: ModelRegistry, memory: ModelMemory, settings: Settings) -> None:
        self._models = models
        self._memory = memory
        self._settings = settings

    async def add(
        self, source: str, *, key: str | None = None, replace: bool = False
    ) -> ModelEntry:
        """Add the model of a repository; its weights are not fetched.

        Args:
            source: `hf:OWNER/REPO[@REVISION][#FILE]`; without a file, one is chosen.
            key: Its key; None: made of the file's name.
            replace: Whether there may be a model of this key already.

        Returns:
            The new entry.

        Raises:
            InvalidRequestError: The source has another form, or the key cannot be one.
            ConfigurationError: There is no such repository or file, it holds no model that can
                chat, the key is taken, or the network must not be used.
            ProviderError: The hub wants a token, or cannot be asked now.
            StorageError: The operator's file cannot be written.
            ModelInUseError: The model that would be replaced is answering calls.
        """
        token = self._settings.hf_token
        hub = HubAccess(self._settings.hf_endpoint, token.get_secret_value() if token else None)
        entry = await new_model(hub, source, key=key, offline=self._settings.offline)
        if replace:
            await self._free(entry.key)
        # Whoever asks may leave: file and registry are changed both, or none.
        await asyncio.shield(self._keep(entry, replace))
        return entry

    async def _free(self, key: str) -> None:
        """The weights of a model that is replaced must not go on answering for the new one."""
        for old in self._models.all():
            if old.key == key:
                await self._memory.unload(old)

    async def _keep(self, entry: ModelEntry, replace: bool) -> None:
        file = self._settings.own_models_file
        await asyncio.to_thread(add_entry, file, entry, replace=replace)
        self._models.add(entry)
