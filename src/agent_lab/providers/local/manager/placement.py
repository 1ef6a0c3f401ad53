"""Whether a model fits beside those that are loaded, and which of them go to make room. Pure."""

from collections.abc import Sequence
from typing import Literal, NamedTuple


class Resident(NamedTuple):
    """A model that takes memory."""

    key: str
    need: int
    """Bytes that it takes at the most."""
    used_at: float
    """When it was last used."""
    stays: bool = False
    """Whether it is in use, or belongs to a running debate: it does not go."""
    own: bool = False
    """Whether it belongs to the debate that asks for room: it goes last."""


class Option(NamedTuple):
    """One way to load a model."""

    slots: int
    need: int


class Placement(NamedTuple):
    """What can be done for a model now."""

    way: Literal["load", "evict", "wait", "never"]
    """`load` as `option` says; `evict` the model of this key, and look again; `wait` for those
    that are in use; `never`: with none of them here it would not fit.
    """
    option: Option | None = None
    evict: str = ""


def place(
    options: Sequence[Option], spare: int, residents: Sequence[Resident], reserve: int = 0
) -> Placement:
    """Decide what is done for a model that is to be loaded.

    Nothing goes while the model fits in any way, and nothing goes in vain: only if the least of
    the options fits once all that can go are gone. Who was not used for longest goes first.

    Args:
        options: The ways to load it, the best first, the smallest last.
        spare: Bytes that nobody takes.
        residents: Those that do.
        reserve: Bytes that other models of the same debate will want: a smaller option that leaves
            them is better than one after which they swap each other out at each turn.
    """
    option = best_option(options, spare - reserve) or best_option(options, spare)
    if option is not None:
        return Placement("load", option)
    least = options[-1].need
    if least > spare + sum(resident.need for resident in residents):
        return Placement("never")
    idle = [resident for resident in residents if not resident.stays]
    if least > spare + sum(resident.need for resident in idle):
        return Placement("wait")
    return Placement("evict", evict=min(idle, key=lambda r: (r.own, r.used_at)).key)


def best_option(options: Sequence[Option], most: int) -> Option | None:
    """The first of some options that needs no more than so many bytes; None: all need more."""
    return next((option for option in options if option.need <= most), None)
