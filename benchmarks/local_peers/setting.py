"""What is measured, how much of it, and what every section gives."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

T = TypeVar("T")

LARGE_FILE = 300_000_000
"""Bytes of weights from which answers are shorter: the model is slow enough to be timed so."""

BANDWIDTH_TRIES, BANDWIDTH_BYTES = 20, 1 << 30
"""More of both than advice needs: here ratios stand on it."""


class Extent(NamedTuple):
    """How much is measured."""

    rounds: int
    answer_tokens: tuple[int, int]
    """Of an answer: of a small model, and of a large one."""
    least_calls: int
    """That an arm makes in a round, however few at once: short waves, arms in turn."""
    debate_tokens: int
    """The longest answer of a role."""
    spin_rounds: int
    spin_limit_s: float
    """After which a cell has no end."""
    most_busy: bool
    """Whether the spin-wait settings also meet more busy loops than there are cores."""


FULL = Extent(5, (64, 32), 8, 96, spin_rounds=3, spin_limit_s=60.0, most_busy=True)
QUICK = Extent(1, (16, 8), 2, 24, spin_rounds=1, spin_limit_s=5.0, most_busy=False)


class Model(NamedTuple):
    """A model that is measured."""

    key: str
    weights: Path
    bytes: int
    """Of the file: what is read for each token that one call alone writes."""
    tokens: int
    """Of an answer."""


class Bench(NamedTuple):
    """Everything that a section needs."""

    models: Sequence[Model]
    extent: Extent
    threads: int
    """Of every engine: the cores that this process may use."""
    bandwidth: float
    """Bytes a second that they read from memory when it all began."""
    folder: Path
    """The children's own."""


class Gate(NamedTuple):
    """A bound, and what was found."""

    what: str
    found: float
    bound: float
    holds: bool


def at_least(what: str, found: float, bound: float) -> Gate:
    """A gate that what was found must reach."""
    return Gate(f"{what}, at least", found, bound, found >= bound)


def at_most(what: str, found: float, bound: float) -> Gate:
    """A gate that what was found must not pass."""
    return Gate(f"{what}, at most", found, bound, found <= bound)


class Section(Protocol):
    """What was measured of one thing."""

    def text(self) -> Iterator[str]:
        """It, as Markdown."""

    def gates(self) -> Iterator[Gate]:
        """What of it must hold."""

    def as_json(self) -> Any:
        """All figures, those of every round, too."""


def rotated(items: Sequence[T], number: int) -> list[T]:
    """The items, beginning with another one in each round."""
    start = number % len(items)
    return [*items[start:], *items[:start]]
