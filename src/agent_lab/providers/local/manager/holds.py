"""Which models stay because a debate is using them, turn by turn."""

from collections.abc import Callable
from dataclasses import dataclass, field

HOLD_S = 10.0
"""Seconds for which a debate's models stay after its last turn: the next one is on its way."""


@dataclass
class _Hold:
    models: set[str] = field(default_factory=set)
    turns: int = 0
    """That are being taken now."""
    until: float = 0.0
    """When it ends, if no further turn begins."""


class Holds:
    """The models of running debates: they do not swap each other's out between two turns.

    A hold is of all models of a run, and each of its turns renews it. A run that waits for memory
    takes no turn: two that wait for each other's models both lose their holds, and go on.

    Args:
        now: Seconds on some clock.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._runs: dict[str, _Hold] = {}

    def begin(self, run_id: str, key: str) -> None:
        """A run takes a turn with a model; without a name it is no run, and holds nothing."""
        if run_id:
            hold = self._runs.setdefault(run_id, _Hold())
            hold.models.add(key)
            hold.turns += 1

    def end(self, run_id: str) -> None:
        """A turn of a run is over."""
        self._forget_old_ones()
        if run_id:
            hold = self._runs[run_id]
            hold.turns -= 1
            hold.until = self._now() + HOLD_S

    def has(self, run_id: str, key: str) -> bool:
        """Whether a run holds a model."""
        return key in self.models(run_id)

    def models(self, run_id: str) -> frozenset[str]:
        """The models that a run holds, be they loaded or not."""
        hold = self._runs.get(run_id)
        return frozenset(hold.models if hold is not None and self._lasts(hold) else ())

    def held(self, key: str, but_by: str = "") -> bool:
        """Whether any run holds a model, but for one."""
        return any(
            key in hold.models and self._lasts(hold)
            for run_id, hold in self._runs.items()
            if run_id != but_by
        )

    def next_end(self) -> float | None:
        """When the next hold ends if nothing happens; None: none will."""
        ends = [h.until for h in self._runs.values() if not h.turns and self._lasts(h)]
        return min(ends, default=None)

    def _lasts(self, hold: _Hold) -> bool:
        return hold.turns > 0 or hold.until > self._now()

    def _forget_old_ones(self) -> None:
        for run_id in [name for name, hold in self._runs.items() if not self._lasts(hold)]:
            del self._runs[run_id]
