"""Ctrl-C: the first one ends a command in order, a second one at once."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn, TypeVar

from agent_lab.cli.outputs import INTERRUPTED, say

Result = TypeVar("Result")

PATIENCE_S = 1.0
"""How long an orderly end may take before it is said that there is another one."""


def run_interruptible(
    main: Coroutine[Any, Any, Result], last_words: Callable[[], str] | None = None
) -> Result:
    """Run a coroutine as `asyncio.run` does; a second Ctrl-C waits for nothing any more.

    Args:
        main: What is run; a first Ctrl-C cancels it.
        last_words: What a second Ctrl-C leaves behind; None: nothing worth saying.

    Raises:
        KeyboardInterrupt: Ctrl-C, once everything was closed.
    """
    before = signal.getsignal(signal.SIGINT)

    async def interruptible() -> Result:
        _listen(last_words)
        return await main

    try:
        return asyncio.run(interruptible())
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


def _listen(last_words: Callable[[], str] | None) -> None:
    in_order = signal.getsignal(signal.SIGINT)
    if not callable(in_order):
        return  # it is ignored: a job in the background
    loop = asyncio.get_running_loop()

    def first(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, second)
        with suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(loop.call_later, PATIENCE_S, say, _STOPPING)
        in_order(number, frame)

    def second(number: int, frame: FrameType | None) -> NoReturn:
        say(f"Interrupted. {'' if last_words is None else last_words()}")
        # Whoever presses it twice has seen that an end in order does not come.
        os._exit(INTERRUPTED)

    signal.signal(signal.SIGINT, first)


_STOPPING = "It is being stopped in order; another Ctrl-C ends it at once."
