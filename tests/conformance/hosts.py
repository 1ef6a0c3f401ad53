"""A model host on loopback that says back what it is asked, and the subjects that speak with it."""

import asyncio
import copy
import re
from typing import Any

from typing_extensions import override

from agent_lab import errors
from agent_lab.providers.base import PROVIDERS, Provider
from agent_lab.providers.conformance import Make, Subject
from agent_lab.providers.registries.model_registry import ModelEntry
from agent_lab.providers.registries.provider_registry import (
    ProviderEntry,
    ProviderRegistry,
    Timeouts,
)
from agent_lab.providers.remote.host import HostProvider
from tests.faults.exchange import Exchange
from tests.faults.modes import Mode
from tests.faults.refusals import REFUSALS
from tests.faults.upstream import FaultyUpstream, Recorded, WatchedReader
from tests.faults.wires import ANTHROPIC, OPENAI, Answer, OpenAIWire, Wire

WINDOW = 512
"""Words."""
ENDLESS = "Go on and on."
KEY = "sk-the-key-of-a-test"
SILENCE_S = 0.2
SILENT = {Mode.HANG_MID_STREAM}
FAILURES = {
    errors.ProviderRequestError: Mode.BAD_REQUEST,
    errors.ContextLengthError: Mode.CONTEXT_LENGTH,
    errors.ModelNotServedError: Mode.NOT_FOUND,
    errors.ProviderAuthError: Mode.UNAUTHORIZED,
    errors.ProviderSpendCapError: Mode.QUOTA,
    errors.ContentFilteredError: Mode.CONTENT_FILTER,
    errors.TruncatedAnswerError: Mode.FINISH_MISSING,
    errors.ProviderRateLimitError: Mode.RATE_LIMIT,
    errors.ProviderOverloadedError: Mode.OVERLOADED,
    errors.ProviderTimeoutError: Mode.HANG_MID_STREAM,
    errors.ProviderUnavailableError: Mode.CUT_CHUNKED,
}


class EchoHost(FaultyUpstream):
    """Says the last message back; goes on if it is asked to, obeys `max_tokens` and its window."""

    @property
    def calls(self) -> int:
        """How often a model was asked."""
        return sum(request.method == "POST" for request in self.requests)

    @override
    def _exchange(self, request: Recorded, kind: str, writer: asyncio.StreamWriter) -> Exchange:
        exchange = super()._exchange(request, kind, writer)
        if request.mode is Mode.OK and request.body:
            exchange.answer = echoed(exchange.answer, request.body)
            exchange.wire = counting(exchange.wire, len(exchange.answer.pieces))
        return exchange

    @override
    async def _answer(self, request: Recorded, exchange: Exchange, reader: WatchedReader) -> None:
        if request.body and len(prompt_of(request.body).split()) > WINDOW:
            request = request._replace(mode=Mode.CONTEXT_LENGTH)
            exchange.refusal = REFUSALS[Mode.CONTEXT_LENGTH]
        await super()._answer(request, exchange, reader)


def prompt_of(body: dict[str, Any]) -> str:
    """The last message."""
    return str(body["messages"][-1]["content"])


def echoed(answer: Answer, body: dict[str, Any]) -> Answer:
    """The answer that says the prompt back; a word is a token."""
    most = body.get("max_completion_tokens") or body["max_tokens"]
    prompt = prompt_of(body)
    words = [" on"] * (most + 1) if prompt == ENDLESS else re.findall(r"\s*\S+", prompt)
    finish = "length" if len(words) > most else answer.finish
    return answer._replace(pieces=tuple(words[:most]), finish=finish)


def counting(wire: Wire, words: int) -> Wire:
    """The same wire, with the words of this answer as its tokens."""
    counted = copy.copy(wire)
    said = {"completion_tokens": words, "output_tokens": words, "completion_tokens_details": None}
    usage = OPENAI.usage if isinstance(wire, OpenAIWire) else ANTHROPIC.usage
    vars(counted)["usage"] = {name: said.get(name, count) for name, count in usage.items()}
    return counted


def entry_of(name: str, url: str) -> ProviderEntry:
    """The shipped entry of a provider, or that of somebody's own host, at this address."""
    if name == "compatible":
        return ProviderEntry(name="box-in-the-cellar", api="openai", base_url=f"{url}/v1")
    shipped = ProviderRegistry.load().get(name)
    moved = f"{url}/v1" if shipped.api == "openai" else url
    return shipped.model_copy(update={"base_url": moved})


def host_provider(entry: ProviderEntry) -> Provider:
    """A provider of an entry, with the key that it needs."""
    cls = PROVIDERS.get(entry.api)
    assert issubclass(cls, HostProvider)
    return cls(entry, KEY if entry.api_key_env else None)


def remote_subject(name: str, host: EchoHost) -> Subject:
    """A provider that asks this host."""
    entry = entry_of(name, host.url)

    def in_mode(mode: Mode) -> Make:
        return lambda: host_provider(entry.model_copy(update={"headers": {"x-fault": mode}}))

    def failing_once(mode: Mode) -> Make:
        def make() -> Provider:
            host.script([mode, Mode.OK])
            # Small only where one is due: a busy machine is no slow host.
            brief = {"timeouts": Timeouts(between_tokens_s=SILENCE_S)}
            return host_provider(entry.model_copy(update=brief if mode in SILENT else {}))

        return make

    def keyless() -> Provider:
        cls = PROVIDERS.get(entry.api)
        assert issubclass(cls, HostProvider)
        return cls(entry.model_copy(update={"base_url": "https://models.invalid"}), None)

    return Subject(
        make=lambda: host_provider(entry),
        model=ModelEntry(
            key="echo",
            provider=entry.name,
            model="echo-1",
            context_window=WINDOW,
            capabilities=("chat", "stream", "json_schema"),
        ),
        endless_prompt=ENDLESS,
        echoes=True,
        long_prompt="word " * (WINDOW + 1),
        failing={kind: failing_once(mode) for kind, mode in FAILURES.items()},
        thinking=in_mode(Mode.THINK_TAGS if name == "compatible" else Mode.REASONING),
        empty=in_mode(Mode.EMPTY_CONTENT),
        unready=keyless if entry.api_key_env else None,
        asked=lambda: host.calls,
    )
