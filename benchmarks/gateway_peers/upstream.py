"""A host that speaks OpenAI's chat completions at next to no cost: every answer is made before.

python -m gateway_peers.upstream      says on stderr where it listens; ends when stdin does
"""

import asyncio
import itertools
import json
import sys
from typing import Any

from typing_extensions import override

from gateway_peers.texts import ANSWER, CHUNKS, PACED

INTERVAL_S = 0.003
"""From one chunk of a paced stream to the next: the slowest client still keeps up with four."""
OFFSETS = 4
"""Paced streams begin at so many different points of the interval, so that no two coincide."""

_HEAD = {
    "id": "chatcmpl-BenchmarkBenchmarkBenchmark00",
    "created": 1790000000,
    "model": "gpt-4o-mini-2024-07-18",
    "service_tier": "default",
    "system_fingerprint": "fp_0123456789",
}
_USAGE = {
    "prompt_tokens": 260,
    "completion_tokens": 120,
    "total_tokens": 380,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}
_STATUS = (
    "HTTP/1.1 200 OK\r\n"
    "server: upstream\r\n"
    "x-request-id: req_0123456789abcdef0123456789abcdef\r\n"
    "openai-processing-ms: 412\r\n"
    "openai-version: 2020-10-01\r\n"
    "x-ratelimit-limit-requests: 10000000\r\n"
    "x-ratelimit-limit-tokens: 100000000000\r\n"
    "x-ratelimit-remaining-requests: 9999999\r\n"
    "x-ratelimit-remaining-tokens: 99999999700\r\n"
    "x-ratelimit-reset-requests: 6ms\r\n"
    "x-ratelimit-reset-tokens: 0s\r\n"
)


def _whole(body: bytes, media_type: str) -> bytes:
    head = f"{_STATUS}content-type: {media_type}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _completion() -> bytes:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": ANSWER,
        "refusal": None,
        "annotations": [],
    }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    answer = {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _USAGE}
    return _whole(json.dumps(answer).encode(), "application/json")


def _event(delta: dict[str, Any] | None, finish: str | None = None) -> bytes:
    """One server-sent event in a chunk of HTTP; without a delta, the one with the usage."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    counted = {"choices": [], "usage": _USAGE}
    rest = counted if delta is None else {"choices": [choice], "usage": None}
    body = json.dumps({**_HEAD, "object": "chat.completion.chunk", **rest}, separators=(",", ":"))
    return _http_chunk(f"data: {body}\n\n".encode())


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


COMPLETION = _completion()
STREAM_HEAD = (
    _STATUS + "content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
).encode() + _event({"role": "assistant", "content": "", "refusal": None})
EVENTS = tuple(_event({"content": text}) for text in CHUNKS)
STREAM_END = _event({}, "stop") + _event(None) + _http_chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
STREAM = STREAM_HEAD + b"".join(EVENTS) + STREAM_END
SPANS_TAKEN = _whole(b"", "application/x-protobuf")
"""The answer to an exporter of traces."""


class Upstream(asyncio.Protocol):
    """One connection; requests come one after the other and have a length."""

    _streams = itertools.count()

    def __init__(self) -> None:
        self._received = b""
        self._transport: asyncio.Transport

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("The upstream listens on a stream socket only.")
        self._transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if end and len(body) >= _length(head):
            self._received = b""
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if b"/traces " in head.partition(b"\r\n")[0]:
            self._transport.write(SPANS_TAKEN)
        elif b'"stream":true' not in body and b'"stream": true' not in body:
            self._transport.write(COMPLETION)
        elif PACED.encode() in body:
            self._transport.write(STREAM_HEAD)
            offset = next(self._streams) % OFFSETS / OFFSETS * INTERVAL_S
            self._pace(0, asyncio.get_running_loop().time() + offset)
        else:
            self._transport.write(STREAM)

    def _pace(self, sent: int, due: float) -> None:
        if self._transport.is_closing():
            return
        if sent == len(EVENTS):
            self._transport.write(STREAM_END)
            return
        self._transport.write(EVENTS[sent])
        due += INTERVAL_S
        asyncio.get_running_loop().call_at(due, self._pace, sent + 1, due)


def _length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0])


async def main() -> None:
    """Listen until stdin ends, so that no upstream outlives its benchmark."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", 0, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    print(f"Listening on http://127.0.0.1:{port}", file=sys.stderr, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
