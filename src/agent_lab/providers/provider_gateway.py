"""The one way to every model: resolves model and strategy, gets an answer, normalises it."""

import asyncio
import logging
import math
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from typing import Any, NamedTuple, Self, get_args

from agent_lab.config import Settings, load_settings
from agent_lab.contracts import Constraints, GenerationRequest, GenerationResult
from agent_lab.errors import UnknownProviderError
from agent_lab.observability.logger import log_context
from agent_lab.observability.metrics import GatewayMetrics
from agent_lab.observability.model_metrics import LocalModelMetrics
from agent_lab.observability.tracing import ChatTracer
from agent_lab.providers.answer_search import AnswerSearch, Resilience, Terms, out_of_time
from agent_lab.providers.base import PROVIDERS, Delta, Emit, Provider
from agent_lab.providers.cached_search import CachedSearch
from agent_lab.providers.call_builder import build_call, seconds_left
from agent_lab.providers.clock import loop_time
from agent_lab.providers.default_model import (
    DEMO_MODEL,
    choose_default,
    first_of,
)
from agent_lab.providers.local.scripted_provider import Script, ScriptedProvider
from agent_lab.providers.local.weights.store import WeightsStore
from agent_lab.providers.model_memory import ModelMemory
from agent_lab.providers.new_models import NewModels
from agent_lab.providers.normalisation import ResolvedModel, normalised
from agent_lab.providers.pricing import price_table
from agent_lab.providers.registries.model_registry import Capability, ModelEntry, ModelRegistry
from agent_lab.providers.registries.provider_registry import (
    ProviderEntry,
    ProviderRegistry,
    is_loopback,
)
from agent_lab.providers.registries.strategy_registry import Strategy, StrategyRegistry
from agent_lab.providers.resilience.budget import BudgetKeeper
from agent_lab.providers.resilience.circuit_breaker import BreakerPolicy, Breakers
from agent_lab.providers.resilience.response_cache import CacheLimits, ResponseCache
from agent_lab.providers.resilience.transition_log import TransitionLog
from agent_lab.providers.resources import Resources, read_resources, total_memory_gb
from agent_lab.providers.selection import excluded_by, refuse, stays_here, unfit_instead
from agent_lab.providers.targets import Target, Targets

logger = logging.getLogger(__name__)


class GenerationChunk(NamedTuple):
    """A piece of a streamed answer; only the last one carries the result."""

    text: str = ""
    reasoning: bool = False
    result: GenerationResult | None = None
    restarted: bool = False
    """What came before is void: the answer begins anew. Only where `midstream` is `restart`."""


class ProviderGateway:
    """Answers generation requests, whatever provider a model lives at.

    Args:
        models: The models that can be asked for.
        strategies: How they can be asked.
        hosts: Where models live; None: only where no entry is needed.
        provider: Makes the provider of an entry; called once for each.
        settings: Defaults for what a request leaves open, and how patient the gateway is.
        weights: Which local models are on this machine.

    Raises:
        UnknownModelError: A strategy names a fallback that there is not.
    """

    def __init__(
        self,
        models: ModelRegistry,
        strategies: StrategyRegistry,
        *,
        hosts: ProviderRegistry | None = None,
        provider: Callable[[ProviderEntry], Provider],
        settings: Settings,
        weights: WeightsStore,
    ) -> None:
        self.models = models
        self.strategies = strategies
        self.weights = weights
        self.metrics = GatewayMetrics()
        self.transitions = TransitionLog(self.metrics)
        self.settings = settings
        tracer = (
            ChatTracer.to_endpoint(settings.otel_exporter_otlp_endpoint)
            if settings.otel_exporter_otlp_endpoint
            else None
        )
        hosts = hosts or ProviderRegistry()
        self.targets = Targets(hosts, provider, self.metrics, loop_time, tracer)
        policy = BreakerPolicy(
            max_failures=settings.circuit_breaker_max_failures,
            timeout_s=settings.circuit_breaker_timeout,
            error_rate=settings.circuit_breaker_error_rate,
        )
        self.breakers = Breakers(policy, loop_time, self.transitions.note)
        megabytes, seconds = settings.cache_max_mb, settings.cache_ttl_s
        kept = CacheLimits(settings.cache_max_entries, round(megabytes * 1e6), seconds)
        self.cache = ResponseCache(kept, loop_time)
        self.memory = ModelMemory(self.targets)
        self.new_models = NewModels(models, self.memory, settings)
        self.metrics.registry.register(LocalModelMetrics(self.memory.loaded, self.memory.traffic))
        self._shared = Resilience(self.breakers, self.metrics, settings.max_attempts)
        for strategy in strategies.all():
            for key in strategy.fallbacks:
                models.get(key)

    @classmethod
    def from_settings(cls, settings: Settings | None = None) -> Self:
        """Build a gateway from the environment, or from settings; nothing is loaded yet.

        Raises:
            ConfigurationError: A registry file is wrong, or DEFAULT_PROVIDER names nobody.
        """
        settings = settings or load_settings()
        hosts = ProviderRegistry.load(settings.operator_models)
        if settings.default_provider not in {*hosts.names(), *PROVIDERS.names()}:
            raise UnknownProviderError(
                settings.default_provider, hosts.names(), "DEFAULT_PROVIDER=local"
            )
        return cls(
            ModelRegistry.load(settings.operator_models),
            StrategyRegistry.load(settings.strategies_file),
            hosts=hosts,
            provider=lambda entry: PROVIDERS.get(entry.api).from_settings(settings, entry),
            settings=settings,
            weights=WeightsStore.from_settings(settings),
        )

    @classmethod
    def scripted(
        cls, script: Script | ScriptedProvider, models: Iterable[str] = ("scripted",)
    ) -> Self:
        """Build a gateway that answers from a script: for tests and examples.

        What the script says fails, fails: nothing is asked twice, and no breaker opens.

        Args:
            script: See `ScriptedProvider`; pass one of your own to read its `calls`.
            models: The model keys that exist; the first one is the default.
        """
        provider = script if isinstance(script, ScriptedProvider) else ScriptedProvider(script)
        keys = list(models)
        settings = load_settings(
            default_model=keys[0],
            max_attempts=1,
            circuit_breaker_max_failures=sys.maxsize,
            circuit_breaker_error_rate=math.inf,
            circuit_breaker_timeout=sys.float_info.min,  # a refused key opens one at once
        )
        entries = [
            ModelEntry(
                key=key,
                family=key,
                provider="scripted",
                context_window=32768,
                capabilities=get_args(Capability),
            )
            for key in keys
        ]
        return cls(
            ModelRegistry(entries),
            StrategyRegistry.load(),
            provider=lambda _: provider,
            settings=settings,
            weights=WeightsStore.from_settings(settings),
        )

    async def generate(
        self,
        request: GenerationRequest | Mapping[str, Any],
        emit: Emit | None = None,
        *,
        budget: BudgetKeeper | None = None,
    ) -> GenerationResult:
        """Answer one request, in spite of what providers do.

        Args:
            request: A request, or a mapping of its fields.
            emit: Called with every piece of the answer as it comes.
            budget: What the run that asks may still spend.

        Raises:
            InvalidRequestError: The request asks for nothing, or for something impossible.
            UnknownModelError: No model has this key.
            UnknownStrategyError: No strategy has this name.
            ConfigurationError: The model is not set up: no weights, no key.
            ProviderError: No provider answered; `details["attempts"]` lists every try.
            CapacityError: A breaker, a limit or a budget forbids the call, and no fallback helped.
        """
        if not isinstance(request, GenerationRequest):
            request = GenerationRequest.parse(request)
        started = time.perf_counter()
        resolved = self.resolve_model(request.model_key, request.constraints)
        strategy = self.select_strategy(request.strategy, resolved.entry)
        # What this takes the first time is not the call's time.
        asked = await self.targets.get(resolved.entry)
        must_stay = self._must_stay(asked, request)
        now = asyncio.get_running_loop().time()
        seconds = seconds_left(request, strategy, now)
        terms = Terms(
            request,
            strategy,
            lambda target: build_call(
                request,
                target.entry,
                target.refused,
                strategy,
                self.settings.max_tokens_default,
                streamed=emit is not None,
            ),
            _budgets(request, budget),
            now + seconds,
            emit,
        )
        search = AnswerSearch(self._shared, terms)
        with log_context(provider=resolved.entry.provider):
            try:
                async with asyncio.timeout_at(terms.deadline):
                    found = await CachedSearch(self.cache, search, terms).first_answer(
                        asked, lambda: self._fallbacks(asked, terms, must_stay=must_stay)
                    )
            except TimeoutError as error:
                late = out_of_time(resolved.entry, strategy, seconds)
                search.list_attempts(late)
                raise late from error
            spent = time.perf_counter() - started
            logger.info("`%s` answered in %.2f s", found.target.entry.key, spent)
        return normalised(resolved, strategy, found, search.attempts, spent)

    async def stream(
        self,
        request: GenerationRequest | Mapping[str, Any],
        *,
        budget: BudgetKeeper | None = None,
    ) -> AsyncGenerator[GenerationChunk, None]:
        """Answer one request piece by piece; the last chunk carries the result.

        Leaving the iteration stops the work. Raises as `generate` does.
        """
        chunks: asyncio.Queue[Delta | None] = asyncio.Queue()
        answering = asyncio.create_task(self.generate(request, chunks.put_nowait, budget=budget))
        answering.add_done_callback(lambda _: chunks.put_nowait(None))
        try:
            while (delta := await chunks.get()) is not None:
                yield GenerationChunk(delta.text, delta.reasoning, None, delta.restarted)
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
            ConfigurationError: DEFAULT_PROVIDER has no model.
        """
        constraints = constraints or Constraints()
        key = key or self.settings.default_model
        if key is not None:
            entry = self.models.get(key)
            refuse(entry, excluded_by(constraints, entry))
            return ResolvedModel(entry)
        allowed = [entry for entry in self.models.all() if not excluded_by(constraints, entry)]
        home = self.settings.default_provider
        if home != "local":
            return ResolvedModel(first_of(home, allowed))
        memory_gb = min(total_memory_gb(), self.settings.max_vram_usage_gb or math.inf)
        entry = choose_default(allowed, self.weights.present, memory_gb)
        return ResolvedModel(entry, None if entry.key == DEMO_MODEL else DEMO_MODEL)

    def select_strategy(self, name: str | None, model: ModelEntry) -> Strategy:
        """Return the strategy of this name, else the configured one, else the model's own.

        Raises:
            UnknownStrategyError: There is no such strategy.
        """
        return self.strategies.get(name or self.settings.default_strategy or model.default_strategy)

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
            NotEnoughVramError: A local model would never fit.
        """
        for name in strategies:
            self.strategies.get(name)
        resolved = {key: self.resolve_model(key) for key in keys}
        for entry, _ in resolved.values():
            self.select_strategy(None, entry)
            await self.targets.provider(entry.provider).check(entry)
        return resolved

    def resources(self) -> Resources:
        """Measure what this machine has, and what of it the models take."""
        return read_resources(self.memory.loaded())

    def price_table(self, models: Iterable[ResolvedModel]) -> str:
        """The table that prices of some models come from; empty: the registry has them all."""
        listed = (
            self.targets.hosts.get(entry.provider).prices and entry.cost_profile is None
            for entry, _ in models
        )
        return price_table() if any(listed) else ""

    def ready(self, entry: ModelEntry) -> bool:
        """Whether a model can be asked now, as far as is known without asking anybody."""
        return self.targets.provider(entry.provider).ready(entry)

    async def find_local_hosts(self) -> dict[str, tuple[str, ...]]:
        """Ask the servers on this machine which models they serve: names by provider."""
        here = [h.name for h in self.targets.hosts.all() if h.base_url and is_loopback(h.base_url)]
        asked = (self.targets.provider(name).served_models() for name in here)
        served = zip(here, await asyncio.gather(*asked), strict=True)
        return {name: models for name, models in served if models is not None}

    async def aclose(self) -> None:
        """Free every model and connection."""
        await self.targets.aclose()

    async def _fallbacks(self, asked: Target, terms: Terms, *, must_stay: bool) -> list[Target]:
        """The strategy's fallbacks that may answer instead of a model."""
        fit = []
        for key in terms.strategy.fallbacks:
            target = await self.targets.get(self.models.get(key))
            reason = unfit_instead(
                target.entry,
                asked.entry,
                terms.request,
                is_local=target.provider.is_local,
                must_stay=must_stay,
            )
            if reason:
                logger.info("`%s` cannot answer for `%s`: %s", key, asked.entry.key, reason)
            else:
                fit.append(target)
        return fit

    def _must_stay(self, asked: Target, request: GenerationRequest) -> bool:
        """Whether the text must stay here; refuses a remote model if it must."""
        must_stay = stays_here(
            request,
            asked_is_local=asked.provider.is_local,
            default_is_local=self.targets.provider(self.settings.default_provider).is_local,
        )
        if must_stay and not asked.provider.is_local:
            refuse(asked.entry, "the data policy `local` keeps text here")
        return must_stay


def _budgets(request: GenerationRequest, budget: BudgetKeeper | None) -> tuple[BudgetKeeper, ...]:
    """The run's budget, and the call's own."""
    limits = request.constraints
    kept = () if budget is None else (budget,)
    if limits.cost_budget_usd is None:
        return kept
    own = BudgetKeeper(limits.cost_budget_usd, allow_unpriced=limits.allow_unpriced)
    return (*kept, own)
