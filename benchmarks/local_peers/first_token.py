"""How long each role of a debate waits for its first token, with and without what was read before.

The prompts are those of a real run of the lab. In each round they get another first word, so that
the first role finds nothing.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator_peers.measuring import Ratio
from orchestrator_peers.tables import head, row, told

from local_peers.children import Child, Children
from local_peers.setting import Bench, Gate, Model, at_least, at_most, rotated

REUSE, COLD = "reuse", "cold"
SLOTS = 1
CONTEXT = 4096
GATED = "refiner"
MOST_TIMES_NEW = 1.3
LEAST_FOUND = 0.6
SALTS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

Turn = Mapping[str, Any]
Reading = Mapping[str, float]
"""As `Bare.read` gives it."""


class Readings:
    """What was measured of the debate of one model.

    Args:
        turns: Of the lab's own run.
    """

    def __init__(self, turns: Sequence[Turn]) -> None:
        self.turns = turns
        self.rounds: dict[str, dict[str, list[Reading]]] = {
            turn["role"]: {REUSE: [], COLD: []} for turn in turns
        }

    def median(self, role: str, arm: str, what: str) -> float:
        """One of the figures of a reading."""
        return statistics.median(reading[what] for reading in self.rounds[role][arm])

    def found(self, role: str) -> float:
        """The share of a prompt that was found computed."""
        arm = self.rounds[role][REUSE]
        return statistics.median(1 - reading["new"] / reading["all"] for reading in arm)

    def times_new(self, role: str) -> Ratio:
        """What reading took, in relation to the share of the cold time that new tokens are."""
        pairs = zip(self.rounds[role][REUSE], self.rounds[role][COLD], strict=True)
        ratios = [
            reuse["prompt_ms"] / (cold["prompt_ms"] * reuse["new"] / reuse["all"])
            for reuse, cold in pairs
        ]
        return Ratio(statistics.median(ratios), min(ratios), max(ratios))


class FirstToken:
    """Times to the first token, by model, role and arm.

    Args:
        bench: What is measured.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._of: dict[str, Readings] = {}

    def measure(self) -> "FirstToken":
        """Measure all models, one after the other.

        Raises:
            BenchmarkError: A child failed, or no debate came about.
        """
        for model in self._bench.models:
            with Children(self._bench) as children:
                lab = children.ours(model, slots=SLOTS, context=CONTEXT)
                tokens = self._bench.extent.debate_tokens
                debate = lab.order("debate", tokens=tokens)
            readings = self._of[model.key] = Readings(debate["turns"])
            with Children(self._bench) as children:
                # Each has a slot of its own: what one has read, the other does not find.
                arms = {name: self._arm(children, model) for name in (REUSE, COLD)}
                for number in range(self._bench.extent.rounds):
                    _round(readings, arms, number)
        return self

    def _arm(self, children: Children, model: Model) -> Child:
        return children.bare(model, slots=SLOTS, context=CONTEXT)

    def text(self) -> Iterator[str]:
        """One table."""
        yield "The prompts of one run of `challenge`, read by the engine with one slot: in their"
        yield "order with what was read before, and each anew. `times new` is the time with reuse"
        yield "over the part of the cold time that falls to the new tokens; `found`: computed."
        yield ""
        times = ("prompt ms, reuse", "cold", "first token ms, reuse", "cold", "times new")
        columns = ("new tokens", "all", "found", "found in the lab's run")
        yield from head("model", "role", *columns, *times)
        for model in self._bench.models:
            of = self._of[model.key]
            for turn in of.turns:
                role = turn["role"]
                sizes = (f"{of.median(role, REUSE, part):.0f}" for part in ("new", "all"))
                shares = (f"{of.found(role):.0%}", f"{turn['cached'] / turn['prompt']:.0%}")
                spent = (
                    f"{of.median(role, arm, what):.0f}"
                    for what in ("prompt_ms", "first_ms")
                    for arm in (REUSE, COLD)
                )
                yield row(model.key, role, *sizes, *shares, *spent, told(of.times_new(role)))

    def gates(self) -> Iterator[Gate]:
        """The last role reads what is new, and most is not."""
        for key, of in self._of.items():
            what = f"{key}, {GATED}: time with reuse / the new tokens' part of the cold time"
            yield at_most(what, of.times_new(GATED).median, MOST_TIMES_NEW)
            yield at_least(f"{key}, {GATED}: found / all", of.found(GATED), LEAST_FOUND)

    def as_json(self) -> Any:
        """All figures, those of every round, too."""
        return {key: of.rounds for key, of in self._of.items()}


def _round(readings: Readings, arms: Mapping[str, Child], number: int) -> None:
    for turn in readings.turns:
        messages = _salted(turn["messages"], SALTS[number % len(SALTS)] * 2 + str(number))
        for name, arm in rotated([*arms.items()], number):
            reading = arm.order("read", messages=messages, cached=name == REUSE)
            readings.rounds[turn["role"]][name].append(reading)


def _salted(messages: Sequence[Mapping[str, str]], salt: str) -> list[dict[str, str]]:
    first, *others = messages
    return [{**first, "content": f"{salt} {first['content']}"}, *map(dict, others)]
