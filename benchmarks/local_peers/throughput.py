"""Tokens per second: the engine by hand, the lab with a reader, the lab without one."""

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from orchestrator_peers.measuring import Figures
from orchestrator_peers.tables import head, row, told

from agent_lab.providers.local.memory_bandwidth import memory_bandwidth
from local_peers.children import Child, Children
from local_peers.load import Written
from local_peers.setting import (
    BANDWIDTH_BYTES,
    BANDWIDTH_TRIES,
    Bench,
    Gate,
    Model,
    at_least,
    rotated,
)

BARE, LAB, UNREAD = "bare", "lab", "lab, unread"
ARMS = (BARE, LAB, UNREAD)
ONE_ALONE = (BARE, LAB)
"""Those that are compared with what the memory allows."""
LIMIT = "limit"
AT_ONCE = (1, 4, 8)
SLOTS = max(AT_ONCE)
CONTEXT = 1024
"""Of each slot: more than any of these chats takes, and little memory."""
LEAST_OF_BARE = 0.95


class Throughput:
    """Tokens per second by model, number of calls at once and arm.

    Args:
        bench: What is measured.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.speed, self.writing = Figures(), Figures()
        """Tokens a second: of all the time, and of the time that each call writes."""
        self.cpu_ms, self.full = Figures(), Figures()
        """Processor time a token; tokens written of those that were asked for."""
        self._numbers = count(1001, 101)

    def measure(self) -> "Throughput":
        """Measure all models, one after the other.

        Raises:
            BenchmarkError: A child failed, or the arms are not loaded alike.
        """
        for model in self._bench.models:
            with Children(self._bench) as children:
                arms = {BARE: children.bare(model, slots=SLOTS, context=CONTEXT)}
                for name in (LAB, UNREAD):
                    arms[name] = children.ours(
                        model, slots=SLOTS, context=CONTEXT, read_along=name == LAB
                    )
                for number in range(self._bench.extent.rounds):
                    limit = memory_bandwidth(BANDWIDTH_TRIES, BANDWIDTH_BYTES) / model.bytes
                    for figures in (self.speed, self.writing):
                        figures.add(_task(model, 1), LIMIT, limit)
                    for at_once in AT_ONCE:
                        self._cell(model, at_once, arms, number)
        return self

    def _cell(self, model: Model, at_once: int, arms: Mapping[str, Child], number: int) -> None:
        """Let every arm make the same calls, one wave of each after one of another."""
        task, waves = _task(model, at_once), max(1, self._bench.extent.least_calls // at_once)
        all_written: dict[str, list[Written]] = {name: [] for name in arms}
        for wave in range(waves):
            wanted = {"at_once": at_once, "tokens": model.tokens, "first": next(self._numbers)}
            for name, arm in rotated([*arms.items()], number + wave):
                all_written[name].append(Written(**arm.order("write", **wanted)))
        for name, written in all_written.items():
            total = Written(*(sum(part) for part in zip(*written, strict=True)))
            self.speed.add(task, name, total.tokens / total.seconds)
            # The first token of each answer comes with the prompt's last batch.
            self.writing.add(task, name, (total.tokens - waves * at_once) / total.decode_s)
            self.cpu_ms.add(task, name, total.cpu_s * 1e3 / total.tokens)
            self.full.add(task, name, total.tokens / (waves * at_once * model.tokens))

    def text(self) -> Iterator[str]:
        """Two tables."""
        yield "Tokens a second, reading the prompts of about 40 tokens included; and how full the"
        yield "answers are. `lab` hears every piece of an answer, `lab, unread` none."
        yield ""
        speeds = (f"{name}, tokens/s" for name in ARMS)
        ratios = (f"{LAB} / {BARE}", f"{UNREAD} / {BARE}")
        spent = f"CPU ms a token, {BARE} / {LAB} / unread"
        yield from head("model", "at once", *speeds, *ratios, spent, "full")
        for model, at_once, task in self._tasks():
            medians = (f"{self.speed.median(task, name):.1f}" for name in ARMS)
            times = (told(self.speed.ratio((task, name), (task, BARE))) for name in (LAB, UNREAD))
            spent = " / ".join(f"{self.cpu_ms.median(task, name):.1f}" for name in ARMS)
            full = min(self.full.median(task, name) for name in ARMS)
            yield row(model.key, at_once, *medians, *times, spent, f"{full:.0%}")
        yield ""
        yield from self._limits()

    def _limits(self) -> Iterator[str]:
        """What the memory allows one call, as each token needs all weights once."""
        only = (f"{name}, writing only" for name in ONE_ALONE)
        shares = (*(f"{name} / limit" for name in ONE_ALONE), *only)
        yield from head("one at a time", "GB/s", "MB of weights", "limit, tokens/s", *shares)
        for model in self._bench.models:
            task = _task(model, 1)
            limit = self.speed.median(task, LIMIT)
            found = (
                told(figures.ratio((task, name), (task, LIMIT)))
                for figures in (self.speed, self.writing)
                for name in ONE_ALONE
            )
            sizes = (f"{limit * model.bytes / 1e9:.1f}", f"{model.bytes / 1e6:.0f}")
            yield row(model.key, *sizes, f"{limit:.1f}", *found)

    def gates(self) -> Iterator[Gate]:
        """The lab keeps what the engine gives."""
        for _, _, task in self._tasks():
            found = self.speed.ratio((task, LAB), (task, BARE)).median
            yield at_least(f"{task}: {LAB} / {BARE}", found, LEAST_OF_BARE)

    def as_json(self) -> Any:
        """All figures, those of every round, too."""
        return {
            "tokens_per_second": self.speed.rounds,
            "tokens_per_second_of_writing": self.writing.rounds,
            "cpu_ms_per_token": self.cpu_ms.rounds,
            "written_of_wanted": self.full.rounds,
        }

    def _tasks(self) -> Iterator[tuple[Model, int, str]]:
        for model in self._bench.models:
            for at_once in AT_ONCE:
                yield model, at_once, _task(model, at_once)


def _task(model: Model, at_once: int) -> str:
    return f"{model.key}, {at_once} at once"
