"""One suite for every provider: whoever writes one adds a row to `PROVIDERS`."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import pytest

from agent_lab.config import Settings
from agent_lab.contracts import Message
from agent_lab.errors import ContextLengthError, ProviderError
from agent_lab.providers.base import Delta, Provider, ProviderCall
from agent_lab.providers.local.local_provider import LocalProvider
from agent_lab.providers.local.scripted_provider import ScriptedProvider, ScriptedReply
from agent_lab.providers.registries.model_registry import ModelEntry, ModelRegistry

SMALLEST = "smollm2-135m"
LONG = "word " * 700


class Subject(NamedTuple):
    """A provider under test, and a model of its."""

    make: Callable[[Settings], Provider]
    model: ModelEntry


def scripted(settings: Settings) -> Provider:
    def answer(call: ProviderCall) -> ScriptedReply:
        if LONG in call.messages[-1].content:
            return ScriptedReply(error=ContextLengthError("700 tokens do not fit 512."))
        return ScriptedReply("one two three four", delay_s=0.001)

    return ScriptedProvider(answer)


PROVIDERS = {
    "scripted": Subject(scripted, ModelEntry(key="s", provider="scripted", context_window=512)),
    "local": Subject(LocalProvider.from_settings, ModelRegistry.load().get(SMALLEST)),
}


@pytest.fixture(
    params=["scripted", pytest.param("local", marks=pytest.mark.weights(SMALLEST))],
)
def subject(request: pytest.FixtureRequest) -> Subject:
    return PROVIDERS[request.param]


@pytest.fixture
async def provider(subject: Subject, settings: Settings):
    provider = subject.make(settings.model_copy(update={"local_context": 512}))
    yield provider
    await provider.aclose()


def call(subject: Subject, text: str = "Count to ten.", **params) -> ProviderCall:
    wanted = {"max_tokens": 8, "temperature": 0.0, "seed": 1, **params}
    return ProviderCall(subject.model, (Message(role="user", content=text),), wanted, "creator")


async def test_deltas_join_to_the_text(provider: Provider, subject: Subject):
    deltas: list[Delta] = []
    answer = await provider.generate(call(subject), deltas.append)
    assert answer.text
    assert "".join(delta.text for delta in deltas if not delta.reasoning) == answer.text
    assert answer.finish_reason in {"stop", "length"}


async def test_tokens_and_seconds_are_counted(provider: Provider, subject: Subject):
    answer = await provider.generate(call(subject), ignore)
    assert answer.usage.prompt_tokens > 0
    assert 0 < answer.usage.completion_tokens <= 8
    assert 0 <= answer.usage.cached_tokens <= answer.usage.prompt_tokens
    assert answer.timings.load_time >= 0


async def test_the_second_call_finds_the_model_warm(provider: Provider, subject: Subject):
    await provider.generate(call(subject), ignore)
    assert (await provider.generate(call(subject), ignore)).model_warm is True


async def test_concurrent_calls_are_all_answered(provider: Provider, subject: Subject):
    answers = await asyncio.gather(
        *(provider.generate(call(subject, f"Say {n}"), ignore) for n in range(3))
    )
    assert all(answer.text for answer in answers)


async def test_a_cancelled_call_stops_and_leaves_the_provider_usable(
    provider: Provider, subject: Subject
):
    started = asyncio.Event()
    long = call(subject, "Tell a long story.", max_tokens=400)
    running = asyncio.create_task(provider.generate(long, lambda _: started.set()))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await provider.generate(call(subject), ignore)).text


async def test_a_prompt_over_the_window_is_refused_with_both_lengths(
    provider: Provider, subject: Subject
):
    with pytest.raises(ContextLengthError, match=r"\d+ tokens.* 512") as raised:
        await provider.generate(call(subject, LONG), ignore)
    assert isinstance(raised.value, ProviderError)
    assert not raised.value.retryable


async def test_a_model_that_is_ready_passes_the_check(provider: Provider, subject: Subject):
    await provider.check(subject.model)


def ignore(delta: Delta) -> None:
    """Nobody reads along."""
