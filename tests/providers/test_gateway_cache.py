"""What was answered is not paid for again; what must not be answered, is not, stored or not."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent_lab.config import Settings, load_settings
from agent_lab.contracts import GenerationResult, Usage
from agent_lab.errors import (
    BudgetExceededError,
    CircuitOpenError,
    InvalidRequestError,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from agent_lab.providers.base import Delta, ProviderCall
from agent_lab.providers.local.scripted_provider import Reply, ScriptedProvider, ScriptedReply
from agent_lab.providers.local.weights.store import WeightsStore
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.providers.registries.model_registry import CostProfile, ModelEntry, ModelRegistry
from agent_lab.providers.registries.strategy_registry import StrategyRegistry
from agent_lab.providers.resilience.budget import BudgetKeeper

SMALLEST = "smollm2-135m"
GREEDY = {"prompt": "hi", "strategy": "greedy"}
LIVELY = {"prompt": "hi", "temperature": 1.0}


def entry(key: str, **fields: object) -> ModelEntry:
    return ModelEntry.model_validate(
        {"key": key, "provider": "scripted", "context_window": 4096, **fields}
    )


def gateway_of(
    settings: Settings,
    provider: ScriptedProvider,
    *entries: ModelEntry,
    fallbacks: tuple[str, ...] = (),
    **changes: object,
) -> ProviderGateway:
    """A gateway whose models all answer from one script; the first one is the default."""
    models = entries or (entry("model"),)
    greedy = StrategyRegistry.load().get("greedy").model_copy(update={"fallbacks": fallbacks})
    strategies = [s for s in StrategyRegistry.load().all() if s.name != "greedy"]
    wishes = {"default_model": models[0].key, "max_attempts": 1, **changes}
    return ProviderGateway(
        ModelRegistry(models),
        StrategyRegistry([*strategies, greedy]),
        provider=lambda _: provider,
        settings=settings.model_copy(update=wishes),
        weights=WeightsStore.from_settings(settings),
    )


class Counting:
    """A script that numbers its answers."""

    def __init__(self, **fields: Any) -> None:
        self.fields = fields
        self.number = 0

    def __call__(self, call: ProviderCall) -> Reply:
        self.number += 1
        return ScriptedReply(f"answer {self.number}", **self.fields)


@pytest.fixture
def provider() -> ScriptedProvider:
    return ScriptedProvider(Counting())


@pytest.fixture
def gateway(settings: Settings, provider: ScriptedProvider) -> ProviderGateway:
    return gateway_of(settings, provider)


async def test_at_temperature_0_the_same_is_asked_once(settings: Settings):
    provider = ScriptedProvider(Counting(reasoning="hm"))
    gateway = gateway_of(settings, provider)
    first = await gateway.generate(GREEDY)
    again = await gateway.generate(GREEDY)
    assert len(provider.calls) == 1
    assert (first.cache_hit, again.cache_hit) == (False, True)
    same = ("text", "reasoning", "finish_reason", "source", "strategy", "model_resolved")
    assert [getattr(again, name) for name in same] == [getattr(first, name) for name in same]
    assert (again.text, again.reasoning) == ("answer 1", "hm")


async def test_a_stored_answer_took_nothing(gateway: ProviderGateway):
    await gateway.generate(GREEDY)
    again = await gateway.generate(GREEDY)
    assert again.usage == Usage(cost_usd=0.0)
    assert (again.tokens_generated, again.attempts, again.model_warm) == (0, (), None)
    assert (again.timings.load_time, again.timings.inference_time) == (0.0, 0.0)
    assert again.timings.prefill is again.timings.decode is None


async def test_at_other_temperatures_the_same_is_asked_again(
    gateway: ProviderGateway, provider: ScriptedProvider
):
    texts = [(await gateway.generate(LIVELY)).text for _ in range(3)]
    assert texts == ["answer 1", "answer 2", "answer 3"]
    use = gateway.cache.use()
    assert (use.entries, use.misses) == (0, 0)


async def test_five_draws_are_five_calls_and_the_same_five_are_five_stored_answers(
    gateway: ProviderGateway, provider: ScriptedProvider
):
    async def draw() -> list[GenerationResult]:
        draws = [{**LIVELY, "cache": "on", "sample": k} for k in range(5)]
        return [await gateway.generate(asked) for asked in draws]

    first, again = await draw(), await draw()
    assert len(provider.calls) == 5
    assert len({result.text for result in first}) == 5
    assert [result.text for result in again] == [result.text for result in first]
    assert all(result.cache_hit for result in again)
    assert not any(result.cache_hit for result in first)


async def test_off_neither_reads_nor_writes(gateway: ProviderGateway):
    off = {**GREEDY, "cache": "off"}
    assert (await gateway.generate(off)).text == "answer 1"
    assert (await gateway.generate(GREEDY)).text == "answer 2"
    assert (await gateway.generate(off)).text == "answer 3"
    assert (await gateway.generate(GREEDY)).text == "answer 2"


async def test_a_model_that_takes_no_temperature_is_asked_again_unless_the_cache_is_on(
    settings: Settings, provider: ScriptedProvider
):
    gateway = gateway_of(settings, provider, entry("model", unsupported_params=["temperature"]))
    asked = [GREEDY, GREEDY, {**GREEDY, "cache": "on"}, {**GREEDY, "cache": "on"}]
    results = [await gateway.generate(request) for request in asked]
    assert [result.cache_hit for result in results] == [False, False, False, True]
    assert results[3].dropped_params == ("temperature",)


@pytest.mark.parametrize("limit", ["cache_max_entries", "cache_max_mb"])
async def test_with_no_room_there_is_no_cache(
    settings: Settings, provider: ScriptedProvider, limit: str
):
    gateway = gateway_of(settings.model_copy(update={limit: 0}), provider)
    for _ in range(2):
        await gateway.generate(GREEDY)
    assert len(provider.calls) == 2
    assert gateway.cache.use().misses == 0


async def test_an_answer_that_a_limit_has_cut_is_not_kept(settings: Settings):
    provider = ScriptedProvider(Counting(finish_reason="length"))
    gateway = gateway_of(settings, provider)
    assert [(await gateway.generate(GREEDY)).text for _ in range(2)] == ["answer 1", "answer 2"]


async def test_a_failure_is_not_kept(settings: Settings):
    gateway = gateway_of(settings, ScriptedProvider([OSError("gone"), "ok"]))
    with pytest.raises(ProviderUnavailableError):
        await gateway.generate(GREEDY)
    assert (await gateway.generate(GREEDY)).cache_hit is False
    assert (await gateway.generate(GREEDY)).cache_hit is True


async def test_a_model_whose_entry_was_replaced_is_asked_again(gateway: ProviderGateway):
    await gateway.generate(GREEDY)
    gateway.models.add(entry("model", options={"n": 1}))
    assert (await gateway.generate(GREEDY)).cache_hit is False


async def test_a_model_that_its_host_chooses_is_asked_again(settings: Settings):
    class Elsewhere(ScriptedProvider):
        address = "http://127.0.0.1:8080/v1"

    gateway = gateway_of(settings, Elsewhere(Counting()), entry("first"), entry("b", model="b"))
    named = [{**GREEDY, "cache": "on", "model_key": key} for key in ("first", "first", "b", "b")]
    hits = [(await gateway.generate(asked)).cache_hit for asked in named]
    assert hits == [False, False, False, True]


async def test_a_fallbacks_answer_is_its_own_and_not_that_of_the_model_that_failed(
    settings: Settings,
):
    asked: list[str] = []

    def reply(call: ProviderCall) -> Reply:
        asked.append(call.model.key)
        return OSError("gone") if call.model.key == "model" else "the other's"

    models = (entry("model"), entry("other"))
    gateway = gateway_of(settings, ScriptedProvider(reply), *models, fallbacks=("other",))
    assert (await gateway.generate(GREEDY)).fallback_from == "model"
    own = await gateway.generate({**GREEDY, "model_key": "other"})
    assert asked == ["model", "other"]
    assert (own.text, own.cache_hit, own.fallback_from) == ("the other's", True, None)
    again = await gateway.generate(GREEDY)
    assert (again.cache_hit, again.fallback_from) == (False, "model")
    assert asked == ["model", "other"] * 2


async def test_a_stored_answer_is_given_while_the_breaker_is_open(settings: Settings):
    provider = ScriptedProvider(["ok", OSError("gone")])
    gateway = gateway_of(settings, provider, circuit_breaker_max_failures=1)
    await gateway.generate(GREEDY)
    with pytest.raises(ProviderUnavailableError):
        await gateway.generate(LIVELY)
    with pytest.raises(CircuitOpenError):
        await gateway.generate(LIVELY)
    assert (await gateway.generate(GREEDY)).text == "ok"
    assert gateway.breakers.states("scripted")["*"].state == "open"


async def test_a_stored_answer_takes_nothing_of_budgets_and_limits(
    settings: Settings, provider: ScriptedProvider
):
    price = CostProfile(input=1, output=10)
    gateway = gateway_of(settings, provider, entry("model", cost_profile=price))
    budget = BudgetKeeper(1.0, calls=1)
    poor = {**GREEDY, "constraints": {"cost_budget_usd": 0.0}}
    with pytest.raises(BudgetExceededError):
        await gateway.generate(poor)
    await gateway.generate(GREEDY, budget=budget)
    spent = budget.spent
    limiter = gateway.targets.limiter("scripted")
    used = (await limiter.status()).requests_used
    assert (await gateway.generate(GREEDY, budget=budget)).usage.cost_usd == 0.0
    assert (await gateway.generate(poor)).cache_hit
    assert budget.spent == spent > 0
    assert (await limiter.status()).requests_used == used
    with pytest.raises(BudgetExceededError, match="all its calls"):
        await gateway.generate({**GREEDY, "prompt": "another"}, budget=budget)


async def test_a_stored_answer_is_refused_to_whom_the_model_would_be(settings: Settings):
    class Elsewhere(ScriptedProvider):
        is_local = False

    models = (entry("model", min_vram_gb=8),)
    gateway = gateway_of(settings, Elsewhere(Counting()), *models)
    await gateway.generate(GREEDY)
    with pytest.raises(InvalidRequestError, match="data policy"):
        await gateway.generate({**GREEDY, "data_policy": "local"})
    for constraints in ({"distinct_from": ["model"]}, {"vram_gb": 4}):
        with pytest.raises(InvalidRequestError, match="`model` cannot answer"):
            await gateway.generate({**GREEDY, "constraints": constraints})
    assert gateway.cache.use().hits == 0


async def test_a_stored_answer_is_shown_in_one_piece_after_what_was_thought(settings: Settings):
    provider = ScriptedProvider(Counting(reasoning="let me see"))
    gateway = gateway_of(settings, provider)
    whole = await gateway.generate(GREEDY)
    shown: list[Delta] = []
    result = await gateway.generate(GREEDY, shown.append)
    assert shown == [Delta("let me see", reasoning=True), Delta("answer 1")]
    chunks = [chunk async for chunk in gateway.stream(GREEDY)]
    assert [(chunk.text, chunk.reasoning) for chunk in chunks] == [
        ("let me see", True),
        ("answer 1", False),
        ("", False),
    ]
    assert chunks[-1].result is not None
    assert whole.text == result.text == chunks[-1].result.text
    assert len(provider.calls) == 1


async def test_hits_and_misses_are_counted_where_the_cache_applies(gateway: ProviderGateway):
    for request in (GREEDY, GREEDY, GREEDY, LIVELY, {**GREEDY, "cache": "off"}):
        await gateway.generate(request)
    text = gateway.metrics.text().decode()
    labels = '{model="model",provider="scripted"}'
    assert f"lab_cache_hits_total{labels} 2.0" in text
    assert f"lab_cache_misses_total{labels} 1.0" in text
    use = gateway.cache.use()
    assert (use.hits, use.misses) == (2, 1)


class Held:
    """A provider whose answers wait for the test."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[asyncio.Event] = asyncio.Queue()
        self.provider = ScriptedProvider(lambda call: "the answer", sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        go_on = asyncio.Event()
        self.begun.put_nowait(go_on)
        await go_on.wait()

    async def gateway(self, settings: Settings) -> ProviderGateway:
        """A gateway that has read its prices: who comes first asks first."""
        gateway = gateway_of(settings, self.provider)
        await gateway.targets.get(gateway.models.get("model"))
        return gateway

    async def let_go(self, words: int = 2) -> None:
        for _ in range(words):
            (await self.begun.get()).set()


async def test_fifty_who_want_the_same_at_once_are_one_call(settings: Settings):
    held = Held()
    gateway = await held.gateway(settings)
    callers = [asyncio.create_task(gateway.generate(GREEDY)) for _ in range(50)]
    await held.let_go()
    results = await asyncio.gather(*callers)
    assert len(held.provider.calls) == 1
    assert {result.text for result in results} == {"the answer"}
    assert [result.cache_hit for result in results] == [False] + [True] * 49
    assert sum(len(result.attempts) for result in results) == 1
    assert gateway.cache.use().waits == 49


async def test_whoever_waits_goes_on_when_the_one_who_asks_is_cancelled(settings: Settings):
    held = Held()
    gateway = await held.gateway(settings)
    first, *others = [asyncio.create_task(gateway.generate(GREEDY)) for _ in range(10)]
    await held.begun.get()
    first.cancel()
    await held.let_go()
    results = await asyncio.gather(*others)
    assert len(held.provider.calls) == 2
    assert [result.cache_hit for result in results] == [False] + [True] * 8


async def test_one_after_the_other_asks_while_it_fails_and_each_has_its_own_error(
    settings: Settings,
):
    most = in_flight = 0

    async def sleep(seconds: float) -> None:
        nonlocal most, in_flight
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0)
        in_flight -= 1

    replies = [ScriptedReply(error=OSError("gone"), delay_s=1)] * 2 + [ScriptedReply("ok")]
    provider = ScriptedProvider(replies, sleep=sleep)
    gateway = gateway_of(settings, provider)
    asking = (gateway.generate(GREEDY) for _ in range(5))
    results = await asyncio.gather(*asking, return_exceptions=True)
    errors = [result for result in results if isinstance(result, ProviderUnavailableError)]
    texts = [result.text for result in results if isinstance(result, GenerationResult)]
    assert len(set(map(id, errors))) == 2
    assert texts == ["ok"] * 3
    assert (len(provider.calls), most) == (3, 1)


async def test_whoever_waits_has_a_deadline_of_its_own(settings: Settings):
    held = Held()
    gateway = await held.gateway(settings)
    patient = asyncio.create_task(gateway.generate(GREEDY))
    go_on = await held.begun.get()
    passed = asyncio.get_running_loop().time()
    with pytest.raises(ProviderTimeoutError, match="`model` did not finish") as raised:
        await gateway.generate({**GREEDY, "deadline": passed})
    assert raised.value.details["attempts"] == []
    go_on.set()
    await held.let_go(1)
    assert (await patient).text == "the answer"
    assert len(held.provider.calls) == 1


async def test_where_the_cache_does_not_apply_nobody_waits_for_another(settings: Settings):
    held = Held()
    gateway = await held.gateway(settings)
    callers = [asyncio.create_task(gateway.generate(LIVELY)) for _ in range(3)]
    await held.let_go(6)
    await asyncio.gather(*callers)
    assert len(held.provider.calls) == 3


@pytest.fixture
async def real(settings: Settings) -> AsyncIterator[ProviderGateway]:
    gateway = ProviderGateway.from_settings(
        load_settings(default_model=SMALLEST, home=settings.home, local_context=512)
    )
    yield gateway
    await gateway.aclose()


@pytest.mark.weights(SMALLEST)
async def test_a_real_models_stored_answer_is_its_first_to_the_byte_and_needs_no_load(
    real: ProviderGateway,
):
    asked = {"prompt": "Say hi.", "strategy": "greedy", "max_tokens": 200}
    first = await real.generate(asked)
    assert first.finish_reason == "stop"
    anew = await real.generate({**asked, "cache": "off"})
    await real.memory.unload(real.models.get(SMALLEST))
    stored = await real.generate(asked)
    assert (anew.cache_hit, stored.cache_hit) == (False, True)
    assert stored.text.encode() == first.text.encode() == anew.text.encode()
    assert real.memory.loaded() == ()
