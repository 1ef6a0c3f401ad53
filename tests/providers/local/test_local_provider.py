"""Local models: loaded once, asked several at a time, kept within the memory that they may take."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent_lab.config import Settings
from agent_lab.contracts import Message
from agent_lab.errors import (
    NotEnoughVramError,
    ProviderUnavailableError,
    UnknownPluginError,
    WeightsMissingError,
)
from agent_lab.providers.base import Delta, ProviderAnswer, ProviderCall
from agent_lab.providers.local.local_provider import LocalProvider
from agent_lab.providers.registries.model_registry import ModelEntry, ModelRegistry
from agent_lab.providers.registries.provider_registry import ProviderEntry

HERE = ProviderEntry(name="local", api="local")
SMALLEST = ModelRegistry.load().get("smollm2-135m")
SECOND, THIRD = (SMALLEST.model_copy(update={"key": key}) for key in ("second", "third"))
"""The same file under other names: other models, as far as memory is concerned."""
needs_weights = pytest.mark.weights(SMALLEST.key)


def call(model: ModelEntry = SMALLEST, max_tokens: int = 4, **fields: Any) -> ProviderCall:
    messages = (Message(role="user", content="Say hello."),)
    return ProviderCall(model, messages, {"max_tokens": max_tokens}, **fields)


def long_call(max_tokens: int) -> ProviderCall:
    """One that writes until it may write no more: a greeting would be over too soon."""
    messages = (Message(role="user", content="Write a long story about a ship."),)
    return ProviderCall(SMALLEST, messages, {"max_tokens": max_tokens, "temperature": 0})


def provider_of(settings: Settings, **options: Any) -> LocalProvider:
    options = {"local_context": 512, "local_slots": 1, **options}
    return LocalProvider.from_settings(settings.model_copy(update=options), HERE)


async def answered(provider: LocalProvider, asked: ProviderCall) -> ProviderAnswer:
    return await provider.generate(asked, lambda _: None)


def loads(provider: LocalProvider) -> dict[str, int]:
    return {seen.key: seen.loads for seen in provider.traffic()}


def keys(provider: LocalProvider) -> list[str]:
    return [model.key for model in provider.loaded()]


@needs_weights
async def test_fifty_concurrent_first_calls_load_a_model_once(settings: Settings):
    provider = provider_of(settings, local_slots=4)
    calls = (answered(provider, call(run_id=f"run-{i}")) for i in range(50))
    answers = await asyncio.gather(*calls)
    assert loads(provider) == {SMALLEST.key: 1}
    assert all(answer.model_warm is False for answer in answers)  # all of them waited for it
    warm = await answered(provider, call())
    assert (warm.model_warm, warm.timings.load_time) == (True, 0)
    await provider.aclose()


@needs_weights
async def test_the_time_in_line_for_a_slot_is_told_apart_from_the_work(settings: Settings):
    provider = provider_of(settings)
    first, second = await asyncio.gather(
        answered(provider, long_call(60)), answered(provider, call(max_tokens=4))
    )
    assert first.timings.prefill is not None
    assert first.timings.decode is not None
    # The second one had to wait until the first one was written.
    assert second.timings.queue >= first.timings.decode
    await provider.aclose()


@needs_weights
async def test_calls_are_answered_side_by_side_in_as_many_slots_as_there_are(settings: Settings):
    provider = provider_of(settings, local_slots=2)
    await provider.load(SMALLEST)
    begun = asyncio.Event()
    long = asyncio.create_task(provider.generate(long_call(400), lambda _: begun.set()))
    await begun.wait()
    await answered(provider, call(max_tokens=1))
    assert not long.done()
    long.cancel()
    await provider.aclose()


@needs_weights
async def test_a_cancelled_call_frees_its_slot_for_the_next_one(settings: Settings):
    provider = provider_of(settings)
    begun = asyncio.Event()
    endless = asyncio.create_task(provider.generate(long_call(400), lambda _: begun.set()))
    await begun.wait()
    waiting = asyncio.create_task(answered(provider, call()))
    endless.cancel()
    with pytest.raises(asyncio.CancelledError):
        await endless
    assert (await asyncio.wait_for(waiting, 20)).text
    await provider.aclose()


@needs_weights
async def test_a_call_that_waits_can_be_cancelled_without_touching_the_one_before_it(
    settings: Settings,
):
    provider = provider_of(settings)
    begun = asyncio.Event()
    first = asyncio.create_task(provider.generate(long_call(40), lambda _: begun.set()))
    await begun.wait()
    waiting = asyncio.create_task(answered(provider, call()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    tokens = (await first).tokens
    assert tokens is not None
    assert tokens.completion == 40
    await provider.aclose()


@needs_weights
async def test_under_a_small_limit_the_least_recently_used_makes_room(settings: Settings):
    need = await _need_gb(settings)
    provider = provider_of(settings, max_vram_usage_gb=2.5 * need)
    for model in (SMALLEST, SECOND, SMALLEST, THIRD):
        await answered(provider, call(model))
    assert keys(provider) == [SMALLEST.key, "third"]
    assert loads(provider) == {SMALLEST.key: 1, "second": 1, "third": 1}
    await provider.aclose()
    assert keys(provider) == []


@needs_weights
async def test_a_model_that_is_answering_is_not_unloaded_for_another(settings: Settings):
    provider = provider_of(settings, max_vram_usage_gb=1.5 * await _need_gb(settings))
    begun = asyncio.Event()
    long = asyncio.create_task(provider.generate(long_call(60), lambda _: begun.set()))
    await begun.wait()
    other = asyncio.create_task(answered(provider, call(SECOND)))
    tokens = (await long).tokens
    assert tokens is not None
    assert tokens.completion == 60
    assert (await other).timings.queue > 0
    assert keys(provider) == ["second"]
    await provider.aclose()


@needs_weights
async def test_what_does_not_fit_is_said_before_anything_is_loaded(settings: Settings):
    provider = provider_of(settings, max_vram_usage_gb=0.2, local_context=8192)
    for asking in (provider.check(SMALLEST), answered(provider, call())):
        with pytest.raises(NotEnoughVramError, match="local models may take 0.20 GB in all"):
            await asking
    fit = await provider.fit(SMALLEST)
    assert fit is not None
    assert (fit.fits, fit.slots, fit.limit_gb) == ("never", 0, 0.2)
    assert fit.need_gb > 0.3
    assert provider.traffic() == ()


@needs_weights
async def test_a_warmed_model_has_read_what_prompts_begin_with(settings: Settings):
    provider = provider_of(settings)
    head = Message(role="system", content="You are one expert in a team. " * 10)
    await provider.warm(SMALLEST, (head,))
    question = Message(role="user", content="Who are you?")
    asked = ProviderCall(SMALLEST, (head, question), {"max_tokens": 4})
    tokens = (await answered(provider, asked)).tokens
    assert tokens is not None
    assert tokens.cached > 0.8 * tokens.prompt
    await provider.aclose()


@needs_weights
async def test_the_event_loop_goes_on_while_a_model_is_loaded(settings: Settings):
    provider, turns = provider_of(settings), 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.005)
            turns += 1

    counting = asyncio.create_task(count_turns())
    await provider.load(SMALLEST)
    counting.cancel()
    assert turns > 5  # it takes some tenths of a second, and all others would wait for it
    await provider.aclose()


@needs_weights
async def test_an_engine_that_has_ended_is_started_anew(settings: Settings):
    provider = provider_of(settings)
    await answered(provider, call())
    for killed_while_idle in (True, False):
        (child,) = psutil.Process().children()

        def kill(delta: Delta, child: psutil.Process = child) -> None:
            child.kill()

        if killed_while_idle:
            child.kill()
            child.wait()
        else:
            with pytest.raises(ProviderUnavailableError, match="has ended"):
                await provider.generate(long_call(400), kill)
        with suppress(ProviderUnavailableError):  # it may not have been noticed yet
            await answered(provider, call())
        assert (await answered(provider, call())).text
    (traffic,) = provider.traffic()
    assert (traffic.loads, traffic.unloads) == (3, {"ended": 2})
    await provider.aclose()
    assert psutil.Process().children() == []


async def test_missing_weights_are_found_by_the_check(settings: Settings):
    with pytest.raises(WeightsMissingError):
        await provider_of(settings).check(SMALLEST)


async def test_an_unknown_engine_is_named_with_the_known_ones(settings: Settings, tmp_path: Path):
    (tmp_path / "x.gguf").write_bytes(b"x")
    model = ModelEntry(
        key="x", provider="local", engine="lamacpp", file="x.gguf", context_window=512
    )
    with pytest.raises(UnknownPluginError, match="`llamacpp`"):
        await answered(provider_of(settings, model_cache_dir=tmp_path), call(model))


async def _need_gb(settings: Settings) -> float:
    fit = await provider_of(settings).fit(SMALLEST)
    assert fit is not None
    return fit.need_gb
