"""Rounds in which every arm has its turn: a change of the machine's speed hits all alike."""

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from math import inf
from typing import NamedTuple, TypeAlias

from agent_lab.providers.base import ProviderCall
from agent_lab.providers.local.scripted_provider import ScriptedProvider

Run: TypeAlias = Callable[[], Awaitable[str]]
"""One run of an arm; it gives the answer."""

LANGGRAPH = "LangGraph"
OURS = "ours, `run_flow`"
OURS_RECORDED = "ours, `RunService`"
PLAIN = "asyncio"


class BenchmarkError(Exception):
    """The figures would not be comparable."""


class Task(NamedTuple):
    """One thing that every arm does."""

    group: str
    arms: Mapping[str, Run]
    provider: ScriptedProvider
    """Who answers all arms."""
    turns: int
    """Of one run."""
    runs: int
    """In one timed part."""
    size: int = 0
    """What grows from task to task of a group; 0: nothing."""
    at_once: int = 0
    """How many runs are begun together; 0: one is awaited after the other."""
    clean: Callable[[], object] = lambda: None
    """Takes away what a timed part leaves behind."""

    @property
    def name(self) -> str:
        """The group, and the size if there is one."""
        return f"{self.group}, {self.size}" if self.size else self.group


class Ratio(NamedTuple):
    """How two figures relate in the same rounds."""

    median: float
    least: float
    most: float


class Figures:
    """Seconds of processor time of one run, by task and arm, one for each round."""

    def __init__(self) -> None:
        self.rounds: dict[str, dict[str, list[float]]] = {}

    def add(self, task: str, arm: str, seconds: float) -> None:
        """Take in what an arm spent in a round."""
        self.rounds.setdefault(task, {}).setdefault(arm, []).append(seconds)

    def median(self, task: str, arm: str) -> float:
        """Seconds of one run."""
        return statistics.median(self.rounds[task][arm])

    def ratio(self, one: tuple[str, str], other: tuple[str, str]) -> Ratio:
        """What one arm costs in relation to another; each is a task's name and an arm's."""
        pairs = zip(self.rounds[one[0]][one[1]], self.rounds[other[0]][other[1]], strict=True)
        ratios = [a / b for a, b in pairs]
        return Ratio(statistics.median(ratios), min(ratios), max(ratios))


async def check_calls(task: Task) -> None:
    """Let every arm run once, and see that all ask the same. This warms up, too.

    Raises:
        BenchmarkError: An arm asks something else than the others, or gives no answer.
    """
    asked: dict[str, list[ProviderCall]] = {}
    for name, run in task.arms.items():
        task.provider.calls.clear()
        if not await run():
            raise BenchmarkError(f"{task.name}: {name} gives no answer.")
        asked[name] = sorted(map(_what_is_asked, task.provider.calls), key=repr)
    first, *others = asked
    for name in others:
        if asked[name] != asked[first]:
            raise BenchmarkError(
                f"{task.name}: {name} asks something else than {first}.\n"
                + _difference(asked[name], asked[first])
            )
    if len(asked[first]) != task.turns:
        raise BenchmarkError(f"{task.name}: {len(asked[first])} turns instead of {task.turns}.")


def _what_is_asked(call: ProviderCall) -> ProviderCall:
    """A call without for whom it is, and until when: each run has a name and a time of its own.

    Without its seed, too: a group of ours gives each member one of its own.
    """
    params = {name: value for name, value in call.params.items() if name != "seed"}
    return call._replace(run_id="", deadline=inf, params=params)


async def measure_round(number: int, tasks: Sequence[Task], figures: Figures) -> None:
    """Let every arm do every task; each round begins with another arm."""
    for task in tasks:
        for name in _rotated(list(task.arms), number):
            figures.add(task.name, name, await _cpu_s(task, task.arms[name]))
            task.provider.calls.clear()
            task.clean()


async def _cpu_s(task: Task, run: Run) -> float:
    """Processor time of one run, from as many as the task says."""
    gc.collect()
    gc.disable()
    try:
        before = time.process_time()
        if task.at_once:
            for _ in range(task.runs // task.at_once):
                await asyncio.gather(*(run() for _ in range(task.at_once)))
        else:
            for _ in range(task.runs):
                await run()
        return (time.process_time() - before) / task.runs
    finally:
        gc.enable()


def _rotated(names: list[str], number: int) -> Iterator[str]:
    for index in range(len(names)):
        yield names[(index + number) % len(names)]


def _difference(one: Sequence[ProviderCall], other: Sequence[ProviderCall]) -> str:
    for first, second in zip(one, other, strict=False):
        if first != second:
            return f"{_shown(first)}\n{_shown(second)}"
    return f"{len(one)} calls, {len(other)} calls"


def _shown(call: ProviderCall) -> str:
    return repr((call.role, call.messages, dict(call.params)))
