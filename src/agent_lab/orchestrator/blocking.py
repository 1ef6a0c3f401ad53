"""Lets callers without an event loop use what is async."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from agent_lab.errors import ConfigurationError

Result = TypeVar("Result")


def run_blocking(
    name: str, instead: str, work: Callable[[], Coroutine[Any, Any, Result]]
) -> Result:
    """Run async work to its end in an event loop of its own.

    Args:
        name: The plain function that was called, for the message.
        instead: The async function for callers that have a loop.
        work: Starts the work.

    Raises:
        ConfigurationError: It was called inside a running event loop.
    """
    if _is_in_loop():
        raise ConfigurationError(
            f"`{name}` was called inside a running event loop.", hint=f"await {instead}(…)"
        )
    return asyncio.run(work())


def _is_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
