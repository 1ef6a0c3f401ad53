"""A model host on loopback, on raw sockets, that misbehaves on command.

async with FaultyUpstream("rate_limit") as upstream:
    ...  # ask upstream.url + "/v1" as OpenAI, or upstream.url as Anthropic
    upstream.script(["500", "ok"])
"""

import asyncio
import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Self

from typing_extensions import override

from tests.faults.exchange import Exchange
from tests.faults.modes import Mode
from tests.faults.plans import delivery_of, shape_of
from tests.faults.refusals import NO_SUCH_ROUTE, REFUSALS
from tests.faults.wires import ANTHROPIC, OPENAI, Answer

DEFAULT_TEXT = "The answer is 42."


class Recorded(NamedTuple):
    """A request that arrived."""

    number: int
    """From 1, over all connections."""
    connection: int
    """From 1; a kept connection has its number again."""
    at: float
    """Seconds on the event loop's clock."""
    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: Any
    """None: there was none."""
    mode: Mode | None
    """How it is answered; None: there is no such route."""


class WatchedReader(asyncio.StreamReader):
    """Knows that the peer has gone, without reading."""

    def __init__(self) -> None:
        super().__init__()
        self.gone = asyncio.Event()

    @override
    def feed_eof(self) -> None:
        super().feed_eof()
        self.gone.set()

    @override
    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self.gone.set()


class FaultyUpstream:
    """Serves `POST …/chat/completions`, `POST …/v1/messages` and `GET …/models`.

    A request's header `x-fault` names its mode; else the script does, one mode for each request,
    the last one for all that follow.
    """

    def __init__(
        self,
        mode: str = Mode.OK,
        *,
        text: str = DEFAULT_TEXT,
        pause: float = 0.02,
        fault_after: int = 2,
    ) -> None:
        self.script([mode])
        self.text = text
        """What the model says; a piece of a stream is a word."""
        self.pause = pause
        """Seconds between the pieces of `slow`, and between keep-alive comments."""
        self.fault_after = fault_after
        """So many pieces of a stream come before its fault."""
        self.rate_headers: Mapping[str, str] = {}
        """Headers of every answer that has status 200."""
        self.models: tuple[str, ...] = ("fault-1", "fault-2")
        self.requests: list[Recorded] = []
        self.strayed: list[Recorded] = []
        """Requests that followed a redirect to the other origin."""
        self.cuts: list[float] = []
        """When the peer hung up on an answer under way: seconds on the event loop's clock."""
        self.url = ""
        """Still known after the end, when connections to it are refused."""
        self._news = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self._opened = 0
        self._under_way = 0
        self._ended = False
        self._bugs: list[Exception] = []

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()

        def protocol(requests: list[Recorded]) -> Callable[[], asyncio.BaseProtocol]:
            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                assert isinstance(reader, WatchedReader)
                await self._serve(reader, writer, requests)

            return lambda: asyncio.StreamReaderProtocol(WatchedReader(), serve)

        self._servers = [
            await loop.create_server(protocol(requests), "127.0.0.1", 0)
            for requests in (self.requests, self.strayed)
        ]
        self.url, self._elsewhere = (
            f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in self._servers
        )
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        self._ended = True
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()
        if self._bugs and kind is None:
            raise self._bugs[0]

    @property
    def mode(self) -> Mode:
        """The next request's."""
        return self._script[0]

    @mode.setter
    def mode(self, mode: str) -> None:
        self.script([mode])

    def script(self, modes: Iterable[str]) -> None:
        """Say how the next requests are answered, one after the other; the last mode stays."""
        script = deque(Mode(mode) for mode in modes)
        if not script:
            raise ValueError("A script has one mode at least.")
        self._script = script

    @property
    def cut_by_peer(self) -> int:
        """How often the peer hung up while an answer was under way."""
        return len(self.cuts)

    @property
    def under_way(self) -> int:
        """How many requests are being answered."""
        return self._under_way

    @property
    def open_connections(self) -> int:
        """How many connections are open, idle ones too."""
        return len(self._connections)

    async def wait_for_requests(self, count: int = 1) -> None:
        """Return when so many requests have arrived in all."""
        await self._wait(lambda: len(self.requests) >= count)

    async def wait_for_cuts(self, count: int = 1) -> None:
        """Return when so many answers were cut by the peer in all."""
        await self._wait(lambda: len(self.cuts) >= count)

    async def wait_until_idle(self) -> None:
        """Return when no request is being answered."""
        await self._wait(lambda: not self._under_way)

    async def _wait(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._news.clear()
            await self._news.wait()

    async def _serve(
        self, reader: WatchedReader, writer: asyncio.StreamWriter, requests: list[Recorded]
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._ended:  # accepted before the end, begun after it
            writer.transport.abort()
            return
        self._connections.add(task)
        self._opened += 1
        try:
            await self._converse(reader, writer, requests)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # Cancelled by the upstream's end; asyncio's own callback would log that.
            writer.transport.abort()
        except Exception as bug:  # noqa: BLE001 - the upstream's end raises it
            self._bugs.append(bug)
            writer.transport.abort()
        finally:
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()
            self._connections.discard(task)

    async def _converse(
        self, reader: WatchedReader, writer: asyncio.StreamWriter, requests: list[Recorded]
    ) -> None:
        connection, reused = self._opened, False
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            method, path, headers = _parse(head)
            content = await reader.readexactly(int(headers.get("content-length", "0")))
            kind = _kind(method, path)
            request = Recorded(
                len(requests) + 1,
                connection,
                asyncio.get_running_loop().time(),
                method,
                path,
                headers,
                json.loads(content) if content else None,
                self._mode_of(headers, strayed=requests is self.strayed) if kind else None,
            )
            requests.append(request)
            self._news.set()
            exchange = self._exchange(request, kind, writer)
            exchange.reused, reused = reused, True
            await self._answer(request, exchange, reader)
            if not exchange.reusable or headers.get("connection") == "close":
                return

    def _mode_of(self, headers: Mapping[str, str], *, strayed: bool) -> Mode:
        if strayed:
            return Mode.OK
        if "x-fault" in headers:
            return Mode(headers["x-fault"])
        return self._script.popleft() if len(self._script) > 1 else self._script[0]

    def _exchange(self, request: Recorded, kind: str, writer: asyncio.StreamWriter) -> Exchange:
        body = request.body or {}
        mode = request.mode or Mode.NOT_FOUND
        answer = Answer(
            model=body.get("model", ""),
            pieces=tuple(re.findall(r"\s*\S+|\s+$", self.text)),
            usage_asked=bool((body.get("stream_options") or {}).get("include_usage")),
        )
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        is_anthropic = kind == "messages" or "anthropic-version" in request.headers
        return Exchange(
            writer,
            ANTHROPIC if is_anthropic else OPENAI,
            shape_of(mode)(answer),
            bool(body.get("stream")),
            REFUSALS.get(mode, NO_SUCH_ROUTE) if kind else NO_SUCH_ROUTE,
            key or request.headers.get("x-api-key", ""),
            models=self.models if kind == "models" else None,
            pause=self.pause,
            fault_after=self.fault_after,
            ok_headers=self.rate_headers,
            elsewhere=self._elsewhere + request.path,
        )

    async def _answer(self, request: Recorded, exchange: Exchange, reader: WatchedReader) -> None:
        deliver = delivery_of(request.mode or Mode.NOT_FOUND)
        answer = asyncio.ensure_future(deliver(exchange))
        gone = asyncio.create_task(reader.gone.wait())
        self._under_way += 1
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done() or isinstance(answer.exception(), ConnectionError):
                self.cuts.append(asyncio.get_running_loop().time())
                raise ConnectionResetError
            answer.result()
        finally:
            answer.cancel()
            gone.cancel()
            await asyncio.gather(answer, gone, return_exceptions=True)
            self._under_way -= 1
            self._news.set()


def _parse(head: bytes) -> tuple[str, str, dict[str, str]]:
    """Method, path and headers; their names in lower case."""
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ")
    fields = (line.partition(":") for line in lines)
    return method, path, {name.lower(): value.strip() for name, _, value in fields}


def _kind(method: str, path: str) -> str:
    """The kind of a request; empty: there is no such route."""
    found = re.fullmatch(
        r"POST .*/chat/(completions)|POST .*/v1/(messages)|GET .*/(models)",
        f"{method} {path.partition('?')[0]}",
    )
    return found[found.lastindex or 0] if found else ""
