"""What every client runs: it takes orders on stdin, makes calls, and says what they cost.

An order and its answer are a line of JSON each. Needs nothing but Python, so that it runs in any
client's environment.
"""

import asyncio
import cProfile
import gc
import itertools
import json
import pstats
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, NamedTuple

from gateway_peers.texts import ANSWER, STREAMED, prompt

Ask = Callable[[str], Awaitable[str]]
TOP = 10
WAVES = 2
"""Calls that every worker makes at least, whatever the time."""


class Peer(NamedTuple):
    """A client that is ready to be called; it takes a prompt and gives the whole text."""

    generate: Ask
    stream: Ask
    note: str = ""
    """What it cannot do in this environment."""


class Order(NamedTuple):
    """What to measure."""

    in_flight: int
    seconds: float
    stream: bool = False
    paced: bool = False
    profile: bool = False


class Spent(NamedTuple):
    """What an order took."""

    calls: int
    """Those that were measured."""
    cpu_s: float
    """User and system time of this process."""
    all_calls: int
    """With those that warmed up: what a server saw."""
    profile: str = ""


def answer_orders(open_peer: Callable[[str], AbstractAsyncContextManager[Peer]]) -> None:
    """Open the client for the address in the first argument and take orders until stdin ends."""
    asyncio.run(_answer_orders(open_peer))


async def _answer_orders(open_peer: Callable[[str], AbstractAsyncContextManager[Peer]]) -> None:
    loop = asyncio.get_running_loop()
    numbers = itertools.count()
    async with open_peer(sys.argv[1]) as peer:
        _say({"note": peer.note})
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            spent = await _measure(peer, Order(**json.loads(line)), numbers)
            _say(spent._asdict())


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


async def _measure(peer: Peer, order: Order, numbers: "itertools.count[int]") -> Spent:
    ask, expected = (peer.stream, STREAMED) if order.stream else (peer.generate, ANSWER)

    async def call(paced: bool) -> None:
        text = await ask(prompt(next(numbers), paced))
        if text.strip() != expected.strip():
            raise ValueError(f"The client gave another text than the upstream's: {text[:200]!r}.")

    async def worker() -> int:
        made = 0
        while made < (1 if order.paced else WAVES) or time.perf_counter() < end:
            await call(order.paced)
            made += 1
        return made

    # Opens the connections that the measured calls find.
    await asyncio.gather(*(call(False) for _ in range(order.in_flight)))
    gc.collect()
    profiler = cProfile.Profile()
    end = time.perf_counter() + order.seconds
    before = _cpu_s()
    if order.profile:
        profiler.enable()
    made = sum(await asyncio.gather(*(worker() for _ in range(order.in_flight))))
    profiler.disable()
    spent = _cpu_s() - before
    table = _top(profiler, made) if order.profile else ""
    return Spent(made, spent, made + order.in_flight, table)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _top(profiler: cProfile.Profile, calls: int) -> str:
    """The functions with the most time of their own, one a line."""
    stats = pstats.Stats(profiler).get_stats_profile().func_profiles
    rows = sorted(stats.items(), key=lambda row: row[1].tottime, reverse=True)[:TOP]
    return "\n".join(
        f"{found.tottime / calls * 1e6:8.1f} us {_per_call(found.ncalls, calls):7.1f} times  "
        f"{'/'.join(Path(found.file_name).parts[-2:])}:{found.line_number} {name}"
        for name, found in rows
    )


def _per_call(counted: str, calls: int) -> float:
    return int(counted.partition("/")[0]) / calls
