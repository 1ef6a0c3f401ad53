"""Local models: loaded once, asked in turn, freed at the end."""

import asyncio
import logging
from pathlib import Path

import pytest

from agent_lab.config import Settings
from agent_lab.contracts import Message
from agent_lab.errors import UnknownPluginError, WeightsMissingError
from agent_lab.providers.base import ProviderCall
from agent_lab.providers.local.local_provider import LocalProvider
from agent_lab.providers.registries.model_registry import ModelEntry, ModelRegistry
from agent_lab.providers.registries.provider_registry import ProviderEntry

HERE = ProviderEntry(name="local", api="local")
SMALLEST = ModelRegistry.load().get("smollm2-135m")


def call(model: ModelEntry, max_tokens: int = 4) -> ProviderCall:
    messages = (Message(role="user", content="Say hello."),)
    return ProviderCall(model, messages, {"max_tokens": max_tokens})


@pytest.mark.weights(SMALLEST.key)
async def test_concurrent_first_calls_load_a_model_once(
    settings: Settings, caplog: pytest.LogCaptureFixture
):
    provider = LocalProvider.from_settings(settings.model_copy(update={"local_context": 512}), HERE)
    with caplog.at_level(logging.INFO, logger="agent_lab"):
        answers = await asyncio.gather(
            *(provider.generate(call(SMALLEST), lambda _: None) for _ in range(3))
        )
    await provider.aclose()
    assert caplog.text.count("is loaded") == 1
    assert [answer.model_warm for answer in answers].count(False) >= 1
    assert all(answer.timings.load_time >= 0 for answer in answers)


@pytest.mark.weights(SMALLEST.key)
async def test_a_call_that_waits_can_be_cancelled_without_touching_the_one_before_it(
    settings: Settings,
):
    provider = LocalProvider.from_settings(settings.model_copy(update={"local_context": 512}), HERE)
    begun = asyncio.Event()
    first = asyncio.create_task(provider.generate(call(SMALLEST, 40), lambda _: begun.set()))
    await begun.wait()
    waiting = asyncio.create_task(provider.generate(call(SMALLEST), lambda _: None))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    tokens = (await first).tokens
    assert tokens is not None
    assert tokens.completion > 4
    await provider.aclose()


async def test_missing_weights_are_found_by_the_check(settings: Settings):
    with pytest.raises(WeightsMissingError):
        await LocalProvider.from_settings(settings, HERE).check(SMALLEST)


async def test_an_unknown_engine_is_named_with_the_known_ones(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MODEL_CACHE_DIR", str(tmp_path))
    (tmp_path / "x.gguf").write_bytes(b"x")
    model = ModelEntry(
        key="x", provider="local", engine="lamacpp", file="x.gguf", context_window=512
    )
    provider = LocalProvider.from_settings(
        settings.model_copy(update={"model_cache_dir": tmp_path}), HERE
    )
    with pytest.raises(UnknownPluginError, match="`llamacpp`"):
        await provider.generate(call(model), lambda _: None)
