"""What is in an answer's key, how much is kept, and who asks where several want the same."""

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from typing_extensions import override

from agent_lab.contracts import GenerationRequest, Message
from agent_lab.contracts.generation import RequestContext
from agent_lab.providers.base import ProviderAnswer, ProviderCall, RateReport, TokenCounts
from agent_lab.providers.call_builder import build_call
from agent_lab.providers.local.scripted_provider import ScriptedProvider
from agent_lab.providers.registries.model_registry import ModelEntry
from agent_lab.providers.registries.provider_registry import ProviderEntry
from agent_lab.providers.registries.strategy_registry import Limits, Sampling, Strategy
from agent_lab.providers.resilience.response_cache import (
    WITHOUT_EFFECT,
    CacheKey,
    CacheLimits,
    ResponseCache,
    cache_key,
    size_of,
)
from agent_lab.providers.targets import identity_of
from tests.providers.resilience.clock import FakeClock

ENTRY = ModelEntry(key="model", provider="host", model="its-name", context_window=4096)
HOST = ProviderEntry(name="host", api="openai", base_url="https://host/v1")
STRATEGY = Strategy(
    name="plain",
    sampling=Sampling(temperature=0.7, top_p=0.9, top_k=40),
    limits=Limits(max_tokens=500, timeout_s=60),
)
CALL = ProviderCall(ENTRY, (Message(role="user", content="hi"),), {"temperature": 0.0})
PLENTY = CacheLimits(entries=100, bytes=10**6)


# Another value of every field of a request: a new field fails the test until it is listed here.
OTHERS: Mapping[str, Any] = {
    "prompt": "ho",
    "messages": (Message(role="user", content="ho"),),
    "context": RequestContext(system="be brief"),
    "max_tokens": 7,
    "temperature": 0.2,
    "top_p": 0.5,
    "top_k": 3,
    "stop": ("END",),
    "seed": 5,
    "response_schema": {"type": "object"},
    "role": "creator",
    "sample": 1,
}
# What decides who answers, when and at what price, but not what.
OF_NO_EFFECT: Mapping[str, Any] = {
    "model_key": "model",
    "strategy": "plain",
    "task_type": "code",
    "constraints": {"cost_budget_usd": 1.0},
    "deadline": 1e9,
    "cache": "on",
    "data_policy": "any",
    "midstream": "restart",
    "run_id": "a run",
}


def key_of(fields: Mapping[str, Any], strategy: Strategy = STRATEGY) -> CacheKey:
    request = GenerationRequest.parse({"prompt": "hi", **fields})
    built = build_call(request, ENTRY, frozenset(), strategy, None)
    return cache_key("identity", built.call, request.sample)


def test_every_field_of_a_request_is_in_the_key_or_known_to_be_of_no_effect():
    assert set(OTHERS) | set(OF_NO_EFFECT) == set(GenerationRequest.model_fields)


@pytest.mark.parametrize("field", OTHERS)
def test_another_value_is_another_key(field: str):
    assert key_of({field: OTHERS[field]}) != key_of({})
    assert key_of({field: OTHERS[field]}) == key_of({field: OTHERS[field]})


@pytest.mark.parametrize("field", OF_NO_EFFECT)
def test_what_has_no_effect_on_the_answer_is_not_in_the_key(field: str):
    assert key_of({field: OF_NO_EFFECT[field]}) == key_of({})


@pytest.mark.parametrize("field", Sampling.model_fields)
def test_another_sampling_of_the_strategy_is_another_key(field: str):
    other = Sampling.model_validate({**STRATEGY.sampling.model_dump(), field: 1})
    assert key_of({}, STRATEGY.model_copy(update={"sampling": other})) != key_of({})


def test_strategies_that_send_the_same_share_their_answers():
    assert key_of({}, STRATEGY.model_copy(update={"name": "other"})) == key_of({})
    assert key_of({"temperature": 0.7, "max_tokens": 500}) == key_of({})


def test_a_seed_tells_draws_apart_and_where_nothing_is_drawn_no_answers():
    assert key_of({"temperature": 0.0, "seed": 5}) == key_of({"temperature": 0.0, "seed": 6})
    assert key_of({"temperature": 0.0, "seed": 5}) == key_of({"temperature": 0.0})
    assert key_of({"temperature": 0.1, "seed": 5}) != key_of({"temperature": 0.1, "seed": 6})


def test_the_order_of_a_schemas_properties_is_in_the_key():
    keys = [key_of({"response_schema": {"properties": {a: {}, b: {}}}}) for a, b in ("xy", "yx")]
    assert keys[0] != keys[1]


def test_every_field_of_a_call_is_in_the_key_or_known_to_be_of_no_effect():
    others: Mapping[str, Any] = {
        "messages": (),
        "params": {"temperature": 1.0},
        "role": "creator",
        "streamed": False,
        "run_id": "a run",
        "deadline": 9.0,
    }
    assert {"model", *others} == set(ProviderCall._fields)
    own = cache_key("identity", CALL, 0)
    same = {
        n for n, v in others.items() if cache_key("identity", CALL._replace(**{n: v}), 0) == own
    }
    assert same == WITHOUT_EFFECT
    assert cache_key("another", CALL, 0) != own


class Elsewhere(ScriptedProvider):
    address = "https://host/v1"


class Newer(Elsewhere):
    version: ClassVar[int] = 2


class Moved(Elsewhere):
    address = "https://other/v1"


def test_a_model_is_told_by_its_weights_its_name_its_host_and_our_code():
    entries = [
        ENTRY.model_copy(update=change)
        for change in (
            {},
            {"key": "other"},
            {"model": "another-name"},
            {"file": "other.gguf"},
            {"sha256": "0" * 64},
            {"options": {"body": {"service_tier": "flex"}}},
        )
    ]
    hosts = [HOST.model_copy(update={"headers": {"x-team": "lab"}}), HOST]
    identities = [
        *(identity_of(entry, HOST, Elsewhere()) for entry in entries),
        *(identity_of(ENTRY, HOST, provider) for provider in (Newer(), Moved())),
        identity_of(ENTRY, hosts[0], Elsewhere()),
    ]
    assert len(set(identities)) == len(identities)
    assert identities[0] == identity_of(ENTRY, hosts[1], Elsewhere())


def test_a_model_that_only_its_host_knows_has_no_identity():
    unnamed = ENTRY.model_copy(update={"model": ""})
    assert identity_of(unnamed, HOST, Elsewhere()) == ""
    assert identity_of(unnamed, HOST, ScriptedProvider()) != ""


def key(name: object, model: str = "model") -> CacheKey:
    return CacheKey(model, str(name))


def answer(text: str) -> ProviderAnswer:
    return ProviderAnswer(text, "stop", TokenCounts(3, 0, 0, 2))


async def stored(cache: ResponseCache, wanted: CacheKey) -> ProviderAnswer | None:
    async with cache.asking(wanted) as found:
        return found


def cache_of(limits: CacheLimits = PLENTY) -> ResponseCache:
    return ResponseCache(limits, FakeClock().now)


async def test_what_an_answer_took_is_not_kept():
    cache = cache_of()
    told = answer("text")._replace(
        reasoning="thought", source="host", dropped_params=("seed",), rate=RateReport(1.0, 5)
    )
    cache.put(key(1), told._replace(model_warm=True))
    assert await stored(cache, key(1)) == told._replace(tokens=TokenCounts(), rate=None)


async def test_an_answer_that_is_too_large_is_not_kept_and_nothing_goes_for_it():
    small = answer("x")
    cache = cache_of(CacheLimits(entries=9, bytes=size_of(key(1), small)))
    cache.put(key(1), small)
    cache.put(key(2), answer("xx"))
    assert await stored(cache, key(1)) == small._replace(tokens=TokenCounts())
    assert await stored(cache, key(2)) is None


@pytest.mark.parametrize("limits", [CacheLimits(0, 100), CacheLimits(100, 0)])
async def test_without_room_nothing_is_kept(limits: CacheLimits):
    cache = cache_of(limits)
    cache.put(key(1), answer("x"))
    assert not cache.enabled
    assert cache.use().entries == 0


async def test_the_answers_of_one_model_can_be_forgotten():
    cache = cache_of()
    for name in range(3):
        cache.put(key(name), answer("x"))
    cache.put(key(0, "other"), answer("x"))
    assert cache.clear("model") == 3
    assert cache.use().entries == 1
    assert (cache.clear(), cache.clear()) == (1, 0)
    assert cache.use().bytes == 0


TTL_S = 10.0
LIMITS = CacheLimits(entries=4, bytes=3 * size_of(key(0), answer("x" * 20)), ttl_s=TTL_S)


class Kept(RuleBasedStateMachine):
    """The cache beside a list of what it should have, the least recently used first."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = FakeClock()
        self.cache = ResponseCache(LIMITS, self.clock.now)
        self.expected: list[tuple[CacheKey, str, float]] = []
        self.hits = self.misses = 0

    @override
    def teardown(self) -> None:
        self.loop.close()

    def entry(self, wanted: CacheKey) -> tuple[CacheKey, str, float] | None:
        return next((entry for entry in self.expected if entry[0] == wanted), None)

    def bytes(self) -> int:
        return sum(size_of(wanted, answer(text)) for wanted, text, _ in self.expected)

    @rule(name=st.integers(0, 6), letters=st.integers(0, 200))
    def put(self, name: int, letters: int) -> None:
        text = "x" * letters
        self.cache.put(key(name), answer(text))
        self.expected = [entry for entry in self.expected if entry[0] != key(name)]
        if size_of(key(name), answer(text)) > LIMITS.bytes:
            return
        self.expected.append((key(name), text, self.clock.time))
        while len(self.expected) > LIMITS.entries or self.bytes() > LIMITS.bytes:
            self.expected.pop(0)

    @rule(name=st.integers(0, 6))
    def look(self, name: int) -> None:
        found = self.loop.run_until_complete(stored(self.cache, key(name)))
        entry = self.entry(key(name))
        if entry is not None and self.clock.time - entry[2] < TTL_S:
            assert found is not None
            assert found.text == entry[1]
            self.hits += 1
            self.expected.remove(entry)
            self.expected.append(entry)
            return
        assert found is None
        self.misses += 1
        if entry is not None:
            self.expected.remove(entry)

    @rule(seconds=st.integers(1, 6))
    def wait(self, seconds: int) -> None:
        self.clock.time += seconds

    @rule()
    def count(self) -> None:
        now = self.clock.time
        self.expected = [entry for entry in self.expected if now - entry[2] < TTL_S]
        use = self.cache.use()
        assert (use.entries, use.bytes) == (len(self.expected), self.bytes())
        assert (use.hits, use.misses, use.waits) == (self.hits, self.misses, 0)

    @rule()
    def clear(self) -> None:
        now = self.clock.time
        assert self.cache.clear() == sum(now - entry[2] < TTL_S for entry in self.expected)
        self.expected = []

    @invariant()
    def nobody_is_remembered_who_asks_no_more(self) -> None:
        assert not self.cache._asked


TestKept = Kept.TestCase


class Asking:
    """Callers of one question, whose asking ends when and as the test says."""

    def __init__(self) -> None:
        self.cache = cache_of()
        self.begun: asyncio.Queue[asyncio.Future[str]] = asyncio.Queue()

    async def call(self) -> str:
        async with self.cache.asking(key(1)) as found:
            if found is not None:
                return f"stored {found.text}"
            end: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            self.begun.put_nowait(end)
            text = await end
            if text:
                self.cache.put(key(1), answer(text))
            return text

    def callers(self, number: int) -> list[asyncio.Task[str]]:
        return [asyncio.create_task(self.call()) for _ in range(number)]


async def settled() -> None:
    """Let everybody go on who can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_of_fifty_who_want_the_same_one_asks():
    asking = Asking()
    callers = asking.callers(50)
    (await asking.begun.get()).set_result("x")
    assert await asyncio.gather(*callers) == ["x"] + ["stored x"] * 49
    assert asking.begun.empty()
    use = asking.cache.use()
    assert (use.hits, use.misses, use.waits) == (49, 1, 49)


async def test_after_a_failure_the_next_in_line_asks_and_only_that_one():
    asking = Asking()
    first, second, *others = asking.callers(10)
    (await asking.begun.get()).set_exception(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await first
    end = await asking.begun.get()
    await settled()
    assert asking.begun.empty()
    end.set_result("x")
    assert await asyncio.gather(second, *others) == ["x"] + ["stored x"] * 8


async def test_who_asks_can_be_cancelled_and_the_next_in_line_asks():
    asking = Asking()
    first, second, *others = asking.callers(10)
    await asking.begun.get()
    first.cancel()
    end = await asking.begun.get()
    await settled()
    assert asking.begun.empty()
    end.set_result("x")
    assert await asyncio.gather(second, *others) == ["x"] + ["stored x"] * 8
    assert first.cancelled()


async def test_who_waits_can_be_cancelled_and_nobody_else_notices():
    asking = Asking()
    callers = asking.callers(3)
    end = await asking.begun.get()
    callers[1].cancel()
    await settled()
    assert callers[1].cancelled()
    end.set_result("x")
    assert [await callers[0], await callers[2]] == ["x", "stored x"]


async def test_all_ask_at_once_where_the_answer_cannot_be_kept():
    asking = Asking()
    callers = asking.callers(10)
    (await asking.begun.get()).set_result("")
    await callers[0]
    await settled()
    assert asking.begun.qsize() == 9
    while not asking.begun.empty():
        asking.begun.get_nowait().set_result("")
    assert await asyncio.gather(*callers) == [""] * 10
    assert asking.cache.use().misses == 10
