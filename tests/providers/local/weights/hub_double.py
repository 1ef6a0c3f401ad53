"""A model hub on loopback, on a real socket, that can misbehave as hubs and networks do."""

import asyncio
import re
from contextlib import suppress
from typing import NamedTuple, Self


class Request(NamedTuple):
    target: str
    headers: dict[str, str]
    """Names in lower case."""


class HubDouble:
    """Serves `files`; the attributes below say in which way it misbehaves."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        """Path, with its query, to content; a redirect's path is in `redirects` instead."""
        self.redirects: dict[str, str] = {}
        self.status = 0
        """Answer everything with this status."""
        self.refusals: dict[str, tuple[int, str]] = {}
        """Path to the status and the `X-Error-Code` of the answer."""
        self.honours_range = True
        self.range_shift = 0
        """Claim that a partial answer begins so many bytes later."""
        self.says_length = True
        self.holds_at: list[int] = []
        """For one request each: stop after so many bytes, and cut when `release` is set."""
        self.release = asyncio.Event()
        self.requests: list[Request] = []
        self.served: list[int] = []
        """Bytes of each answer that were sent."""
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._server.close()
        for connection in list(self._connections):
            connection.cancel()
            with suppress(asyncio.CancelledError):
                await connection
        await self._server.wait_closed()

    @property
    def address(self) -> str:
        host, port = self._server.sockets[0].getsockname()
        return f"http://{host}:{port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._answer(reader, writer)
        except asyncio.CancelledError:
            # asyncio's own callback would log a connection that ends cancelled.
            pass
        finally:
            self._connections.discard(task)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])
        }
        target = head[0].split(" ")[1]
        self.requests.append(Request(target, headers))
        path = re.sub(r"^http://[^/]+", "", target)
        if path in self.redirects:
            location = f"Location: {self.redirects[path]}"
            await self._send(writer, "302 Found", [location, "Content-Length: 0"], b"")
        elif path in self.refusals:
            status_code, code = self.refusals[path]
            coded = [f"X-Error-Code: {code}"] if code else []
            await self._send(writer, f"{status_code} No", [*coded, "Content-Length: 0"], b"")
        elif self.status or path not in self.files:
            status = f"{self.status or 404} No"
            await self._send(writer, status, ["Content-Length: 2"], b"no")
        else:
            await self._send_file(writer, self.files[path], headers.get("range", ""))

    async def _send_file(
        self, writer: asyncio.StreamWriter, content: bytes, asked_range: str
    ) -> None:
        status, headers, body = "200 OK", [], content
        if asked_range and self.honours_range:
            asked_first, _, asked_last = asked_range.removeprefix("bytes=").partition("-")
            start, last = int(asked_first), int(asked_last or len(content) - 1)
            status, body = "206 Partial Content", content[start : last + 1]
            headers.append(f"Content-Range: bytes {start + self.range_shift}-{last}/{len(content)}")
        if self.says_length:
            headers.append(f"Content-Length: {len(body)}")
        await self._send(writer, status, headers, body)

    async def _send(
        self, writer: asyncio.StreamWriter, status: str, headers: list[str], body: bytes
    ) -> None:
        head = "\r\n".join([f"HTTP/1.1 {status}", *headers, "Connection: close"])
        writer.write(head.encode() + b"\r\n\r\n")
        hold = self.holds_at.pop(0) if self.holds_at else None
        writer.write(body[:hold])
        self.served.append(len(body[:hold]))
        await writer.drain()
        if hold is not None:
            await self.release.wait()
