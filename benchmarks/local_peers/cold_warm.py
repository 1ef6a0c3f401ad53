"""What the first answer of a process costs more than the second: the engine's import, the load."""

import statistics
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from orchestrator_peers.tables import head, row

from local_peers.children import Children
from local_peers.setting import Bench, Gate, Model

TOKENS = 8
CONTEXT = 1024
SLOTS = 1
CHUNK_BYTES = 1 << 24


class Start(NamedTuple):
    """One process; seconds."""

    process_s: float
    """Until Python has imported the lab and takes orders."""
    first_s: float
    second_s: float
    load_s: float
    """Of the first answer, as the lab says."""


class ColdWarm:
    """First and second answers, by model.

    Args:
        bench: What is measured.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._starts: dict[str, list[Start]] = {}

    def measure(self) -> "ColdWarm":
        """Start a process for each round and model.

        Raises:
            BenchmarkError: A child failed.
        """
        for model in self._bench.models:
            _into_page_cache(model)
        for _ in range(self._bench.extent.rounds):
            for model in self._bench.models:
                self._starts.setdefault(model.key, []).append(self._start(model))
        return self

    def _start(self, model: Model) -> Start:
        with Children(self._bench) as children:
            started = time.perf_counter()
            lab = children.ours(model, slots=SLOTS, context=CONTEXT, cold=True)
            process_s = time.perf_counter() - started
            first, second = (lab.order("time", tokens=TOKENS, number=n) for n in (1001, 2002))
        return Start(process_s, first["seconds"], second["seconds"], first["load_s"])

    def text(self) -> Iterator[str]:
        """One table."""
        yield f"Answers of {TOKENS} tokens in a fresh process, seconds. The file is in the page"
        yield "cache, and its sha256 known to be right."
        yield ""
        columns = ("first answer", "of it the load", "second answer", "first / second")
        yield from head("model", "start of the process", *columns)
        for key, starts in self._starts.items():
            parts = Start(*(statistics.median(part) for part in zip(*starts, strict=True)))
            ratio = statistics.median(start.first_s / start.second_s for start in starts)
            times = (parts.process_s, parts.first_s, parts.load_s, parts.second_s)
            yield row(key, *(f"{seconds:.2f}" for seconds in times), f"{ratio:.1f}")

    def gates(self) -> Iterator[Gate]:
        """None."""
        return iter(())

    def as_json(self) -> Any:
        """All figures, those of every round, too."""
        return {key: [start._asdict() for start in starts] for key, starts in self._starts.items()}


def _into_page_cache(model: Model) -> None:
    with model.weights.open("rb") as file:
        while file.read(CHUNK_BYTES):
            pass
