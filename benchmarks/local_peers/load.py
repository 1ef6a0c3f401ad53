"""The calls that arms are measured with: all of other prompts, all as long as they may be."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import psutil

Chat = list[dict[str, str]]

GREEDY = {"temperature": 0.0, "top_p": 1.0, "top_k": 1}
"""As the strategy `greedy` has it: all arms write the same."""


class Answer(NamedTuple):
    """What one call came to."""

    tokens: int
    decode_s: float


Ask = Callable[[Chat, int, int], Awaitable[Answer]]
"""Makes a call: messages, longest answer in tokens, number of the call."""


class Written(NamedTuple):
    """What some calls came to."""

    tokens: int
    """Really written."""
    seconds: float
    """From the first call to the end of the last one: reading the prompts is in it."""
    decode_s: float
    """Of writing alone, as the engine says, of all calls together."""
    cpu_s: float
    """Processor time of the child meanwhile, of all its threads."""


def chat(number: int) -> Chat:
    """A chat that no other number has, and whose answer even the smallest model does not end.

    Asked to count, it soon stops.
    """
    # Reversed: numbers that follow each other differ in their first digit, and nothing is reused.
    system = f"{str(number)[::-1]} is your number. You write long stories."
    user = f"Write a long story about a ship with {number} sailors."
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


async def write(ask: Ask, *, at_once: int, tokens: int, first: int) -> dict[str, Any]:
    """Make calls, all at once.

    Args:
        ask: Makes one.
        at_once: How many.
        tokens: The longest answer.
        first: The number of the first call.

    Returns:
        The fields of `Written`.
    """
    gc.collect()
    cpu, started = _processor_s(), time.perf_counter()
    calls = (ask(chat(number), tokens, number) for number in range(first, first + at_once))
    answers = await asyncio.gather(*calls)
    seconds, cpu_s = time.perf_counter() - started, _processor_s() - cpu
    written, decode_s = (sum(part) for part in zip(*answers, strict=True))
    return Written(int(written), seconds, decode_s, cpu_s)._asdict()


def _processor_s() -> float:
    """Processor time of this process, and of those that it runs models in."""
    own = psutil.Process()
    times = [process.cpu_times() for process in (own, *own.children(recursive=True))]
    return sum(spent.user + spent.system for spent in times)
