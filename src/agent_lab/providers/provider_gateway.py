"""The one way to every model: resolves model and strategy, calls the provider, normalises."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from typing import Any, NamedTuple, Self

from agent_lab.config import Settings, load_settings
from agent_lab.contracts import (
    Constraints,
    GenerationRequest,
    GenerationResult,
)
from agent_lab.errors import (
    InvalidRequestError,
    ProviderError,
    ProviderTimeoutError,
    TruncatedAnswerError,
)
from agent_lab.observability.logger import log_context
from agent_lab.providers.base import PROVIDERS, Delta, Emit, Provider, ProviderAnswer, ProviderCall
from agent_lab.providers.call_builder import build_call, seconds_left
from agent_lab.providers.default_model import DEMO_MODEL, choose_default, physical_memory_gb
from agent_lab.providers.local.scripted_provider import Script, ScriptedProvider
from agent_lab.providers.local.weights.store import WeightsStore
from agent_lab.providers.normalisation import ResolvedModel, attempt_since, normalised
from agent_lab.providers.registries.model_registry import ModelEntry, ModelRegistry
from agent_lab.providers.registries.strategy_registry import Strategy, StrategyRegistry
from agent_lab.providers.resources import Resources, read_resources

logger = logging.getLogger(__name__)


class GenerationChunk(NamedTuple):
    """A piece of a streamed answer; only the last one carries the result."""

    text: str = ""
    reasoning: bool = False
    result: GenerationResult | None = None


class ProviderGateway:
    """Answers generation requests, whatever provider a model lives at.

    Args:
        models: The models that can be asked for.
        strategies: How they can be asked.
        provider: Gives the provider of a name; called once for each name.
        settings: Defaults for what a request leaves open.
        weights: Which local models are on this machine.
    """

    def __init__(
        self,
        models: ModelRegistry,
        strategies: StrategyRegistry,
        *,
        provider: Callable[[str], Provider],
        settings: Settings,
        weights: WeightsStore,
    ) -> None:
        self.models = models
        self.strategies = strategies
        self.weights = weights
        self._make_provider = provider
        self._providers: dict[str, Provider] = {}
        self._settings = settings

    @classmethod
    def from_settings(cls, settings: Settings | None = None) -> Self:
        """Build a gateway from the environment, or from settings; nothing is loaded yet."""
        settings = settings or load_settings()
        return cls(
            ModelRegistry.load(settings.models_file),
            StrategyRegistry.load(settings.strategies_file),
            provider=lambda name: PROVIDERS.get(name).from_settings(settings),
            settings=settings,
            weights=WeightsStore.from_settings(settings),
        )

    @classmethod
    def scripted(
        cls, script: Script | ScriptedProvider, models: Iterable[str] = ("scripted",)
    ) -> Self:
        """Build a gateway that answers from a script: for tests and examples.

        Args:
            script: See `ScriptedProvider`; pass one of your own to read its `calls`.
            models: The model keys that exist; the first one is the default.
        """
        provider = script if isinstance(script, ScriptedProvider) else ScriptedProvider(script)
        keys = list(models)
        settings = load_settings(default_model=keys[0])
        entries = [
            ModelEntry(key=key, family=key, provider="scripted", context_window=32768)
            for key in keys
        ]
        return cls(
            ModelRegistry(entries),
            StrategyRegistry.load(settings.strategies_file),
            provider=lambda _: provider,
            settings=settings,
            weights=WeightsStore.from_settings(settings),
        )

    async def generate(
        self, request: GenerationRequest | Mapping[str, Any], emit: Emit | None = None
    ) -> GenerationResult:
        """Answer one request.

        Args:
            request: A request, or a mapping of its fields.
            emit: Called with every piece of the answer as it comes.

        Raises:
            InvalidRequestError: The request asks for nothing, or for something impossible.
            UnknownModelError: No model has this key.
            UnknownStrategyError: No strategy has this name.
            WeightsMissingError: The model's weights are not on this machine.
            ProviderError: The provider failed; `details["attempts"]` lists every try.
        """
        if not isinstance(request, GenerationRequest):
            request = GenerationRequest.parse(request)
        resolved = self.resolve_model(request.model_key, request.constraints)
        strategy = self.select_strategy(request.strategy, resolved.entry)
        call, dropped = build_call(
            request, resolved.entry, strategy, self._settings.max_tokens_default
        )
        with log_context(provider=resolved.entry.provider):
            started = time.perf_counter()
            try:
                answer = await self._answer(call, request, strategy, emit or _silent)
            except ProviderError as error:
                attempt = attempt_since(resolved.entry, error.code, started, error.message)
                error.details["attempts"] = [attempt.model_dump()]
                raise
            attempt = attempt_since(resolved.entry, "ok", started)
            logger.info("`%s` answered in %.2f s", resolved.entry.key, attempt.seconds)
        return normalised(resolved, strategy, answer, attempt, dropped)

    async def stream(
        self, request: GenerationRequest | Mapping[str, Any]
    ) -> AsyncGenerator[GenerationChunk, None]:
        """Answer one request piece by piece; the last chunk carries the result.

        Leaving the iteration stops the work. Raises as `generate` does.
        """
        chunks: asyncio.Queue[Delta | None] = asyncio.Queue()
        answering = asyncio.create_task(self.generate(request, chunks.put_nowait))
        answering.add_done_callback(lambda _: chunks.put_nowait(None))
        try:
            while (delta := await chunks.get()) is not None:
                yield GenerationChunk(delta.text, delta.reasoning)
            yield GenerationChunk(result=await answering)
        finally:
            answering.cancel()
            await asyncio.wait({answering})
            if not answering.cancelled():
                answering.exception()  # seen: asyncio need not warn of it

    def resolve_model(
        self, key: str | None = None, constraints: Constraints | None = None
    ) -> ResolvedModel:
        """Decide which model answers.

        Args:
            key: A model key; None: the default model.
            constraints: Memory it may need at most, models it may not be.

        Raises:
            UnknownModelError: No model has this key.
            WeightsMissingError: No key was given and no local model is here.
            InvalidRequestError: The model that was named breaks the constraints.
        """
        constraints = constraints or Constraints()
        key = key or self._settings.default_model
        if key is not None:
            entry = self.models.get(key)
            _refuse_unless(_allowed(entry, constraints), entry, "the constraints exclude it")
            return ResolvedModel(entry)
        allowed = [entry for entry in self.models.all() if _allowed(entry, constraints)]
        entry = choose_default(allowed, self.weights.present, physical_memory_gb())
        return ResolvedModel(entry, None if entry.key == DEMO_MODEL else DEMO_MODEL)

    def select_strategy(self, name: str | None, model: ModelEntry) -> Strategy:
        """Return the strategy of this name, else the configured one, else the model's own.

        Raises:
            UnknownStrategyError: There is no such strategy.
        """
        return self.strategies.get(
            name or self._settings.default_strategy or model.default_strategy
        )

    async def prepare(
        self, keys: Iterable[str | None], strategies: Iterable[str]
    ) -> dict[str | None, ResolvedModel]:
        """Find out, before anything is paid for, whether some models can be asked.

        Args:
            keys: Model keys; None: the default model.
            strategies: Names of strategies.

        Returns:
            Which model is going to answer for each key.

        Raises:
            ConfigurationError: A name is unknown, or a model is not ready to be asked.
        """
        for name in strategies:
            self.strategies.get(name)
        resolved = {key: self.resolve_model(key) for key in keys}
        for entry, _ in resolved.values():
            self.select_strategy(None, entry)
            await self._provider(entry.provider).check(entry)
        return resolved

    async def warm(self, keys: Iterable[str]) -> None:
        """Load some models, so that their first calls need not.

        Raises:
            ConfigurationError: A key is unknown, or weights are missing; nothing is loaded yet.
            ProviderError: A model cannot be loaded.
        """
        for entry, _ in (await self.prepare(keys, ())).values():
            await self._provider(entry.provider).warm(entry)

    def loaded_models(self) -> tuple[str, ...]:
        """Keys of the models that are in memory."""
        return tuple(key for p in self._providers.values() for key in p.loaded())

    def resources(self) -> Resources:
        """Measure what this machine has, and what of it the models take."""
        return read_resources(self.loaded_models())

    async def aclose(self) -> None:
        """Free every model and connection."""
        while self._providers:
            _, provider = self._providers.popitem()
            await provider.aclose()

    def _provider(self, name: str) -> Provider:
        if name not in self._providers:
            self._providers[name] = self._make_provider(name)
        return self._providers[name]

    async def _answer(
        self, call: ProviderCall, request: GenerationRequest, strategy: Strategy, emit: Emit
    ) -> ProviderAnswer:
        provider = self._provider(call.model.provider)
        local_only = request.data_policy == "local" and not provider.is_local
        _refuse_unless(not local_only, call.model, "the data policy `local` keeps text here")
        seconds = seconds_left(request, strategy, asyncio.get_running_loop().time())
        try:
            async with asyncio.timeout(seconds):
                answer = await provider.generate(call, emit)
        except TimeoutError as error:
            raise ProviderTimeoutError(
                f"`{call.model.key}` did not finish within {seconds:g} s.",
                provider=call.model.provider,
                model=call.model.key,
                hint="Raise `timeout_s` of the strategy "
                f"`{strategy.name}`, or ask for fewer tokens (--max-tokens).",
            ) from error
        if not answer.text.strip():
            raise TruncatedAnswerError(
                f"`{call.model.key}` answered without any text (finish reason "
                f"`{answer.finish_reason}`).",
                provider=call.model.provider,
                model=call.model.key,
            )
        return answer


def _allowed(entry: ModelEntry, constraints: Constraints) -> bool:
    fits = constraints.vram_gb is None or entry.min_vram_gb <= constraints.vram_gb
    return fits and entry.key not in constraints.distinct_from


def _refuse_unless(allowed: bool, entry: ModelEntry, reason: str) -> None:
    if not allowed:
        raise InvalidRequestError(f"`{entry.key}` cannot answer: {reason}.")


def _silent(delta: Delta) -> None:
    """Nobody reads along."""
