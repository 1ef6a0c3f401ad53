"""Reads server-sent events out of bytes, by the rules of the HTML standard (section 9.2.6)."""

from collections.abc import Iterator
from typing import NamedTuple

LONGEST_EVENT = 4 * 2**20
"""Bytes; a line or an event that is longer is no answer of a model."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class ServerEvent(NamedTuple):
    """One event."""

    name: str
    """Empty where the host names none."""
    data: bytes


class EventTooLongError(Exception):
    """An event has no end."""


class EventParser:
    """Takes a stream in the pieces in which it comes; events may be cut anywhere."""

    def __init__(self) -> None:
        self._rest = b""
        self._returned = False
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0
        self._begun = False

    def feed(self, piece: bytes) -> Iterator[ServerEvent]:
        """Return the events that are complete.

        Raises:
            EventTooLongError: More than `LONGEST_EVENT` bytes came without an end.
        """
        if self._returned and piece:  # the second half of a \r\n ends no other line
            piece = piece.removeprefix(b"\n")
            self._returned = False
        if b"\r" in piece:
            self._returned = piece.endswith(b"\r")
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, self._rest = (self._rest + piece if self._rest else piece).split(b"\n")
        if lines and not self._begun:
            self._begun = True
            lines[0] = lines[0].removeprefix(_BYTE_ORDER_MARK)
        for line in lines:
            self._size += len(line)
            if self._size > LONGEST_EVENT:
                raise EventTooLongError
            if line.startswith(b"data:"):  # most lines
                self._data.append(line[6:] if line[5:6] == b" " else line[5:])
            elif line:
                self._field(line)
            elif self._data:
                yield ServerEvent(self._name, b"\n".join(self._data))
                self._name, self._data, self._size = "", [], 0
            else:
                self._name, self._size = "", 0
        if self._size + len(self._rest) > LONGEST_EVENT:
            raise EventTooLongError

    def _field(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        if field == b"event":
            self._name = value.removeprefix(b" ").decode("utf-8", "replace")
        elif field == b"data":
            self._data.append(b"")
