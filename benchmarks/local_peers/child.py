"""What every child runs: it takes orders on stdin, carries them out, and says what came of it.

An order and its answer are a line of JSON each. The child ends when stdin does, whatever it is at.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from threading import Thread
from typing import Any, NamedTuple

SPIN_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
"""How long an engine's threads wait actively."""


class Arm(NamedTuple):
    """A model that is ready to be asked."""

    facts: Mapping[str, Any]
    """What it says of itself."""
    does: Mapping[str, Callable[..., Awaitable[Mapping[str, Any]]]]
    """What it can be ordered to do, by name."""


def answer_orders(open_arm: Callable[[dict[str, Any]], Awaitable[Arm]]) -> None:
    """Open the arm that the first argument describes, and take orders until stdin ends."""
    asyncio.run(_answer_orders(open_arm))


async def _answer_orders(open_arm: Callable[[dict[str, Any]], Awaitable[Arm]]) -> None:
    orders: asyncio.Queue[str] = asyncio.Queue()
    reader = (asyncio.get_running_loop(), orders)
    Thread(target=_read_orders, args=reader, daemon=True).start()
    arm = await open_arm(json.loads(sys.argv[1]))
    spin = {name: os.environ[name] for name in SPIN_VARIABLES if name in os.environ}
    _say({"spin": spin, **arm.facts})
    while True:
        order = json.loads(await orders.get())
        _say(await arm.does[order.pop("do")](**order))


def _read_orders(loop: asyncio.AbstractEventLoop, orders: "asyncio.Queue[str]") -> None:
    for line in sys.stdin:
        loop.call_soon_threadsafe(orders.put_nowait, line)
    # An engine that does not come to an end does not hear of one.
    os._exit(0)


def _say(answer: Mapping[str, Any]) -> None:
    print(json.dumps(answer), flush=True)
