"""What a part of the work costs: processor time, that of the main thread, and time that passes."""

import asyncio
import gc
import time
from collections.abc import Callable
from typing import NamedTuple

from orchestrator_peers.measuring import Figures, Run, Task


class Costs(NamedTuple):
    """Seconds of one run, by task and arm, one for each round."""

    cpu: Figures
    """Of this process, with all its threads."""
    beside: Figures
    """The part of it that is not the main thread's."""
    wall: Figures
    server: Figures
    """Processor time of the Postgres server, while it was this arm's turn."""


def no_costs() -> Costs:
    """Nothing yet."""
    return Costs(Figures(), Figures(), Figures(), Figures())


async def measure_round(
    number: int, task: Task, costs: Costs, server_cpu_s: Callable[[], float]
) -> None:
    """Let every arm do a task; each round begins with another arm.

    Args:
        number: Of the round.
        task: What is done.
        costs: Where the figures go.
        server_cpu_s: What the Postgres server has spent so far.
    """
    names = list(task.arms)
    first = number % len(names)
    for name in (*names[first:], *names[:first]):
        gc.collect()
        gc.disable()
        try:
            before = _clocks(server_cpu_s)
            await together(task.arms[name], task.runs, task.at_once)
            after = _clocks(server_cpu_s)
        finally:
            gc.enable()
        cpu, main, wall, server = ((b - a) / task.runs for a, b in zip(before, after, strict=True))
        costs.cpu.add(task.name, name, cpu)
        costs.beside.add(task.name, name, cpu - main)
        costs.wall.add(task.name, name, wall)
        costs.server.add(task.name, name, server)
        task.provider.calls.clear()
        task.clean()


async def together(run: Run, runs: int, at_once: int) -> None:
    """Do some runs, so many of them at once."""
    for _ in range(runs // at_once):
        await asyncio.gather(*(run() for _ in range(at_once)))


def _clocks(server_cpu_s: Callable[[], float]) -> tuple[float, float, float, float]:
    server = server_cpu_s()
    return time.process_time(), time.thread_time(), time.perf_counter(), server
