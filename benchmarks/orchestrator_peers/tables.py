"""Figures as cells, and cells as tables in Markdown; every report that compares arms uses them."""

from collections.abc import Iterator

from orchestrator_peers.measuring import Ratio


def microseconds(seconds: float) -> str:
    """A time as a cell."""
    return f"{seconds * 1e6:.0f}"


def told(ratio: Ratio) -> str:
    """A ratio, with the least and the most of the rounds, as a cell."""
    return f"{ratio.median:.2f} ({ratio.least:.2f} to {ratio.most:.2f})"


def head(*cells: object) -> Iterator[str]:
    """The first two lines of a table."""
    yield row(*cells)
    yield "|---" * len(cells) + "|"


def row(*cells: object) -> str:
    """A line of a table."""
    return f"| {' | '.join(map(str, cells))} |"
