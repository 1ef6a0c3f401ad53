"""HTTP to one host: a session, a key that goes nowhere else, bounds on what comes back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import aiohttp
import orjson
from yarl import URL

from agent_lab.errors import (
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    TruncatedAnswerError,
)
from agent_lab.observability.redaction import Redactor
from agent_lab.observability.tracing import traceparent
from agent_lab.providers.registries.provider_registry import ProviderEntry
from agent_lab.providers.remote.silence import SilenceWatch
from agent_lab.providers.remote.sse import EventParser, EventTooLongError, ServerEvent
from agent_lab.providers.remote.wire_errors import Asked, Refusal, classify

LONGEST_BODY = 16 * 2**20
"""Bytes of an answer that comes at once."""
LONGEST_STREAM = 256 * 2**20
LONGEST_REFUSAL = 64 * 2**10
KEEP_ALIVE_S = 4.0
"""Less than uvicorn's 5 s: a connection that the host just closed would fail a call."""
EVENT_STREAM = "text/event-stream"


class StreamReader(NamedTuple):
    """Who takes what a streamed call brings."""

    begun: Callable[[Mapping[str, str]], None]
    """Takes the headers."""
    event: Callable[[ServerEvent], bool | None]
    """Takes an event; true: it had a piece of the answer; None: the answer is complete."""
    whole: Callable[[Mapping[str, Any]], None]
    """Takes the answer of a host that does not stream."""


class Answered(NamedTuple):
    """A whole answer."""

    headers: Mapping[str, str]
    body: Any


class Transport:
    """The connections to one host.

    Args:
        entry: The host, with its address.
        key: Its key; None: it needs none.
    """

    def __init__(self, entry: ProviderEntry, key: str | None) -> None:
        self._entry = entry
        self._base_url = entry.base_url or ""
        self._urls: dict[str, URL] = {}
        self._redact = Redactor([key] if key else [])
        self._headers = {
            "Content-Type": "application/json",
            # A compressed body that is cut passes for a whole one, and a small one can be a bomb.
            "Accept-Encoding": "identity",
            **entry.headers,
            **_credential(entry, key),
        }
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    async def post(self, path: str, body: bytes, model: str) -> Answered:
        """Send a call and read its whole answer.

        Raises:
            ProviderError: Whatever went wrong, classified.
        """
        async with (
            SilenceWatch(self._entry.timeouts, self._asked(model)),
            self._open("POST", path, model, body) as response,
        ):
            return Answered(response.headers, await self._answer(response, model))

    async def stream(self, path: str, body: bytes, model: str, reader: StreamReader) -> None:
        """Send a call and hand on the events of its answer, until it is complete or ends.

        Raises:
            ProviderError: Whatever went wrong, classified. That the stream ended too early is
                for the caller to see.
        """
        timeouts = self._entry.timeouts
        async with (
            SilenceWatch(timeouts, self._asked(model)) as watch,
            self._open("POST", path, model, body) as response,
        ):
            reader.begun(response.headers)
            if response.content_type == EVENT_STREAM:
                await self._events(response, model, reader.event, watch)
            else:
                reader.whole(await self._answer(response, model))

    async def get(self, path: str, seconds: float) -> Any:
        """Ask for a document within some seconds.

        Raises:
            ProviderError: It did not come.
        """
        try:
            async with asyncio.timeout(seconds):
                async with self._open("GET", path, "") as response:
                    return await self._json(response, "")
        except TimeoutError as error:
            raise self._unavailable("did not answer in time", "") from error

    async def aclose(self) -> None:
        """Close every connection; what is under way fails, and is not sent again."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _events(
        self,
        response: aiohttp.ClientResponse,
        model: str,
        on_event: Callable[[ServerEvent], bool | None],
        watch: SilenceWatch,
    ) -> None:
        parser, left = EventParser(), LONGEST_STREAM
        async for piece in response.content.iter_any():
            left -= len(piece)
            if left < 0:
                reason = f"sent more than {LONGEST_STREAM} bytes"
                raise self._unavailable(reason, model, again=False)
            try:
                for event in parser.feed(piece):
                    came = on_event(event)
                    if came:
                        watch.token_came()
                    elif came is None:
                        await _drained(response)
                        return
            except (orjson.JSONDecodeError, EventTooLongError) as error:
                raise self._garbled(model) from error

    @asynccontextmanager
    async def _open(
        self, method: str, path: str, model: str, body: bytes | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        parent = traceparent()
        request = self._client().request(
            method,
            self._url(path),
            data=body,
            headers={**self._headers, "traceparent": parent} if parent else self._headers,
            allow_redirects=False,
        )
        try:
            async with request as response:
                if response.status != 200:
                    raise await self._refusal(response, model)
                if response.headers.get("Content-Encoding", "identity") != "identity":
                    reason = "compressed its answer though asked not to"
                    raise self._unavailable(reason, model, again=False)
                yield response
        except aiohttp.ConnectionTimeoutError as error:
            raise self._no_connection(model) from error
        except aiohttp.ClientConnectorError as error:
            raise self._nobody(error, model) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            # Neither its words nor the error itself: they hold the host's bytes, or our headers.
            reason = f"broke the connection ({type(error).__name__})"
            raise self._unavailable(reason, model, again=not self._closed) from None

    def _url(self, path: str) -> URL:
        if path not in self._urls:
            self._urls[path] = URL(self._base_url + path)
        return self._urls[path]

    def _client(self) -> aiohttp.ClientSession:
        if self._closed:
            raise self._unavailable("was closed with the gateway", "", again=False)
        loop = asyncio.get_running_loop()
        if self._session is None or self._loop is not loop or self._session.closed:
            # A gateway may live longer than a loop: `asyncio.run` twice, with the same gateway.
            self._loop = loop
            self._session = aiohttp.ClientSession(
                # No bound here: waiting for a place is the limiter's, where it can be seen.
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=self._entry.timeouts.connect_s
                ),
                auto_decompress=False,
            )
        return self._session

    async def _json(self, response: aiohttp.ClientResponse, model: str) -> Any:
        body = await _read(response, LONGEST_BODY)
        if len(body) > LONGEST_BODY:
            reason = f"sent more than {LONGEST_BODY} bytes"
            raise self._unavailable(reason, model, again=False)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            if response.content_type != "application/json":
                raise self._unavailable(self._not_an_api(response), model, again=False) from error
            raise self._garbled(model) from error

    async def _refusal(self, response: aiohttp.ClientResponse, model: str) -> ProviderError:
        if 300 <= response.status < 400:
            reason = "redirects elsewhere, which is not followed"
            return self._unavailable(reason, model, again=False)
        try:
            async with asyncio.timeout(self._entry.timeouts.between_tokens_s):
                body = await _read(response, LONGEST_REFUSAL)
        except (TimeoutError, aiohttp.ClientError):
            body = b""  # the status says enough
        return self.classified(Refusal(response.status, response.headers, body), model)

    def classified(self, refusal: Refusal, model: str) -> ProviderError:
        """Make one of our errors of what the host refused, without the key."""
        return classify(refusal, self._asked(model), self._redact)

    async def _answer(self, response: aiohttp.ClientResponse, model: str) -> Any:
        """An answer that came at once; one that says that there is none is an error."""
        said = await self._json(response, model)
        if isinstance(said, Mapping) and said.get("error"):
            raise self.classified(Refusal(None, response.headers, orjson.dumps(said)), model)
        return said

    def _asked(self, model: str) -> Asked:
        return Asked(self._entry.name, model, self._entry.api_key_env or "")

    def _garbled(self, model: str) -> TruncatedAnswerError:
        return TruncatedAnswerError(
            f"`{self._entry.name}` sent an answer that is no JSON.",
            provider=self._entry.name,
            model=model,
        )

    def _no_connection(self, model: str) -> ProviderTimeoutError:
        return ProviderTimeoutError(
            f"`{self._entry.name}` took no connection within {self._entry.timeouts.connect_s:g} s.",
            provider=self._entry.name,
            model=model,
            hint=self._where(),
            details={"phase": "connect"},
        )

    def _nobody(self, error: aiohttp.ClientConnectorError, model: str) -> ProviderUnavailableError:
        return ProviderUnavailableError(
            f"Nothing answers for `{self._entry.name}` at {self._base_url}: "
            f"{(error.strerror or type(error).__name__).lower()}.",
            provider=self._entry.name,
            model=model,
            hint=self._entry.start_hint or self._where(),
        )

    def _unavailable(
        self, reason: str, model: str, *, again: bool = True
    ) -> ProviderUnavailableError:
        return ProviderUnavailableError(
            f"`{self._entry.name}` {reason}.",
            provider=self._entry.name,
            model=model,
            retry_advised=None if again else False,
            hint=self._where(),
        )

    def _not_an_api(self, response: aiohttp.ClientResponse) -> str:
        kind = self._redact(response.content_type)
        return f"answered with `{kind}`, which is no answer of a model"

    def _where(self) -> str:
        variable = self._entry.base_url_env
        return f"Its address is {self._base_url}" + (f"; {variable} moves it." if variable else ".")


def _credential(entry: ProviderEntry, key: str | None) -> dict[str, str]:
    if not key:
        return {}
    return {"x-api-key": key} if entry.auth == "x-api-key" else {"Authorization": f"Bearer {key}"}


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Read a body, but never much more than `most` bytes of it."""
    length = response.content_length
    if length is not None and length <= most:
        return await response.read()
    pieces, size = [], 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > most:
            break
    return b"".join(pieces)


async def _drained(response: aiohttp.ClientResponse) -> None:
    """Take the end of a complete stream, if it is there, so that the connection is used again."""
    if not response.content.at_eof():
        with suppress(TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(0.1):
                await response.content.readany()
