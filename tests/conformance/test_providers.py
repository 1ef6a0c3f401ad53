"""Every provider that we ship does what a provider must do.

To add one: a function that makes its `Subject`, a row of `SUBJECTS`, and a row of
`NOT_APPLICABLE` with the checks that it cannot play, and why. What the checks are, and how a
package of its own runs them, is in `agent_lab.providers.conformance`.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest

from agent_lab import errors
from agent_lab.config import Settings
from agent_lab.contracts import Message
from agent_lab.errors import ContextLengthError, ProviderError
from agent_lab.providers.base import Provider, ProviderCall
from agent_lab.providers.conformance import CHECKS, Make, NotApplicableError, Subject
from agent_lab.providers.local.local_provider import LocalProvider
from agent_lab.providers.local.scripted_provider import ScriptedProvider, ScriptedReply
from agent_lab.providers.registries.model_registry import ModelEntry, ModelRegistry
from agent_lab.providers.registries.provider_registry import ProviderEntry
from tests.conformance.hosts import ENDLESS, FAILURES, WINDOW, EchoHost, remote_subject

SMALLEST = "smollm2-135m"
LONG_PROMPT = "word " * 700

MakeSubject: TypeAlias = Callable[[Settings, EchoHost], Subject]


def scripted(settings: Settings, host: EchoHost) -> Subject:
    model = ModelEntry(key="scripted", provider="scripted", context_window=WINDOW)
    calls: list[ProviderCall] = []

    def answer(call: ProviderCall) -> ScriptedReply:
        calls.append(call)
        words, most = call.messages[-1].content.split(), call.params["max_tokens"]
        if len(words) > WINDOW:
            return ScriptedReply(error=failure(ContextLengthError))
        if call.messages[-1].content == ENDLESS:
            words = ["on"] * (most + 1)
        finish = "length" if len(words) > most else "stop"
        return ScriptedReply(" ".join(words[:most]), finish_reason=finish)

    def failure(kind: type[ProviderError]) -> ProviderError:
        return kind("As the script says.", provider="scripted", model=model.key)

    def failing_once(kind: type[ProviderError]) -> Make:
        return lambda: ScriptedProvider([failure(kind), "an answer"])

    return Subject(
        make=lambda: ScriptedProvider(answer),
        model=model,
        endless_prompt=ENDLESS,
        echoes=True,
        long_prompt=LONG_PROMPT,
        failing={kind: failing_once(kind) for kind in FAILURES},
        thinking=lambda: ScriptedProvider([ScriptedReply("It is 42.", reasoning="Six times 7.")]),
        empty=lambda: ScriptedProvider([""]),
        asked=lambda: len(calls),
    )


def local(settings: Settings, host: EchoHost) -> Subject:
    settings = settings.model_copy(update={"local_context": WINDOW})
    entry = ProviderEntry(name="local", api="local")

    def without_weights() -> Provider:
        folder = Path("no weights are here")
        return LocalProvider.from_settings(
            settings.model_copy(update={"model_cache_dir": folder}), entry
        )

    return Subject(
        make=lambda: LocalProvider.from_settings(settings, entry),
        model=ModelRegistry.load().get(SMALLEST),
        params={"max_tokens": 4, "temperature": 0.0, "seed": 1},
        long_prompt=LONG_PROMPT,
        unready=without_weights,
    )


SUBJECTS: Mapping[str, MakeSubject] = {
    "scripted": scripted,
    "local": local,
    "openai": lambda settings, host: remote_subject("openai", host),
    "anthropic": lambda settings, host: remote_subject("anthropic", host),
    "compatible": lambda settings, host: remote_subject("compatible", host),
}
NOT_APPLICABLE: Mapping[str, set[str]] = {
    # A script is always ready.
    "scripted": {"a_model_that_cannot_be_asked_is_said"},
    # The model is real: it neither thinks nor echoes, and nobody can make it fail.
    "local": {
        "the_reasoning_is_apart_from_the_text",
        "an_empty_answer_is_not_dressed_up",
        "concurrent_calls_are_not_mixed_up",
        "one_call_asks_the_host_once",
        "a_failure_is_raised_as_what_it_is",
        "a_failure_names_provider_and_model",
        "a_failed_call_is_not_repeated",
        "a_failed_call_leaves_the_provider_usable",
        "asking_whether_costs_nothing",
    },
    "openai": set(),
    "anthropic": set(),
    # It needs no key that could be missing.
    "compatible": {"a_model_that_cannot_be_asked_is_said"},
}

every_subject = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.weights(SMALLEST)] if name == "local" else [])
        for name in SUBJECTS
    ],
)


@pytest.fixture
async def host() -> AsyncIterator[EchoHost]:
    async with EchoHost() as host:
        yield host


@every_subject
@pytest.mark.parametrize("check", CHECKS)
async def test_a_provider_conforms(name: str, check: str, settings: Settings, host: EchoHost):
    applicable = True
    try:
        await CHECKS[check](SUBJECTS[name](settings, host))
    except NotApplicableError:
        applicable = False
    assert applicable == (check not in NOT_APPLICABLE[name])


def test_every_failure_of_a_host_can_be_staged():
    of_the_gateway = {errors.AllProvidersFailedError}
    kinds = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, ProviderError)
    }
    assert set(FAILURES) == kinds - {ProviderError} - of_the_gateway


@pytest.mark.weights(SMALLEST)
async def test_a_local_prompt_over_the_window_is_refused_with_both_lengths(
    settings: Settings, host: EchoHost
):
    subject = local(settings, host)
    provider = subject.make()
    call = ProviderCall(subject.model, (Message(role="user", content=LONG_PROMPT),), subject.params)
    with pytest.raises(ContextLengthError, match=rf"\d+ tokens.* {WINDOW}"):
        await provider.generate(call, lambda _: None)
    await provider.aclose()
