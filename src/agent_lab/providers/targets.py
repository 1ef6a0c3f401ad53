"""Models, ready to be asked: each with its provider, its price, its limiter and its counters."""

import asyncio
import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import NamedTuple

from agent_lab.observability.metrics import GatewayMetrics, ModelMetrics
from agent_lab.observability.tracing import ChatTracer
from agent_lab.providers.base import Provider
from agent_lab.providers.call_builder import refused_params
from agent_lab.providers.pricing import PriceList, prices_of
from agent_lab.providers.registries.model_registry import ModelEntry
from agent_lab.providers.registries.provider_registry import ProviderEntry, ProviderRegistry
from agent_lab.providers.resilience.rate_limiter import RateLimiter


class Target(NamedTuple):
    """One model with everything that a call of it needs, found once."""

    entry: ModelEntry
    host: ProviderEntry
    provider: Provider
    limiter: RateLimiter
    prices: PriceList | None
    """None: nobody knows what it costs."""
    metrics: ModelMetrics
    refused: frozenset[str]
    """The parameters that the model does not take."""
    identity: str
    """Tells it from every model that may answer otherwise; empty: only its host knows which it is.
    """
    tracer: ChatTracer | None = None
    """None: nobody looks at spans."""


class Targets:
    """Makes targets, and the providers behind them, at their first use.

    Args:
        hosts: The registry of providers.
        make: Makes the provider of an entry.
        metrics: Where the targets count.
        now: The clock of the limiters, in seconds.
        tracer: Makes a span of every attempt; None: nobody looks at spans.
    """

    def __init__(
        self,
        hosts: ProviderRegistry,
        make: Callable[[ProviderEntry], Provider],
        metrics: GatewayMetrics,
        now: Callable[[], float],
        tracer: ChatTracer | None = None,
    ) -> None:
        self.hosts = hosts
        self.make = make
        self._metrics = metrics
        self._now = now
        self._tracer = tracer
        self._providers: dict[str, Provider] = {}
        self._limiters: dict[str, RateLimiter] = {}
        self._targets: dict[str, Target] = {}

    async def get(self, entry: ModelEntry) -> Target:
        """The target of a model."""
        known = self._targets.get(entry.key)
        if known is not None and known.entry == entry:  # else its entry was replaced meanwhile
            return known
        host = self.hosts.get(entry.provider)
        provider = self.provider(entry.provider)
        # The price table takes half a second to read the first time: nobody else waits for it.
        prices = await asyncio.to_thread(prices_of, entry, host)
        metrics = ModelMetrics(self._metrics, entry.provider, entry.key)
        limiter, refused = self.limiter(entry.provider), refused_params(entry, host)
        identity = identity_of(entry, host, provider)
        target = Target(
            entry, host, provider, limiter, prices, metrics, refused, identity, self._tracer
        )
        self._targets[entry.key] = target
        return target

    def provider(self, name: str) -> Provider:
        """The provider of a name.

        Raises:
            UnknownPluginError: No code speaks with it.
        """
        if name not in self._providers:
            self._providers[name] = self.make(self.hosts.get(name))
        return self._providers[name]

    def limiter(self, name: str) -> RateLimiter:
        """The limiter of a provider."""
        if name not in self._limiters:
            limits = self.hosts.get(name).limits
            self._limiters[name] = RateLimiter(name, limits, now=self._now)
        return self._limiters[name]

    def made(self) -> Iterator[Provider]:
        """The providers that were used so far."""
        yield from self._providers.values()

    async def aclose(self) -> None:
        """Close every provider; later calls begin anew."""
        self._targets.clear()
        while self._providers:
            _, provider = self._providers.popitem()
            await provider.aclose()
        if self._tracer is not None:
            await asyncio.to_thread(self._tracer.close)


def identity_of(entry: ModelEntry, host: ProviderEntry, provider: Provider) -> str:
    """A digest of what decides how a model answers: its weights or its name, its host, our code.

    Empty: the entry leaves it to the host which model answers, and that may change at any time.
    """
    if provider.address is not None and not entry.model:
        return ""
    code = type(provider)
    told = {
        "provider": [code.__module__, code.__qualname__, code.version, provider.address],
        "host": host.model_dump(mode="json"),
        "model": entry.model_dump(mode="json"),
    }
    return sha256(json.dumps(told).encode()).hexdigest()
