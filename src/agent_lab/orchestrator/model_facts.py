"""What validation wants to know of the models that a gateway has."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from agent_lab.errors import AgentLabError
from agent_lab.flows.catalogue import Catalogue, ModelFacts, StrategyFacts
from agent_lab.providers.pricing import PriceList, prices_of
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.providers.registries.model_registry import ModelEntry


def with_models(catalogue: Catalogue, gateway: ProviderGateway) -> Catalogue:
    """Add a gateway's models and strategies to what flows can be made of.

    Args:
        catalogue: With the types of node, the routers, the flows.
        gateway: Who answers.
    """
    models = {
        entry.key: ModelFacts(
            family=entry.family or entry.key,
            context_window=_window(entry, gateway),
            reasoning_tokens=entry.reasoning_allowance,
            strategy=gateway.settings.default_strategy or entry.default_strategy,
            worst_usd=_worst_usd(entry, gateway),
        )
        for entry in gateway.models.all()
    }
    strategies = {
        strategy.name: StrategyFacts(strategy.limits.max_tokens, strategy.fallbacks)
        for strategy in gateway.strategies.all()
    }
    return replace(
        catalogue,
        models=models,
        strategies=strategies,
        default_model=_default(gateway),
        default_strategy=gateway.settings.default_strategy,
        max_tokens=gateway.settings.max_tokens_default,
    )


def _window(entry: ModelEntry, gateway: ProviderGateway) -> int:
    """What a model has room for: an engine in this process loads no more than the settings say."""
    here = gateway.targets.hosts.get(entry.provider).api == "local"
    window = entry.context_window
    return min(window, gateway.settings.local_context) if here else window


def _worst_usd(entry: ModelEntry, gateway: ProviderGateway) -> Callable[[int, int], float | None]:
    @cache
    def prices() -> PriceList | None:  # a price table is read only if somebody asks
        return prices_of(entry, gateway.targets.hosts.get(entry.provider))

    def worst(prompt_tokens: int, completion_tokens: int) -> float | None:
        known = prices()
        return None if known is None else known.worst(prompt_tokens, completion_tokens)

    return worst


def _default(gateway: ProviderGateway) -> str | None:
    try:
        return gateway.resolve_model(None).entry.key
    except AgentLabError:
        return None  # nobody is here yet: a flow can be proved all the same
