"""Watching a run: what its log has, then what happens, by one and the same way."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime

from agent_lab.runs.events import TERMINAL, RunEvent
from agent_lab.runs.execution import Execution
from agent_lab.runs.executions import Executions
from agent_lab.runs.live import LiveReader, LiveRun
from agent_lab.runs.log import read_log

POLL_S = 0.5
"""How often it is looked what another process does with a run."""


async def follow_run(
    executions: Executions, run_id: str, after: int, now: Callable[[], datetime]
) -> AsyncGenerator[RunEvent, None]:
    """See `RunService.follow`."""
    while True:
        execution = executions.active.get(run_id)
        async with aclosing(_events(executions, run_id, after, execution, now)) as events:
            async for event in events:
                after = event.seq or after
                yield event
                if event.type in TERMINAL:
                    return
        if executions.is_closing:
            return  # another process has the rest
        if execution is not None:
            await _raise_if_broken(execution)
        elif run_id not in executions.active:
            await asyncio.sleep(POLL_S)


async def _events(
    executions: Executions,
    run_id: str,
    after: int,
    execution: Execution | None,
    now: Callable[[], datetime],
) -> AsyncGenerator[RunEvent, None]:
    """What the log has, and then, as long as the run is executed here, what happens."""
    live = LiveRun(run_id, now) if execution is None else execution.live
    with LiveReader(live, after) as reader:
        while True:
            if reader.has_missed:
                reader.before_reading()
                if execution is not None and not live.is_over:
                    await execution.journal.commit()  # even the run itself may not be there
                log = read_log(await executions.store.rows(run_id))
                reader.catch_up(log.served(reader.after))
            was_over = execution is None or live.is_over or executions.is_closing
            for event in reader.news():
                yield event
            if was_over:
                return
            await reader.wait(POLL_S)


async def _raise_if_broken(execution: Execution) -> None:
    """Say that a run broke off, to those who watch it."""
    await asyncio.wait({execution.done})
    execution.done.result()
