"""How an answer goes over the line, and how it fails to: one function for each way."""

import asyncio
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable, Sequence
from functools import cache, partial
from itertools import cycle
from typing import NoReturn

from tests.faults.exchange import Exchange
from tests.faults.refusals import filled
from tests.faults.wires import dumps, encode_event, encode_event_oddly, encoded

Delivery = Callable[[Exchange], Awaitable[None]]

BLOCK = b"a" * 65_536
BOMB = 32 * 2**20
GZIP = 16 + zlib.MAX_WBITS
PAGE = b"<!doctype html><title>Welcome</title><h1>This is not the API</h1>\n"


async def forever() -> NoReturn:
    """Say nothing more."""
    await asyncio.Event().wait()
    raise AssertionError


async def answered(exchange: Exchange) -> None:
    if not exchange.streamed:
        await exchange.send_at_once(exchange.whole)
        return
    exchange.start()
    await exchange.send(exchange.parts)


async def slow(exchange: Exchange) -> None:
    exchange.start()
    await exchange.send(exchange.parts, pause=exchange.pause)


async def flipped(exchange: Exchange) -> None:
    exchange.streamed = not exchange.streamed
    await answered(exchange)


async def byte_by_byte(exchange: Exchange) -> None:
    if exchange.streamed:
        body = b"".join(encode_event_oddly(event) for event in exchange.events)
    else:
        body = exchange.whole
    exchange.start()
    await exchange.send([body[at : at + 1] for at in range(len(body))])


async def refused(exchange: Exchange) -> None:
    body = encoded(dumps(exchange.error().data))
    headers = {
        name: filled(value, exchange.credential) for name, value in exchange.refusal.headers.items()
    }
    await exchange.send_at_once(body, exchange.wire.says(exchange.refusal).status, headers=headers)


async def refused_midway(exchange: Exchange) -> None:
    if not exchange.streamed:
        await refused(exchange)
        return
    exchange.start()
    await exchange.send([*exchange.begun, encode_event(exchange.error())])


async def page(exchange: Exchange, status: int) -> None:
    await exchange.send_at_once(PAGE, status, "text/html; charset=utf-8")


async def redirected(exchange: Exchange) -> None:
    await exchange.send_at_once(b"", 307, headers={"location": exchange.elsewhere})


async def reset(exchange: Exchange) -> None:
    exchange.reusable = False
    line: socket.socket = exchange.writer.get_extra_info("socket")
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.writer.transport.abort()


async def reset_midway(exchange: Exchange) -> None:
    exchange.start()
    await exchange.send(exchange.begun, ends=False)
    await asyncio.sleep(exchange.pause)  # a reset takes with it what was not read yet
    await reset(exchange)


async def cut_chunked(exchange: Exchange) -> None:
    exchange.reusable = False
    exchange.start()
    await exchange.send(exchange.begun, ends=False)


async def cut_close(exchange: Exchange) -> None:
    exchange.reusable = False
    exchange.start("close")
    await exchange.send(exchange.begun)


async def cut_length(exchange: Exchange) -> None:
    exchange.reusable = False
    exchange.start(sum(map(len, exchange.parts)))
    await exchange.send(exchange.begun)


async def stale(exchange: Exchange) -> None:
    if exchange.reused:
        exchange.reusable = False
    else:
        await answered(exchange)


async def halved(exchange: Exchange) -> None:
    if not exchange.streamed:
        await exchange.send_at_once(exchange.whole[: len(exchange.whole) // 2])
        return
    parts = exchange.parts
    broken = parts[exchange.fault_at]
    parts[exchange.fault_at] = broken[: len(broken) // 2] + b"\n\n"
    exchange.start()
    await exchange.send(parts)


async def hung(exchange: Exchange) -> None:
    await forever()


async def hung_midway(exchange: Exchange) -> None:
    exchange.start()
    await exchange.send(exchange.begun, ends=False)
    await forever()


async def kept_alive(exchange: Exchange) -> None:
    exchange.start()
    while True:
        await exchange.send([b": keepalive\n\n" if exchange.streamed else b"\n"], ends=False)
        await asyncio.sleep(exchange.pause)


async def huge(exchange: Exchange, status: int = 200) -> None:
    as_events = exchange.streamed and status == 200
    exchange.start(status=status, content_type="" if as_events else "application/json")
    await exchange.send([b'data: {"id":"' if as_events else b'{"id":"'], ends=False)
    await _endless(exchange, [BLOCK])


async def endless(exchange: Exchange) -> None:
    if not exchange.streamed:
        await huge(exchange)
        return
    pieces = [encode_event(event) for event in exchange.events if event.piece]
    exchange.start()
    await exchange.send(exchange.begun, ends=False)
    await _endless(exchange, pieces)


async def _endless(exchange: Exchange, parts: Sequence[bytes]) -> NoReturn:
    for part in cycle(parts):
        await exchange.send([part], ends=False)
        await asyncio.sleep(0)
    raise AssertionError("There is nothing to repeat.")


async def compressed(exchange: Exchange, *, cut: bool = False, bomb: bool = False) -> None:
    small, compressor = _much_of_nothing() if bomb else (b"", zlib.compressobj(1, wbits=GZIP))
    small += compressor.compress(b"".join(exchange.parts)) + compressor.flush()
    if cut:
        small = small[: len(small) // 2]
    content_type, encoding = exchange.content_type, {"content-encoding": "gzip"}
    await exchange.send_at_once(small, content_type=content_type, headers=encoding)


def _much_of_nothing() -> tuple[bytes, "zlib._Compress"]:
    """A line of spaces, which means nothing in JSON nor in a stream, and how to go on from it."""
    begun, compressor = _bomb()
    return begun, compressor.copy()


@cache
def _bomb() -> tuple[bytes, "zlib._Compress"]:
    compressor = zlib.compressobj(1, wbits=GZIP)
    return compressor.compress(b" " * (BOMB - 1) + b"\n"), compressor


found, bad_gateway = partial(page, status=200), partial(page, status=502)
huge_error = partial(huge, status=500)
compressed_cut, compressed_bomb = partial(compressed, cut=True), partial(compressed, bomb=True)
