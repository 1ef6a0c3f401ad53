"""A call costs what the price table says, and never more than its worst case."""

import pytest
from genai_prices import Usage, calc_price
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.providers.base import TokenCounts
from agent_lab.providers.pricing import Price, PriceList, price_table, prices_of
from agent_lab.providers.registries.model_registry import CostProfile, ModelEntry, ModelRegistry
from agent_lab.providers.registries.provider_registry import ProviderEntry, ProviderRegistry

HOSTS = ProviderRegistry.load()
REMOTE = [entry for entry in ModelRegistry.load().all() if HOSTS.get(entry.provider).prices]
BASE = Price(input=1.0, output=4.0, cache_read=0.1, cache_write=1.25)
LONG = Price(2.0, 6.0, 0.2, 2.5, above_prompt_tokens=1000)
COUNTS = [
    TokenCounts(prompt=1000, completion=500),
    TokenCounts(prompt=1000, cached=400, cache_write=300, completion=500, reasoning=450),
    TokenCounts(prompt=1000, cached=1000),
    TokenCounts(completion=7),
    TokenCounts(prompt=100_000, completion=1),
    TokenCounts(prompt=100_001, cached=1, completion=1),
    TokenCounts(prompt=272_000, cached=90_000, cache_write=1000, completion=100),
    TokenCounts(prompt=272_001, cached=90_000, cache_write=1000, completion=100),
    TokenCounts(prompt=900_000, cache_write=900_000, completion=60_000),
    TokenCounts(),
]


def priced(entry: ModelEntry) -> PriceList:
    prices = prices_of(entry, HOSTS.get(entry.provider))
    assert prices is not None
    return prices


def model(name: str = "", **fields: object) -> ModelEntry:
    return ModelEntry.model_validate(
        {"key": "mine", "provider": "host", "model": name, "context_window": 1000, **fields}
    )


def host(prices: str = "") -> ProviderEntry:
    return ProviderEntry(name="host", api="openai", prices=prices)


def by_the_table(name: str, provider: str, tokens: TokenCounts) -> float:
    usage = Usage(
        input_tokens=tokens.prompt,
        cache_read_tokens=tokens.cached,
        cache_write_tokens=tokens.cache_write,
        output_tokens=tokens.completion,
    )
    return float(calc_price(usage, name, provider_id=provider).total_price)


@pytest.mark.parametrize("entry", REMOTE, ids=lambda entry: entry.key)
def test_every_shipped_remote_model_costs_what_the_table_says(entry: ModelEntry):
    prices, table = priced(entry), HOSTS.get(entry.provider).prices
    for tokens in COUNTS:
        expected = by_the_table(entry.model, table, tokens)
        assert prices.cost(tokens) == pytest.approx(expected, rel=1e-9)


def test_at_a_threshold_the_lower_price_holds_and_above_it_the_higher_one_for_all_tokens():
    tiered = [entry for entry in REMOTE if len(priced(entry).steps) > 1]
    assert tiered
    for entry in tiered:
        lower, higher = priced(entry).steps
        at = TokenCounts(prompt=higher.above_prompt_tokens, completion=1)
        over = at._replace(prompt=at.prompt + 1)
        for tokens, step in ((at, lower), (over, higher)):
            cost = (tokens.prompt * step.input + step.output) / 1e6
            assert priced(entry).cost(tokens) == pytest.approx(cost)
            table = by_the_table(entry.model, HOSTS.get(entry.provider).prices, tokens)
            assert table == pytest.approx(cost)


@pytest.mark.parametrize(
    ("tokens", "micro_usd"),
    [
        (TokenCounts(), 0),
        (TokenCounts(prompt=100), 100),
        (TokenCounts(prompt=100, cached=40), 60 + 4),
        (TokenCounts(prompt=100, cache_write=40), 60 + 50),
        (TokenCounts(prompt=100, cached=40, cache_write=40), 20 + 4 + 50),
        (TokenCounts(prompt=100, cached=100), 10),
        (TokenCounts(completion=10), 40),
        (TokenCounts(completion=10, reasoning=9), 40),
        (TokenCounts(prompt=100, cached=40, cache_write=40, completion=10, reasoning=5), 114),
        (TokenCounts(prompt=10, cached=40), 4),
    ],
)
def test_every_token_is_paid_in_one_class_only(tokens: TokenCounts, micro_usd: float):
    assert BASE.cost(tokens) == pytest.approx(micro_usd / 1e6)
    assert PriceList((BASE,)).cost(tokens) == BASE.cost(tokens)


@pytest.mark.parametrize(
    ("profile", "price"),
    [
        ({"input": 2, "output": 8}, Price(2.0, 8.0, 2.0, 2.0)),
        ({"input": 2, "output": 8, "cache_read": 0.5}, Price(2.0, 8.0, 0.5, 2.0)),
        ({"input": 2, "output": 8, "cache_write": 3}, Price(2.0, 8.0, 2.0, 3.0)),
        (
            {"input": 2, "output": 8, "cache_read": 0, "cache_write": 0},
            Price(2.0, 8.0, 0.0, 0.0),
        ),
        ({"input": 0, "output": 0}, Price(0.0, 0.0, 0.0, 0.0)),
    ],
)
def test_an_entrys_own_prices_go_before_the_table(profile: dict[str, float], price: Price):
    own = model("gpt-4.1", cost_profile=CostProfile(**profile))
    for provider in (host("openai"), host()):
        assert prices_of(own, provider) == PriceList((price,))


@pytest.mark.parametrize(
    ("entry", "provider"),
    [
        (model("no-such-model-anywhere"), host("openai")),
        (model("gpt-4.1"), host()),
        (model("gpt-4.1"), host("no-such-provider")),
        (model(), host("openai")),
    ],
)
def test_a_price_that_nobody_knows_is_none(entry: ModelEntry, provider: ProviderEntry):
    assert prices_of(entry, provider) is None


def test_a_model_that_is_also_paid_by_the_request_has_no_known_price():
    assert by_the_table("sonar", "perplexity", TokenCounts(prompt=1)) > 0.001
    assert prices_of(model("sonar"), host("perplexity")) is None


def test_a_model_without_a_name_of_its_own_is_found_by_its_key():
    assert prices_of(model(key="gpt-4.1"), host("openai")) == priced(
        ModelRegistry.load().get("gpt-4.1")
    )


@given(
    prompt=st.integers(0, 2000),
    completion=st.integers(0, 1000),
    split=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    usual=st.builds(Price, *[st.floats(0, 100)] * 4, st.just(-1)),
    second=st.none() | st.just(LONG),
)
def test_no_split_of_a_prompt_costs_more_than_the_worst_case(
    prompt: int,
    completion: int,
    split: tuple[float, float],
    usual: Price,
    second: Price | None,
):
    cached = round(prompt * split[0])
    written = round((prompt - cached) * split[1])
    steps = (usual, *([second] if second else []))
    tokens = TokenCounts(prompt, cached, written, completion)
    worst = PriceList(steps).worst(prompt, completion)
    assert PriceList(steps).cost(tokens) <= worst * (1 + 1e-12)


@pytest.mark.parametrize("entry", REMOTE, ids=lambda entry: entry.key)
def test_no_counts_of_a_shipped_model_cost_more_than_its_worst_case(entry: ModelEntry):
    prices = priced(entry)
    for tokens in COUNTS:
        worst = prices.worst(tokens.prompt, tokens.completion)
        assert prices.cost(tokens) <= worst * (1 + 1e-12)


@pytest.mark.parametrize(
    ("prompt", "worst_micro_usd"),
    [(0, 40), (1000, 1250 + 40), (1001, 2502.5 + 60)],
)
def test_the_worst_case_is_at_the_dearest_price_of_the_prompts_length(
    prompt: int, worst_micro_usd: float
):
    assert PriceList((BASE, LONG)).worst(prompt, 10) == pytest.approx(worst_micro_usd / 1e6)


def test_a_price_says_what_it_is():
    assert str(BASE) == "1 in, 4 out, 0.1 cache read, 1.25 cache write, USD per million"
    assert str(LONG).endswith("USD per million above 1000 prompt tokens")


def test_the_table_has_a_version():
    name, version = price_table().split()
    assert name == "genai-prices"
    assert version[0].isdigit()
