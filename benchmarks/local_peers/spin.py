"""How long the engine's threads should wait actively: on idle cores, and on busy ones."""

import statistics
from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple

from orchestrator_peers.tables import head, row

from local_peers.children import OUR_SPIN, Child, Children, NoEndError, busy
from local_peers.load import Written
from local_peers.setting import Bench, Gate, Model, rotated

OURS = "GOMP_SPINCOUNT=1000"
SETTINGS = {"OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"}, OURS: OUR_SPIN, "none": {}}
"""Variables of the child; with none of them they wait as the library likes."""
AT_ONCE = (1, 4)
SLOTS = max(AT_ONCE)
CONTEXT = 1024


class Case(NamedTuple):
    """A row of the table."""

    model: Model
    busy: int
    """Loops beside."""
    at_once: int


class Spin:
    """Tokens per second by case and setting.

    Args:
        bench: What is measured.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._speeds: dict[Case, dict[str, list[float]]] = {}
        self._without_end: set[tuple[Case, str]] = set()
        self._numbers = count(1001, 101)

    def measure(self) -> "Spin":
        """Measure all models, one after the other.

        Raises:
            BenchmarkError: A child failed.
        """
        for model in self._bench.models:
            with Children(self._bench) as children:
                arms: dict[str, Child] = {}
                for number in range(self._bench.extent.spin_rounds):
                    for loops in self._loads():
                        # Started while it is quiet.
                        for name in SETTINGS.keys() - arms.keys():
                            arms[name] = children.bare(
                                model, slots=SLOTS, context=CONTEXT, spin=SETTINGS[name]
                            )
                        with busy(loops):
                            self._load(model, loops, arms, number)
        return self

    def _loads(self) -> tuple[int, ...]:
        cores = self._bench.threads
        return (0, cores, cores + 1) if self._bench.extent.most_busy else (0, cores)

    def _load(self, model: Model, loops: int, arms: dict[str, Child], number: int) -> None:
        """Measure all settings beside so many loops; one that has no end loses its child."""
        for at_once in AT_ONCE:
            case = Case(model, loops, at_once)
            self._speeds.setdefault(case, {name: [] for name in SETTINGS})
            first = next(self._numbers)
            for name in rotated([*SETTINGS], number):
                if name not in arms:
                    self._without_end.add((case, name))
                if (case, name) not in self._without_end:
                    self._cell(case, name, arms, first)

    def _cell(self, case: Case, name: str, arms: dict[str, Child], first: int) -> None:
        limit_s = self._bench.extent.spin_limit_s
        wanted = {"at_once": case.at_once, "tokens": case.model.tokens // 2, "first": first}
        try:
            done = arms[name].order("write", limit_s=limit_s, **wanted)
        except NoEndError:
            del arms[name]
            self._without_end.add((case, name))
        else:
            written = Written(**done)
            self._speeds[case][name].append(written.tokens / written.seconds)

    def text(self) -> Iterator[str]:
        """One table."""
        yield f"The engine by hand with {self._bench.threads} threads, beside loops that keep cores"
        yield f"busy. {OURS} is ours; `none`: neither variable is set."
        yield ""
        speeds = (f"{name}, tokens/s" for name in SETTINGS)
        yield from head("model", "busy loops", "at once", *speeds, "ours / best")
        for case in self._speeds:
            cells = (self._told(case, name) for name in SETTINGS)
            best = max(self._speed(case, name) for name in SETTINGS)
            share = f"{self._speed(case, OURS) / best:.2f}" if best else "-"
            yield row(case.model.key, case.busy, case.at_once, *cells, share)

    def gates(self) -> Iterator[Gate]:
        """None."""
        return iter(())

    def as_json(self) -> Any:
        """All figures, those of every round, too; an empty list: no end."""
        return [
            {
                "model": case.model.key,
                "busy_loops": case.busy,
                "at_once": case.at_once,
                "tokens_per_second": speeds,
                "without_end": [name for name in SETTINGS if (case, name) in self._without_end],
            }
            for case, speeds in self._speeds.items()
        ]

    def _speed(self, case: Case, name: str) -> float:
        """Tokens a second; 0: no end, were it in one round only."""
        if (case, name) in self._without_end:
            return 0.0
        return statistics.median(self._speeds[case][name])

    def _told(self, case: Case, name: str) -> str:
        if (case, name) in self._without_end:
            return f"no end in {self._bench.extent.spin_limit_s:g} s"
        return f"{self._speed(case, name):.1f}"
