"""One request that waits for its answer, and the means to write one."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Literal

from tests.faults.refusals import Refusal
from tests.faults.wires import Answer, Event, Wire, dumps, encode_event, encoded

Framing = Literal["chunked", "close"] | int
"""How the end of a body is known; a number is its length in bytes."""


@dataclass
class Exchange:
    """A request, and the connection that its answer goes to."""

    writer: asyncio.StreamWriter
    wire: Wire
    answer: Answer
    streamed: bool
    refusal: Refusal
    """The mode's, if it has one."""
    credential: str
    """What the caller proved itself with."""
    models: Sequence[str] | None = None
    """What to list, if the list of models was asked for."""
    pause: float = 0.0
    fault_after: int = 0
    """So many pieces of a stream come before the fault."""
    ok_headers: Mapping[str, str] = field(default_factory=dict)
    elsewhere: str = ""
    """Another origin."""
    reused: bool = False
    """Whether the connection has answered before."""
    reusable: bool = True
    """Whether the connection goes on after this."""
    chunked: bool = False

    @property
    def content_type(self) -> str:
        return "text/event-stream; charset=utf-8" if self.streamed else "application/json"

    @cached_property
    def events(self) -> list[Event]:
        return list(self.wire.events(self.answer))

    @cached_property
    def whole(self) -> bytes:
        """The body of the answer at once."""
        if self.models is not None:
            return encoded(dumps(self.wire.models(self.models)))
        return encoded(dumps(self.wire.whole(self.answer)))

    @property
    def parts(self) -> list[bytes]:
        """The answer in the parts in which it is sent."""
        if self.streamed:
            return [encode_event(event) for event in self.events]
        step = max(1, len(self.whole) // 4)
        return [self.whole[at : at + step] for at in range(0, len(self.whole), step)]

    @property
    def fault_at(self) -> int:
        """The part that the fault befalls; it is always before the last piece's end."""
        if not self.streamed:
            return len(self.parts) // 2
        pieces = [index for index, event in enumerate(self.events) if event.piece] or [1]
        return pieces[min(self.fault_after, len(pieces) - 1)]

    @property
    def begun(self) -> list[bytes]:
        """The parts before the fault."""
        return self.parts[: self.fault_at]

    def error(self) -> Event:
        return self.wire.error(self.refusal, self.credential)

    def start(
        self,
        framing: Framing = "chunked",
        *,
        status: int = 200,
        content_type: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Write the head."""
        self.chunked = framing == "chunked"
        framings = {
            "chunked": "transfer-encoding: chunked",
            "close": "connection: close",
        }
        known = {entry.value: entry.phrase for entry in HTTPStatus}
        lines = {
            "content-type": content_type or self.content_type,
            self.wire.request_id: "req_fault",
            **(self.ok_headers if status == HTTPStatus.OK else {}),
            **(headers or {}),
        }
        head = [
            f"HTTP/1.1 {status} {known.get(status, 'Unknown')}",
            framings.get(str(framing), f"content-length: {framing}"),
            *(f"{name}: {value}" for name, value in lines.items()),
        ]
        self.writer.write("\r\n".join([*head, "", ""]).encode())

    def write(self, data: bytes) -> None:
        """Write a part of the body."""
        size = f"{len(data):x}\r\n".encode()
        self.writer.write(size + data + b"\r\n" if self.chunked else data)

    async def send(self, parts: Sequence[bytes], *, ends: bool = True, pause: float = 0.0) -> None:
        """Write parts of the body, each on its own.

        The last part and the end of the body leave together: a caller that has read the last
        event may hang up, and that is no cut.
        """
        for part in parts[:-1]:
            self.write(part)
            await self.writer.drain()
            await asyncio.sleep(pause)
        for part in parts[-1:]:
            self.write(part)
        if ends and self.chunked:
            self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    async def send_at_once(
        self,
        body: bytes,
        status: int = 200,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Write a whole answer whose length is known."""
        self.start(len(body), status=status, content_type=content_type, headers=headers)
        await self.send([body])
