"""Answers calls with models of this machine, loading each at its first use."""

import asyncio
from typing import Self

from typing_extensions import override

from agent_lab.config import Settings
from agent_lab.contracts import LoadedModel, Message, ModelFit, ModelTraffic, Timings
from agent_lab.providers.base import Delta, Emit, Provider, ProviderAnswer, ProviderCall, provider
from agent_lab.providers.clock import loop_time
from agent_lab.providers.local.loading import LoadOptions
from agent_lab.providers.local.machine import available_cores
from agent_lab.providers.local.manager.model_loader import ModelLoader
from agent_lab.providers.local.manager.model_manager import ModelManager
from agent_lab.providers.local.weights.store import WeightsStore
from agent_lab.providers.registries.model_registry import ModelEntry
from agent_lab.providers.registries.provider_registry import ProviderEntry


@provider("local")
class LocalProvider(Provider):
    """Local models, kept loaded within the memory that they may take.

    Args:
        weights: Where the models' files are.
        wish: The window that a model must hold, within its own, and the slots that it gets if
            there is memory for so many.
        limit_gb: Memory in GB (10^9 bytes) that all models may take; None: all that is free.
        idle_s: Seconds after which a model that nobody uses is unloaded; 0: never.
    """

    is_local = True

    def __init__(
        self,
        weights: WeightsStore,
        wish: LoadOptions,
        *,
        limit_gb: float | None = None,
        idle_s: float = 0.0,
    ) -> None:
        self._weights = weights
        self._manager = ModelManager(
            ModelLoader(weights, wish, limit_gb),
            idle_s=idle_s,
            now=loop_time,
        )

    @override
    @classmethod
    def from_settings(cls, settings: Settings, entry: ProviderEntry) -> Self:
        threads = settings.local_threads or available_cores()
        return cls(
            WeightsStore.from_settings(settings),
            LoadOptions(settings.local_context, settings.local_slots, threads),
            limit_gb=settings.max_vram_usage_gb,
            idle_s=settings.local_idle_unload_s,
        )

    @override
    async def generate(self, call: ProviderCall, emit: Emit) -> ProviderAnswer:
        async with self._manager.using(call.model, call.run_id, call.deadline) as model:
            answer, waited = await model.executor.execute(call, emit)
        return ProviderAnswer(
            text=answer.text,
            reasoning=answer.reasoning,
            finish_reason=answer.finish_reason,
            tokens=answer.tokens,
            timings=Timings(
                queue=model.queue + waited,
                load_time=model.load,
                prefill=answer.prefill,
                decode=answer.decode,
            ),
            model_warm=not model.load,
            source="local",
        )

    @override
    async def check(self, model: ModelEntry) -> None:
        if not self._manager.ready(model.key):
            await asyncio.to_thread(self._weights.verified_path, model)
            await self._manager.check(model)

    @override
    def ready(self, model: ModelEntry) -> bool:
        return self._manager.ready(model.key) or self._weights.present(model)

    @override
    async def load(self, model: ModelEntry) -> None:
        await self._manager.load(model)

    @override
    async def warm(self, model: ModelEntry, head: tuple[Message, ...] = ()) -> None:
        await self._manager.load(model)
        # An empty system prompt would still pull in the template's own: one word of a user does.
        messages = (*head, Message(role="user", content="."))
        await self.generate(
            ProviderCall(model, messages, {"max_tokens": 1}, streamed=False), _heard
        )

    @override
    async def unload(self, model: ModelEntry) -> None:
        await self._manager.unload(model.key)

    @override
    async def fit(self, model: ModelEntry) -> ModelFit | None:
        return await self._manager.fit(model)

    @override
    def loaded(self) -> tuple[LoadedModel, ...]:
        return self._manager.loaded()

    @override
    def traffic(self) -> tuple[ModelTraffic, ...]:
        return self._manager.traffic()

    @override
    async def aclose(self) -> None:
        await self._manager.aclose()


def _heard(delta: Delta) -> None:
    """Hear a piece that nobody wants."""
