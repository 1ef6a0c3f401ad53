"""What a call costs: prices by disjoint classes of tokens, resolved once for each model."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

from typing_extensions import override

from agent_lab.providers.base import TokenCounts
from agent_lab.providers.registries.model_registry import CostProfile, ModelEntry
from agent_lab.providers.registries.provider_registry import ProviderEntry

if TYPE_CHECKING:
    from decimal import Decimal

    from genai_prices.types import ModelPrice, TieredPrices


class Price(NamedTuple):
    """US dollars per million tokens of each class; every token of a call is in one class only."""

    input: float
    output: float
    """Thinking included."""
    cache_read: float
    cache_write: float
    above_prompt_tokens: int = -1
    """The price holds for all tokens of a call whose prompt has more tokens than these."""

    @override
    def __str__(self) -> str:
        above = self.above_prompt_tokens
        prompt = f" above {above} prompt tokens" if above > 0 else ""
        return (
            f"{self.input:g} in, {self.output:g} out, {self.cache_read:g} cache read, "
            f"{self.cache_write:g} cache write, USD per million{prompt}"
        )

    def cost(self, tokens: TokenCounts) -> float:
        """The price of a call, in US dollars."""
        fresh = max(0, tokens.prompt - tokens.cached - tokens.cache_write)
        micro_usd = (
            fresh * self.input
            + tokens.cached * self.cache_read
            + tokens.cache_write * self.cache_write
            + tokens.completion * self.output
        )
        return micro_usd / 1e6


class PriceList(NamedTuple):
    """What one model costs, by the length of the prompt, shortest first."""

    steps: tuple[Price, ...]

    def cost(self, tokens: TokenCounts) -> float:
        """The price of a call, in US dollars."""
        return self._step(tokens.prompt).cost(tokens)

    def worst(self, prompt_tokens: int, completion_tokens: int) -> float:
        """The most that a call can cost, in US dollars, whatever is read or written of a cache."""
        step = self._step(prompt_tokens)
        dearest = max(step.input, step.cache_read, step.cache_write)
        return (prompt_tokens * dearest + completion_tokens * step.output) / 1e6

    def _step(self, prompt_tokens: int) -> Price:
        if len(self.steps) == 1:
            return self.steps[0]
        return [s for s in self.steps if s.above_prompt_tokens < prompt_tokens][-1]


def prices_of(model: ModelEntry, provider: ProviderEntry) -> PriceList | None:
    """Find what a model costs: the registry's own figures, else the table of `genai-prices`.

    Returns:
        None if nobody knows.
    """
    if model.cost_profile is not None:
        return _from_profile(model.cost_profile)
    if not provider.prices:
        return None
    return _from_table(model.model or model.key, provider.prices)


def price_table() -> str:
    """The name and version of the table that prices come from where the registry has none."""
    return f"genai-prices {version('genai-prices')}"


def _from_profile(profile: CostProfile) -> PriceList:
    read, write = profile.cache_read, profile.cache_write
    price = Price(
        input=profile.input,
        output=profile.output,
        cache_read=profile.input if read is None else read,
        cache_write=profile.input if write is None else write,
    )
    return PriceList((price,))


def _from_table(name: str, provider: str) -> PriceList | None:
    # A megabyte of data: read when the first remote model is priced, not before.
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, model = get_snapshot().find_provider_model(name, None, provider, None)
    except LookupError:
        return None
    table = model.get_prices(datetime.now(UTC))
    by_tokens = table.input_mtok is not None and table.output_mtok is not None
    if not by_tokens or table.requests_kcount is not None:
        return None
    starts = {-1, *(tier.start for price in _given(table) for tier in _tiers(price))}
    return PriceList(tuple(_step(table, start) for start in sorted(starts)))


def _given(table: "ModelPrice") -> "list[Decimal | TieredPrices]":
    names = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")
    values = [getattr(table, name, None) for name in names]
    return [value for value in values if value is not None]


def _tiers(price: "Decimal | TieredPrices") -> Sequence[Any]:
    return getattr(price, "tiers", ())


def _step(table: "ModelPrice", start: int) -> Price:
    def at(name: str, otherwise: float = 0.0) -> float:
        price = getattr(table, name, None)
        if price is None:
            return otherwise
        reached = [tier.price for tier in _tiers(price) if tier.start <= start]
        return float(reached[-1] if reached else getattr(price, "base", price))

    fresh = at("input_mtok")
    return Price(
        input=fresh,
        output=at("output_mtok"),
        cache_read=at("cache_read_mtok", fresh),
        cache_write=at("cache_write_mtok", fresh),
        above_prompt_tokens=start,
    )
