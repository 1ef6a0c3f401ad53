"""The gateway resolves, calls, bounds and normalises; whatever a provider does, it says so."""

import asyncio

import pytest

from agent_lab.config import Settings
from agent_lab.contracts import Constraints, GenerationRequest, GenerationResult
from agent_lab.errors import (
    BudgetExceededError,
    InvalidRequestError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    TruncatedAnswerError,
    UnknownModelError,
    UnknownProviderError,
    WeightsMissingError,
)
from agent_lab.providers.base import Delta, TokenCounts
from agent_lab.providers.default_model import choose_default
from agent_lab.providers.local.scripted_provider import ScriptedProvider, ScriptedReply
from agent_lab.providers.local.weights.store import WeightsStore
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.providers.registries.model_registry import CostProfile, ModelEntry, ModelRegistry
from agent_lab.providers.registries.strategy_registry import StrategyRegistry


def gateway_of(settings: Settings, provider: ScriptedProvider, **entry: object) -> ProviderGateway:
    fields = {"key": "model", "provider": "scripted", "context_window": 4096, **entry}
    return ProviderGateway(
        ModelRegistry([ModelEntry.model_validate(fields)]),
        StrategyRegistry.load(),
        provider=lambda _: provider,
        settings=settings.model_copy(update={"default_model": "model", "max_attempts": 1}),
        weights=WeightsStore.from_settings(settings),
    )


async def test_a_mapping_is_taken_as_a_request(scripted_lab, scripted: ScriptedProvider):
    result = await scripted_lab.gateway.generate({"prompt": "hi", "role": "creator"})
    assert isinstance(result, GenerationResult)
    assert result.text == "the draft"


async def test_a_wrong_field_is_named(scripted_lab):
    with pytest.raises(InvalidRequestError, match="`promt`") as raised:
        await scripted_lab.gateway.generate({"promt": "hi"})
    assert "prompt" in raised.value.hint


async def test_an_empty_prompt_is_refused(scripted_lab):
    with pytest.raises(InvalidRequestError, match="`prompt` is empty"):
        await scripted_lab.gateway.generate({"prompt": " "})


async def test_system_history_and_prompt_become_messages_in_this_order(settings: Settings):
    provider = ScriptedProvider(["ok"])
    await gateway_of(settings, provider).generate(
        {
            "prompt": "now",
            "context": {
                "system": "be brief",
                "history": [{"role": "user", "content": "before"}],
                "tools": [{"name": "t"}],
            },
        }
    )
    sent = [(message.role, message.content) for message in provider.calls[0].messages]
    assert sent == [("system", "be brief"), ("user", "before"), ("user", "now")]


async def test_parameters_that_a_model_does_not_take_are_dropped_and_listed(settings: Settings):
    provider = ScriptedProvider(["ok"])
    gateway = gateway_of(settings, provider, unsupported_params=["temperature", "top_k", "logit"])
    result = await gateway.generate(
        {"prompt": "hi", "temperature": 0.3, "context": {"tools": [{"name": "t"}]}}
    )
    assert result.dropped_params == ("temperature", "top_k", "tools")
    assert set(provider.calls[0].params) == {"top_p", "max_tokens"}


async def test_the_request_goes_before_the_configuration_and_that_before_the_strategy(
    settings: Settings,
):
    provider = ScriptedProvider(lambda call: "ok")
    gateway = gateway_of(settings, provider)
    await gateway.generate({"prompt": "hi"})
    configured = gateway_of(settings.model_copy(update={"max_tokens_default": 99}), provider)
    await configured.generate({"prompt": "hi"})
    await configured.generate({"prompt": "hi", "max_tokens": 7, "temperature": 1.5})
    await configured.generate({"prompt": "hi", "constraints": {"max_tokens": 5}})
    asked = [(c.params["max_tokens"], c.params["temperature"]) for c in provider.calls]
    assert asked == [(512, 0.7), (99, 0.7), (7, 1.5), (5, 0.7)]


async def test_the_strategy_is_the_requests_else_the_configured_else_the_models(
    settings: Settings,
):
    provider = ScriptedProvider(lambda call: "ok")
    own = gateway_of(settings, provider, default_strategy="creative")
    assert (await own.generate({"prompt": "hi"})).strategy == "creative"
    preferred = settings.model_copy(update={"default_strategy": "precise"})
    configured = gateway_of(preferred, provider, default_strategy="creative")
    assert (await configured.generate({"prompt": "hi"})).strategy == "precise"
    assert (await configured.generate({"prompt": "hi", "strategy": "greedy"})).strategy == "greedy"


async def test_usage_is_priced_by_the_registry(settings: Settings):
    reply = ScriptedReply("ok", tokens=TokenCounts(prompt=1000, completion=500))
    priced = gateway_of(
        settings, ScriptedProvider([reply]), cost_profile=CostProfile(input=2, output=10)
    )
    assert (await priced.generate({"prompt": "hi"})).usage.cost_usd == pytest.approx(0.007)
    unpriced = gateway_of(settings, ScriptedProvider([reply]))
    assert (await unpriced.generate({"prompt": "hi"})).usage.cost_usd is None


async def test_a_call_that_could_cost_more_than_its_budget_is_refused_before_it_is_made(
    settings: Settings,
):
    provider = ScriptedProvider(lambda call: "ok")
    price = CostProfile(input=0, output=10)
    gateway = gateway_of(settings, provider, cost_profile=price)
    within = {"prompt": "hi", "max_tokens": 100, "constraints": {"cost_budget_usd": 0.001}}
    await gateway.generate(within)
    with pytest.raises(BudgetExceededError, match="could cost"):
        await gateway.generate({**within, "max_tokens": 101})
    with pytest.raises(BudgetExceededError, match="no known price"):
        await gateway_of(settings, provider).generate(within)
    assert len(provider.calls) == 1


async def test_a_failed_call_lists_its_attempt(settings: Settings):
    gateway = gateway_of(settings, ScriptedProvider([OSError("gone")]))
    with pytest.raises(ProviderUnavailableError) as raised:
        await gateway.generate({"prompt": "hi"})
    [attempt] = raised.value.details["attempts"]
    assert (attempt["model_key"], attempt["outcome"]) == ("model", "provider_unavailable")


async def test_a_deadline_ends_a_call_that_hangs(settings: Settings):
    for_ever = asyncio.Event()

    async def hang(seconds: float) -> None:
        await for_ever.wait()

    gateway = gateway_of(settings, ScriptedProvider(["late"], sleep=hang))
    passed = asyncio.get_running_loop().time()
    with pytest.raises(ProviderTimeoutError, match="`model` did not finish"):
        await gateway.generate({"prompt": "hi", "deadline": passed})


async def test_a_stream_gives_the_text_in_pieces_and_the_result_last(scripted_lab):
    chunks = [
        chunk async for chunk in scripted_lab.gateway.stream({"prompt": "hi", "role": "challenger"})
    ]
    assert [chunk.text for chunk in chunks] == ["the ", "critique", ""]
    assert chunks[-1].result.text == "the critique"


async def test_leaving_a_stream_stops_the_provider(settings: Settings):
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def hang(seconds: float) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    stream = gateway_of(settings, ScriptedProvider(["never"], sleep=hang)).stream({"prompt": "hi"})
    reading = asyncio.create_task(anext(stream))
    await begun.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert stopped.is_set()


async def test_a_streams_error_reaches_the_reader(settings: Settings):
    gateway = gateway_of(settings, ScriptedProvider([OSError("gone")]))
    with pytest.raises(ProviderUnavailableError):
        async for _ in gateway.stream({"prompt": "hi"}):
            pass


async def test_a_model_that_breaks_the_constraints_is_refused(settings: Settings):
    gateway = gateway_of(settings, ScriptedProvider(["ok"]), min_vram_gb=8)
    for constraints in ({"vram_gb": 4}, {"vram": 4}, {"distinct_from": ["model"]}):
        with pytest.raises(InvalidRequestError, match="`model` cannot answer"):
            await gateway.generate({"prompt": "hi", "constraints": constraints})
    assert gateway.resolve_model("model", Constraints(vram_gb=8)).entry.key == "model"


async def test_preparing_finds_unknown_names_and_missing_weights(settings: Settings):
    gateway = ProviderGateway.from_settings(settings)
    with pytest.raises(UnknownModelError):
        await gateway.prepare(["gpt"], [])
    with pytest.raises(WeightsMissingError) as raised:
        await gateway.prepare(["smollm2-135m"], ["greedy"])
    assert raised.value.details["model"] == "smollm2-135m"


def entry(key: str, size: int, memory: float = 1.0, provider: str = "local") -> ModelEntry:
    return ModelEntry(
        key=key, provider=provider, bytes=size, min_vram_gb=memory, context_window=1024
    )


DEMO = entry("qwen2.5-coder-1.5b", 10)
SMALL, LARGE, HUGE = entry("small", 1), entry("large", 100), entry("huge", 1000, memory=64)
REMOTE = entry("remote", 5000, provider="openai")


@pytest.mark.parametrize(
    ("here", "chosen"),
    [
        ([SMALL, DEMO, LARGE], "qwen2.5-coder-1.5b"),
        ([SMALL, LARGE, HUGE], "large"),
        ([SMALL, REMOTE], "small"),
    ],
)
def test_the_default_is_the_demo_model_else_the_largest_that_fits(here, chosen):
    everything = [SMALL, DEMO, LARGE, HUGE, REMOTE]
    assert choose_default(everything, lambda e: e in here, memory_gb=16).key == chosen


def test_without_a_local_model_the_way_out_is_a_pull():
    with pytest.raises(WeightsMissingError) as raised:
        choose_default([SMALL, REMOTE], lambda e: e is REMOTE, memory_gb=16)
    assert raised.value.hint == "agent-lab models pull qwen2.5-coder-1.5b"
    assert raised.value.details["model"] == "qwen2.5-coder-1.5b"


async def test_text_that_must_stay_here_is_not_sent_elsewhere(settings: Settings):
    class Elsewhere(ScriptedProvider):
        is_local = False

    provider = Elsewhere(lambda call: "ok")
    gateway = gateway_of(settings, provider)
    await gateway.generate(GenerationRequest(prompt="hi", data_policy="any"))
    with pytest.raises(InvalidRequestError, match="data policy"):
        await gateway.generate(GenerationRequest(prompt="hi", data_policy="local"))
    assert len(provider.calls) == 1


@pytest.mark.parametrize("fault", [TypeError("mine"), OSError("mine")])
async def test_what_a_reader_raises_is_the_readers(settings: Settings, fault: Exception):
    def read(delta: Delta) -> None:
        raise fault

    gateway = gateway_of(settings, ScriptedProvider(lambda call: "one two three"))
    with pytest.raises(type(fault), match="mine"):
        await gateway.generate({"prompt": "hi"}, read)
    assert gateway.breakers.states("scripted")["*"].failures == 0
    assert (await gateway.generate({"prompt": "hi"})).text == "one two three"


async def test_empty_answers_open_no_breaker(settings: Settings):
    gateway = gateway_of(settings, ScriptedProvider(lambda call: " "))
    for _ in range(4):
        with pytest.raises(TruncatedAnswerError):
            await gateway.generate({"prompt": "hi"})


def test_a_default_provider_that_there_is_not_is_named_with_the_near_ones(settings: Settings):
    mistyped = settings.model_copy(update={"default_provider": "opnai"})
    with pytest.raises(UnknownProviderError, match="did you mean `openai`"):
        ProviderGateway.from_settings(mistyped)
