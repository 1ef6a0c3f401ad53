"""Tells the tasks of a call from all others of the event loop."""

import asyncio
import contextvars
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_IN_A_CALL = contextvars.ContextVar("_IN_A_CALL", default=False)


def in_a_call() -> contextvars.Context:
    """The context for a call: every task that it makes, and those of them, inherit it."""
    context = contextvars.copy_context()
    context.run(_IN_A_CALL.set, True)
    return context


@contextmanager
def tasks_of_calls() -> Iterator[list[asyncio.Task[Any]]]:
    """Collect the tasks that calls make meanwhile, and not those of a host in the same loop."""
    loop = asyncio.get_running_loop()
    made: list[asyncio.Task[Any]] = []
    before = loop.get_task_factory()

    def factory(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> Any:
        task: Any = (
            before(loop, work, **options) if before else asyncio.Task(work, loop=loop, **options)
        )
        if _IN_A_CALL.get():
            made.append(task)
        return task

    loop.set_task_factory(factory)
    try:
        yield made
    finally:
        loop.set_task_factory(before)
