"""Local models in memory, and which would fit. Memory is in GB (10^9 bytes)."""

from typing import Literal

from agent_lab.contracts.base import Contract

Fits = Literal["now", "after_unload", "never"]


class LoadedModel(Contract):
    """A local model that is in memory, or on its way there or out."""

    key: str
    state: Literal["loading", "ready", "unloading"]
    need_gb: float
    """What it takes at the most."""
    context: int
    """Tokens of prompt and answer that each slot holds."""
    slots: int
    """Calls that it answers at the same time."""
    in_use: int
    """Calls that it answers, or that wait for one of its slots."""
    held: bool
    """Whether it belongs to a running debate, and stays between two turns."""
    pinned: bool
    """Whether it stays when nobody uses it for long; room for another is made all the same."""
    idle_s: float
    """Seconds since it was last used; 0 while it is."""


UnloadReason = Literal["room", "idle", "asked", "ended"]
"""Another model needed its room, nobody used it for long, somebody said so, or its engine ended."""


class ModelTraffic(Contract):
    """How often a local model came and went since the process began."""

    key: str
    loads: int
    load_seconds: float
    """Of all loads together."""
    unloads: dict[UnloadReason, int]


class ModelFit(Contract):
    """Whether a local model fits into the memory that models may take."""

    fits: Fits
    """`after_unload`: once others are gone."""
    need_gb: float
    """With one slot."""
    slots: int = 0
    """Calls that it could answer at the same time; 0: it never fits."""
    limit_gb: float
    """What all local models may take together."""
    spare_gb: float
    """What of that nobody takes now."""
