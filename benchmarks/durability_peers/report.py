"""What the benchmark says: Markdown tables, the gates, and the same as JSON."""

import os
import platform
import shlex
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

from orchestrator_peers.measuring import LANGGRAPH, Figures, Task
from orchestrator_peers.tables import head, microseconds, row, told

from durability_peers.arms import JOURNALLED, NOT_KEPT, ON_SQLITE, SQLITE_SAVER
from durability_peers.timing import Costs
from durability_peers.workloads import FAN_OUT, THREE_TURNS

LIBRARIES = (
    "ai-agent-lab-v3",
    "langgraph",
    "langgraph-checkpoint-sqlite",
    "langgraph-checkpoint-postgres",
    "sqlalchemy",
    "psycopg",
)
MOST_TIMES_BARE = 1.5
LEAST_TIMES_CHEAPER = 2.5
MOST_KILOBYTES = 8.0


class Sizes(NamedTuple):
    """Bytes of runs of three turns."""

    runs: int
    """On how many this is grounded."""
    per_run: dict[str, float]
    """By arm."""
    tables: Sequence[tuple[str, float, float]]
    """Of ours on SQLite: table or index, bytes of a run, how full its pages are."""


class Results(NamedTuple):
    """All that was measured."""

    costs: Costs
    tasks: Sequence[Task]
    sizes: Sizes
    without: str
    """Why there is no Postgres; empty: there is."""


class Gate(NamedTuple):
    """A bound, and what was found."""

    what: str
    found: float
    bound: float
    holds: bool


def gates(results: Results) -> Iterator[Gate]:
    """What must hold."""
    crowd, cpu = THREE_TURNS.format(20), results.costs.cpu
    for name in (crowd, FAN_OUT):
        for kept, bare in ((JOURNALLED, LANGGRAPH), (ON_SQLITE, NOT_KEPT)):
            found = cpu.ratio((name, kept), (name, bare)).median
            what = f"{name}: {kept} / {bare}, at most"
            yield Gate(what, found, MOST_TIMES_BARE, found <= MOST_TIMES_BARE)
    saver, journal = (
        cpu.median(crowd, kept) - cpu.median(crowd, LANGGRAPH)
        for kept in (SQLITE_SAVER, JOURNALLED)
    )
    what = f"{crowd}: what {SQLITE_SAVER} adds / what {JOURNALLED} adds, at least"
    found = saver / journal
    yield Gate(what, found, LEAST_TIMES_CHEAPER, found >= LEAST_TIMES_CHEAPER)
    found = results.sizes.per_run[ON_SQLITE] / 1000
    yield Gate("kB of a run in the SQLite file, at most", found, MOST_KILOBYTES, found <= 8.0)


def text(results: Results) -> Iterator[str]:
    """Everything, as Markdown."""
    about = circumstances()
    yield f"`{about.pop('command')}`: processor time of this process with all its threads, medians"
    yield "(least to most) of the rounds. Ours is complete: checks, log, journal, record and its"
    yield "file. Files and databases are in memory if there is such a folder; the Postgres server"
    yield "writes nothing through."
    yield f"{', '.join(f'{name} {value}' for name, value in about.items())}."
    if results.without:
        yield f"Without Postgres: {results.without}"
    for task in results.tasks:
        yield from ("", *_costs(results.costs, task))
    yield from ("", *_keeping(results), "", *_sizes(results.sizes), "", *verdicts(results))


def verdicts(results: Results) -> Iterator[str]:
    """One line for each gate."""
    for gate in gates(results):
        word = "pass" if gate.holds else "FAIL"
        yield f"- {word}: {gate.what} {gate.bound:g}: {gate.found:.2f}"


def _costs(costs: Costs, task: Task) -> Iterator[str]:
    """A table for one task."""
    columns = ("us a run", "in other threads", "server", "ms that pass", "CPU / LangGraph")
    yield from head(f"{task.name}, {task.turns} turns", *columns, "time / LangGraph")
    for arm in task.arms:
        here, bare = (task.name, arm), (task.name, LANGGRAPH)
        spent = (
            microseconds(part.median(*here)) for part in (costs.cpu, costs.beside, costs.server)
        )
        passes = f"{costs.wall.median(*here) * task.at_once * 1e3:.1f}"
        times = (told(part.ratio(here, bare)) for part in (costs.cpu, costs.wall))
        yield row(arm, *spent, passes, *times)


def _keeping(results: Results) -> Iterator[str]:
    """What ours and a saver cost more than the same without keeping anything."""
    arms = ((JOURNALLED, LANGGRAPH), (ON_SQLITE, NOT_KEPT), (SQLITE_SAVER, LANGGRAPH))
    columns = [f"{kept} / {bare}" for kept, bare in arms]
    more = [f"{kept}, us a turn more" for kept, _ in arms]
    yield from head("what keeping costs", *columns, *more, "saver / journal")
    cpu = results.costs.cpu
    for task in results.tasks:
        pairs = [((task.name, kept), (task.name, bare)) for kept, bare in arms]
        times = [told(cpu.ratio(kept, bare)) for kept, bare in pairs]
        extra = [(cpu.median(*kept) - cpu.median(*bare)) / task.turns for kept, bare in pairs]
        yield row(task.name, *times, *map(microseconds, extra), f"{extra[2] / extra[0]:.1f}")


def _sizes(sizes: Sizes) -> Iterator[str]:
    yield from head(f"growth of the database in {sizes.runs} runs of 3 turns of 1 kB", "kB a run")
    for arm, size in sizes.per_run.items():
        yield row(arm, f"{size / 1000:.2f}")
    if sizes.tables:
        yield ""
        yield from head(f"{ON_SQLITE}: table or index", "kB a run", "pages are full by")
        for name, size, full in sizes.tables:
            yield row(name, f"{size / 1000:.2f}", f"{full:.0%}")


def circumstances() -> dict[str, str]:
    """On what the figures were measured."""
    return {
        "command": shlex.join(["python", *sys.argv]),
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load": f"{os.getloadavg()[0]:.1f} when it ended",
    }


def as_json(results: Results) -> Any:
    """All figures, those of every round, too."""
    parts: dict[str, Figures] = results.costs._asdict()
    return {
        **circumstances(),
        "unit": "seconds of one run, for each round",
        **{name: figures.rounds for name, figures in parts.items()},
        "turns": {task.name: task.turns for task in results.tasks},
        "bytes_of_a_run": results.sizes.per_run,
        "bytes_of_a_run_by_table": {name: size for name, size, _ in results.sizes.tables},
        "gates": [gate._asdict() for gate in gates(results)],
    }
