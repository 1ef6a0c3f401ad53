"""What a pull of weights tells whoever watches it."""

from typing import NamedTuple


class PullProgress(NamedTuple):
    """How far a pull is."""

    source: str
    """The source string being read; empty while it waits for another process."""
    done: int
    """Bytes in the partial file."""
    total: int
    """Bytes of the file; 0: unknown."""
    phase: str
    """`waiting` for another process, `verify` what is here already, or `download`."""
