"""The adapters of both wires conform, too, where others wrote the host: aimock and llmock."""

from collections.abc import Iterator, Mapping
from typing import Self

import pytest
from typing_extensions import override

from agent_lab import errors
from agent_lab.config import Settings
from agent_lab.providers.base import Emit, Provider, ProviderAnswer, ProviderCall
from agent_lab.providers.conformance import CHECKS, Make, NotApplicableError, Subject
from agent_lab.providers.registries.model_registry import ModelEntry
from agent_lab.providers.registries.provider_registry import ProviderEntry
from tests.conformance.hosts import entry_of, host_provider
from tests.doubles.servers import AIMOCK, DOUBLES, LLMOCK, PROMPT, Call, Double, Fault, Wire

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(120)]

OPTIONS = {"aimock": ("--latency", "10"), "llmock": ("--stream-chunk-delay-ms", "10")}
"""Milliseconds between pieces: an answer that comes at one moment cannot be cancelled midway."""
FAILURES: Mapping[type[errors.ProviderError], Fault] = {
    errors.ProviderRateLimitError: Fault.RATE_LIMIT,
    errors.ProviderSpendCapError: Fault.QUOTA,
    errors.ProviderOverloadedError: Fault.OVERLOADED,
    errors.ProviderAuthError: Fault.UNAUTHORIZED,
    errors.ProviderUnavailableError: Fault.SERVER_ERROR,
    errors.ContentFilteredError: Fault.CONTENT_FILTER,
    errors.TruncatedAnswerError: Fault.TRUNCATED,
}
EXEMPT = {"a_failed_call_leaves_the_provider_usable": "a model of a double always fails, or never"}
NOT_APPLICABLE = {
    *EXEMPT,
    "max_tokens_is_obeyed",  # the answer is the same whatever is asked
    "the_reasoning_is_apart_from_the_text",
    "an_empty_answer_is_not_dressed_up",
    "concurrent_calls_are_not_mixed_up",
    "a_model_that_cannot_be_asked_is_said",
}


class Astray(Provider):
    """Asks for another model than it is told to: the one that plays a fault."""

    def __init__(self, provider: Provider, fault: Fault) -> None:
        self._provider = provider
        self._fault = fault

    @override
    @classmethod
    def from_settings(cls, settings: Settings, entry: ProviderEntry) -> Self:
        raise NotImplementedError

    @override
    async def generate(self, call: ProviderCall, emit: Emit) -> ProviderAnswer:
        model = call.model.model_copy(update={"model": self._fault})
        return await self._provider.generate(call._replace(model=model), emit)

    @override
    async def aclose(self) -> None:
        await self._provider.aclose()


@pytest.fixture(scope="module", params=DOUBLES)
def double(request: pytest.FixtureRequest) -> Iterator[Double]:
    with DOUBLES[request.param](*OPTIONS[request.param]) as double:
        yield double


def subject_of(double: Double, wire: Wire) -> Subject:
    base_url = double.base_urls[wire]
    entry = entry_of(wire, base_url).model_copy(update={"base_url": base_url})
    journal = "/__aimock/journal" if double.plays is AIMOCK else "/_llmock/requests"

    def asked() -> int:
        told = double.get(journal)
        requests = told if double.plays is AIMOCK else told["requests"]
        return sum(request["method"] == "POST" for request in requests)

    def failing(fault: Fault) -> Make:
        return lambda: Astray(host_provider(entry), fault)

    playing = {
        kind: double.plays[fault]
        for kind, fault in FAILURES.items()
        if fault in double.plays and Call(wire, True) in double.plays[fault].calls
    }
    long = double.plays[Fault.CONTEXT_LENGTH].prompt
    return Subject(
        make=lambda: host_provider(entry),
        model=ModelEntry(key="double", provider=wire, model="some-model", context_window=16_000),
        prompt=PROMPT,
        endless_prompt=None,
        long_prompt=long if long != PROMPT else None,
        failing={kind: failing(FAILURES[kind]) for kind in playing},
        asked=asked,
        exempt=EXEMPT,
    )


@pytest.mark.parametrize("wire", Wire)
@pytest.mark.parametrize("check", CHECKS)
async def test_an_adapter_conforms_at_a_host_of_others(double: Double, wire: Wire, check: str):
    applicable = True
    try:
        await CHECKS[check](subject_of(double, wire))
    except NotApplicableError:
        applicable = False
    if check == "a_prompt_over_the_window_is_refused":
        assert applicable == (double.plays is LLMOCK)
    else:
        assert applicable == (check not in NOT_APPLICABLE)
