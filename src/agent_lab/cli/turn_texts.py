"""Words for one turn: who speaks, and what it took."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from agent_lab.contracts import Turn

WORTH_SAYING = 0.05
"""Seconds; less is shown as 0.0."""
REPAIR = "repair"
"""The end of the path of a turn that was asked once more for the same thing."""


class Speaker(NamedTuple):
    """Who speaks."""

    role: str
    """As the cast names it: with the nodes whose flow the turn is in."""
    draw: str
    """Which of several turns of the same role it is; empty: there are not several."""


def speaker(path: str, node_id: str, role: str) -> Speaker:
    """Find out who speaks.

    Args:
        path: Of the turn.
        node_id: Its node.
        role: Its role.
    """
    parts, place = _parts(path, node_id)
    _, bracket, number = parts[place].partition("[")
    again = " · asked once more" if parts[place + 1 :] == [REPAIR] else ""
    names = [*parts[:place], role]
    return Speaker(".".join(names).removeprefix("@"), f"{bracket}{number}{again}")


def node_path(path: str, node_id: str) -> str:
    """The path of the node that took a turn.

    Args:
        path: Of the turn.
        node_id: The node.
    """
    parts, place = _parts(path, node_id)
    return ".".join([*parts[:place], node_id])


def _parts(path: str, node_id: str) -> tuple[list[str], int]:
    """The parts of a path, and which of them is the node."""
    parts = path.split(".")
    own = [n for n, part in enumerate(parts) if part.partition("[")[0] == node_id]
    return parts, own[-1] if own else len(parts) - 1


def took(turn: "Turn") -> str:
    """One line: how long a turn took, where the time went, and how much was read and written."""
    if turn.cache_hit:
        amount = f"{turn.prompt_tokens} tokens read, {turn.completion_tokens} written"
        return f"{turn.seconds:.1f} s · from the answer cache ({amount} when a model was asked)"
    timings = turn.timings
    steps = [
        ("waited", timings.queue),
        ("load", timings.load_time),
        ("read prompt", timings.prefill),
        ("write", timings.decode),
    ]
    parts = ", ".join(
        f"{name} {seconds:.1f} s" for name, seconds in steps if seconds and seconds >= WORTH_SAYING
    )
    reused = f", {turn.cached_tokens} of them already computed" if turn.cached_tokens else ""
    return (
        f"{turn.seconds:.1f} s"
        + (f" ({parts})" if parts else "")
        + f" · {turn.prompt_tokens} tokens read{reused}, "
        f"{turn.completion_tokens} written"
        + (f" · {turn.cost_usd:.4f} USD" if turn.cost_usd else "")
        + (" · model was loaded" if turn.model_warm else "")
    )
