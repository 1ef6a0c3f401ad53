"""What the benchmark says: Markdown tables, the aims, and the same as JSON."""

import os
import platform
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import groupby
from typing import Any, NamedTuple

from orchestrator_peers.building import (
    BY_HAND,
    CATALOGUE,
    CHECK,
    FIRST,
    PLAN,
    READ,
    SECOND,
    Definition,
)
from orchestrator_peers.measuring import LANGGRAPH, OURS, PLAIN, Figures, Ratio, Task
from orchestrator_peers.tables import head, microseconds, row, told
from orchestrator_peers.tasks import CHALLENGE, THREE_ROLES

AIM = 1.5
"""Times LangGraph."""
LIBRARIES = ("ai-agent-lab-v3", "langgraph", "langchain-core", "pydantic")
FLAT = 1.25
"""Growth of the cost of a turn that may be noise; above, it is told."""

Bytes = Mapping[int, Mapping[str, float]]
"""Of a live run, by runs at once and arm."""


class Results(NamedTuple):
    """All that was measured."""

    figures: Figures
    tasks: Sequence[Task]
    held: Bytes
    built: Mapping[str, Definition]

    def groups(self) -> Iterator[tuple[str, list[Task]]]:
        """The tasks by group."""
        for name, found in groupby(self.tasks, key=lambda task: task.group):
            yield name, list(found)


def circumstances() -> dict[str, str]:
    """On what the figures were measured."""
    return {
        "command": shlex.join(["python", *sys.argv]),
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load": f"{os.getloadavg()[0]:.1f} when it ended",
    }


def text(results: Results) -> Iterator[str]:
    """Everything, as Markdown."""
    about = circumstances()
    tasks = results.tasks
    most, least = (len(results.figures.rounds[task.name][OURS]) for task in (tasks[0], tasks[-1]))
    yield f"`{about.pop('command')}`: processor time, medians (least to most) of {most} rounds for"
    yield f"the first table, of {least} for the others;"
    yield f"{', '.join(f'{name} {value}' for name, value in about.items())}."
    yield from ("", *_arms(results), "", *_growth(results), "", *_crowds(results))
    yield from ("", *_building(results), "", *_verdicts(results))


def _arms(results: Results) -> Iterator[str]:
    yield from head("task", "arm", "us a run", "times LangGraph", "times asyncio")
    for task in results.tasks:
        if task.size:
            continue
        for arm in task.arms:
            times = [told(results.figures.ratio((task.name, arm), (task.name, LANGGRAPH)))]
            times += [told(results.figures.ratio((task.name, arm), (task.name, PLAIN)))]
            yield row(task.name, arm, microseconds(results.figures.median(task.name, arm)), *times)


def _growth(results: Results) -> Iterator[str]:
    columns = ("ours, us a turn", "LangGraph, us a turn", "ours / LangGraph")
    yield from head("task", "size", "turns", *columns)
    for task in (task for task in results.tasks if task.size and not task.at_once):
        ours, theirs = (_us_a_turn(results, task, arm) for arm in (OURS, LANGGRAPH))
        times = told(results.figures.ratio((task.name, OURS), (task.name, LANGGRAPH)))
        yield row(task.group, task.size, task.turns, ours, theirs, times)


def _crowds(results: Results) -> Iterator[str]:
    columns = ("ours / LangGraph", "ours, KB a live run", "LangGraph, KB", "ours / LangGraph")
    yield from head("runs at once", "ours, us a run", "LangGraph, us a run", *columns)
    for task in (task for task in results.tasks if task.at_once):
        ours, theirs = (
            microseconds(results.figures.median(task.name, arm)) for arm in (OURS, LANGGRAPH)
        )
        times = told(results.figures.ratio((task.name, OURS), (task.name, LANGGRAPH)))
        held = results.held[task.size]
        kilobytes = (f"{held[arm] / 1000:.1f}" for arm in (OURS, LANGGRAPH))
        yield row(task.size, ours, theirs, times, *kilobytes, f"{held[OURS] / held[LANGGRAPH]:.2f}")


def _building(results: Results) -> Iterator[str]:
    steps = ("read", "plan", "catalogue", "check", "compile", "first run pays")
    columns = (*(f"{step}, ms" for step in steps), "times by hand", "second run pays, us")
    yield from head("flow", "nodes", *columns)
    figures = results.figures
    for name, definition in results.built.items():
        read, first = figures.median(name, READ), figures.median(name, FIRST)
        parts = [figures.median(name, step) for step in (PLAN, CATALOGUE, CHECK)]
        # What is left of the whole; of three rounds it may be less than nothing.
        parts.append(max(0.0, first - sum(parts)))
        milliseconds = (f"{part * 1e3:.2f}" for part in (read, *parts, first))
        times = told(figures.ratio((name, FIRST), (name, BY_HAND)))
        second = f"{figures.median(name, SECOND) * 1e6:.1f}"
        yield row(name, definition.nodes, *milliseconds, times, second)


def _verdicts(results: Results) -> Iterator[str]:
    for name in (THREE_ROLES, CHALLENGE):
        found = results.figures.ratio((name, OURS), (name, LANGGRAPH)).median
        met = "met" if found <= AIM else "MISSED"
        yield f"- {met}: {name}, {OURS}: {found:.2f} of at most {AIM:g} times {LANGGRAPH}"
    for name, tasks in results.groups():
        if tasks[0].size:
            for small in dict.fromkeys((0, len(tasks) - 2)):
                yield _grown(results.figures, name, tasks[small], tasks[-1])


def _grown(figures: Figures, name: str, small: Task, large: Task) -> str:
    """How the cost of a turn grows; what a run costs but once makes it fall."""
    factors = {arm: growth(figures, small, large, arm) for arm in (OURS, LANGGRAPH)}
    grows = "flat" if factors[OURS].median <= FLAT else "GROWS"
    grown = "; ".join(f"{arm} {told(factor)}" for arm, factor in factors.items())
    return f"- {grows}: {name}, a turn at {large.size} as against {small.size}, times: {grown}"


def growth(figures: Figures, small: Task, large: Task, arm: str) -> Ratio:
    """The processor time of a turn of the large task, in relation to one of the small task."""
    found = figures.ratio((large.name, arm), (small.name, arm))
    return Ratio(*(factor * small.turns / large.turns for factor in found))


def as_json(results: Results) -> Any:
    """All figures, those of every round, too."""
    grown = {
        f"{large.name} / {small.name}": {
            arm: growth(results.figures, small, large, arm)._asdict() for arm in large.arms
        }
        for _, tasks in results.groups()
        for small, large in zip(tasks, tasks[1:], strict=False)
    }
    return {
        **circumstances(),
        "unit": "seconds of processor time of one run, for each round",
        "tasks": results.figures.rounds,
        "turns": {task.name: task.turns for task in results.tasks},
        "growth_of_a_turn": grown,
        "bytes_of_a_live_run": results.held,
    }


def _us_a_turn(results: Results, task: Task, arm: str) -> str:
    return microseconds(results.figures.median(task.name, arm) / task.turns)
