"""What all providers over HTTP share: address, key, models; a wire adds bodies and answers."""

import asyncio
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self, TypeAlias

import orjson
from pydantic_core import PydanticCustomError
from typing_extensions import override

from agent_lab.config import Settings
from agent_lab.errors import (
    ConfigurationError,
    ContentFilteredError,
    MissingKeyError,
    ModelNotServedError,
    ProviderError,
    ProviderTimeoutError,
    TruncatedAnswerError,
)
from agent_lab.providers.base import (
    Emit,
    Provider,
    ProviderAnswer,
    ProviderCall,
    RateReport,
    TokenCounts,
)
from agent_lab.providers.registries.model_registry import ModelEntry
from agent_lab.providers.registries.provider_registry import (
    ProviderEntry,
    checked_base_url,
    is_loopback,
)
from agent_lab.providers.remote.rate_headers import rate_report
from agent_lab.providers.remote.sse import ServerEvent
from agent_lab.providers.remote.transport import StreamReader, Transport
from agent_lab.providers.remote.wire_errors import Refusal

PROBE_S = 1.0
"""How long a host may take to list its models."""

JsonBody: TypeAlias = dict[str, Any]


class WireAnswer(Protocol):
    """Gathers one answer in the form of one wire, and shows every piece of it."""

    @property
    def text(self) -> str:
        """What the model said, so far."""

    @property
    def reasoning(self) -> str:
        """What it thought, so far."""

    @property
    def tokens(self) -> TokenCounts | None:
        """What the host counted; None: it did not say."""

    @property
    def stop(self) -> str:
        """The host's own word for why the model stopped; empty: it has not."""

    @property
    def complete(self) -> bool:
        """Whether the host said that there is no more."""

    def take_whole(self, body: Mapping[str, Any]) -> None:
        """Take an answer that came at once."""

    def take_event(self, event: ServerEvent) -> bool | None:
        """Take an event of a stream; true: it had a piece of the answer; None: it was the last."""

    def end(self) -> None:
        """Show what was held back: nothing more comes."""


class RemoteErrorEvent(Exception):  # noqa: N818 - made one of our errors where the host is known
    """The host ended a stream that began well with an error; its argument is the event's data."""


class HostProvider(Provider):
    """A host that is asked over HTTP.

    Args:
        entry: The host, with its address.
        key: Its key; None: there is none.
    """

    path: ClassVar[str]
    """Where calls go, below the base URL."""
    models_path: ClassVar[str]
    cut: ClassVar[frozenset[str]]
    """The wire's words for a model that was stopped by a limit."""
    filtered: ClassVar[frozenset[str]]
    """Those for an answer that the content policy withheld."""

    def __init__(self, entry: ProviderEntry, key: str | None) -> None:
        here = is_loopback(entry.base_url or "")
        self.address = entry.base_url
        self.is_local = here if entry.stays_local is None else entry.stays_local
        self._entry = entry
        self._key_missing = key is None and entry.api_key_env is not None and not here
        self._probed = here and key is None
        self._served: tuple[str, ...] | None = None
        self._transport = Transport(entry, key)

    @override
    @classmethod
    def from_settings(cls, settings: Settings, entry: ProviderEntry) -> Self:
        moved = settings.variable(entry.base_url_env) if entry.base_url_env else None
        if moved:
            entry = entry.model_copy(update={"base_url": _checked(moved, entry.base_url_env)})
        key = settings.variable(entry.api_key_env) if entry.api_key_env else None
        return cls(entry, key)

    @override
    async def generate(self, call: ProviderCall, emit: Emit) -> ProviderAnswer:
        self._require_key(call.model)
        name = call.model.model or await self._first_served(call.model)
        body = {**self._body(call, name), **call.model.options.get("body", {})}
        answer = self._answer(emit)
        asked = self._stream if call.streamed else self._whole
        rate = await asked(body, call, answer)
        answer.end()
        self._check_complete(answer, call)
        return ProviderAnswer(
            text=answer.text,
            reasoning=answer.reasoning,
            finish_reason="length" if answer.stop in self.cut else "stop",
            tokens=answer.tokens,
            source=self._entry.name,
            rate=rate,
        )

    @override
    async def check(self, model: ModelEntry) -> None:
        self._require_key(model)

    @override
    def ready(self, model: ModelEntry) -> bool:
        return self._served is not None if self._probed else not self._key_missing

    @override
    async def served_models(self) -> tuple[str, ...] | None:
        try:
            listed = await self._transport.get(self.models_path, PROBE_S)
            names = tuple(str(model["id"]) for model in listed["data"])
        except (ProviderError, KeyError, TypeError):
            names = None
        self._served = names
        return names

    @override
    async def aclose(self) -> None:
        await self._transport.aclose()

    @abstractmethod
    def _body(self, call: ProviderCall, name: str) -> JsonBody:
        """The call in the wire's form."""

    @abstractmethod
    def _answer(self, emit: Emit) -> WireAnswer:
        """What gathers the answer."""

    async def _whole(
        self, body: JsonBody, call: ProviderCall, answer: WireAnswer
    ) -> RateReport | None:
        key = call.model.key
        reply = await self._transport.post(self.path, orjson.dumps(body), key)
        try:
            answer.take_whole(reply.body)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise self._no_answer(call, "an answer in another form") from error
        return rate_report(reply.headers, asyncio.get_running_loop().time())

    async def _stream(
        self, body: JsonBody, call: ProviderCall, answer: WireAnswer
    ) -> RateReport | None:
        loop = asyncio.get_running_loop()
        headers: Mapping[str, str] = {}
        rate: RateReport | None = None

        def begun(came: Mapping[str, str]) -> None:
            nonlocal headers, rate
            headers, rate = came, rate_report(came, loop.time())

        try:
            await self._transport.stream(
                self.path,
                orjson.dumps({**body, "stream": True}),
                call.model.key,
                StreamReader(begun, answer.take_event, answer.take_whole),
            )
        except RemoteErrorEvent as error:
            refusal = Refusal(None, headers, error.args[0])
            raise self._transport.classified(refusal, call.model.key) from None
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise self._no_answer(call, "an event in another form") from error
        except ProviderTimeoutError:
            if not (answer.stop and answer.complete):  # else only the end was not said
                raise
        return rate

    def _check_complete(self, answer: WireAnswer, call: ProviderCall) -> None:
        if answer.stop in self.filtered:
            raise ContentFilteredError(
                f"`{self._entry.name}` withheld the answer of `{call.model.key}` "
                f"(`{answer.stop}`).",
                provider=self._entry.name,
                model=call.model.key,
                hint="Ask in other words, or another model.",
            )
        if not (answer.stop and answer.complete):
            raise self._no_answer(call, "an answer that ends in its middle")

    def _no_answer(self, call: ProviderCall, what: str) -> TruncatedAnswerError:
        return TruncatedAnswerError(
            f"`{self._entry.name}` sent {what} to the call of `{call.model.key}`.",
            provider=self._entry.name,
            model=call.model.key,
        )

    def _require_key(self, model: ModelEntry) -> None:
        if self._key_missing:
            variable = self._entry.api_key_env
            raise MissingKeyError(
                f"`{model.key}` needs a key of `{self._entry.name}`, and {variable} is not set.",
                hint=f"{variable}=… in the environment or .env",
                details={"model": model.key, "variable": variable},
            )

    async def _first_served(self, model: ModelEntry) -> str:
        """The name of a model that the entry leaves to its host."""
        served = self._served or await self.served_models()
        if served is None:
            # The call itself says best what is wrong with the host.
            return model.key
        if not served:
            raise ModelNotServedError(
                f"`{self._entry.name}` serves no model.",
                provider=self._entry.name,
                model=model.key,
                hint=self._entry.start_hint,
            )
        return served[0]


def _checked(url: str, variable: str) -> str:
    try:
        return checked_base_url(url)
    except PydanticCustomError as error:
        raise ConfigurationError(
            f"{variable} is no address of a provider: {error.message()}.",
            hint=f"{variable}=https://host/v1",
        ) from None
