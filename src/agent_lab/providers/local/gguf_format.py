"""Reads the head of a GGUF file: its keys and the list of its tensors, every length checked.

A damaged or hostile file may claim any length: nothing is allocated or skipped before the claim is
compared with the file's real size. What llama.cpp's own reader accepts and then trips over, at the
cost of the whole process, is refused here.
"""

import struct
from typing import NamedTuple

from agent_lab.errors import WeightsCorruptError
from agent_lab.providers.local.gguf_types import TENSOR_TYPES, TensorType

MAGIC = b"GGUF"
VERSIONS = (2, 3)
_BIG_ENDIAN = (2 << 24, 3 << 24)

U32, I32, F32, STRING, ARRAY = 4, 5, 6, 8, 9
# Kind of a scalar: its letter in `struct`.
SCALARS = {
    **{0: "B", 1: "b", 2: "H", 3: "h", U32: "I", I32: "i", F32: "f", 7: "?"},
    **{10: "Q", 11: "q", 12: "d"},
}
INTEGERS = frozenset(SCALARS) - {F32, 7, 12}

KEPT_ITEMS = 1024
"""Longer arrays (tokens, merges, scores) are only counted."""
MOST_KEY_BYTES = 65535  # the format's own limit
MOST_NAME_BYTES = 63  # GGML_MAX_NAME, less the zero at its end
MOST_DIMS = 4  # GGML_MAX_DIMS
MOST_NUMBERS = 2**63 - 1
LEAST_PAIR_BYTES = 8 + 4 + 1
"""An empty key, a kind and a value of one byte."""
LEAST_TENSOR_BYTES = 8 + 4 + 8 + 4 + 8
"""An empty name, the number of dimensions, one of them, type and offset."""
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")

Scalar = int | float | bool | str


class HeaderCutError(Exception):
    """The bytes at hand end inside the header, the file does not: more of it must be read.

    Args:
        needed: Bytes from the file's start that are needed at least.
    """

    def __init__(self, needed: int) -> None:
        super().__init__(f"{needed} bytes are needed")
        self.needed = needed


class Value(NamedTuple):
    """What a key stands for."""

    kind: int
    """Of an array: that of its items."""
    items: tuple[Scalar, ...]
    """The scalar itself, or a short array's items."""
    length: int | None
    """Items of an array; None: it is a scalar."""


class Tensor(NamedTuple):
    """One tensor, as the list of tensors describes it."""

    name: str
    type: TensorType
    dims: tuple[int, ...]
    """The first is the one whose numbers lie side by side."""
    bytes: int


class Cursor:
    """Goes through the first bytes of a file.

    Args:
        data: The bytes.
        file_size: Bytes of the whole file.
        where: What messages call it.
    """

    def __init__(self, data: bytes | memoryview, file_size: int, where: str) -> None:
        self._data, self._where = bytes(data), where
        self.file_size = file_size
        self.at = 0

    def corrupt(self, reason: str) -> WeightsCorruptError:
        """The error for a file that is no whole GGUF file."""
        return corrupt(self._where, reason)

    @property
    def left(self) -> int:
        """Bytes of the file that were not gone through."""
        return self.file_size - self.at

    def need(self, end: int, what: str) -> None:
        """Check that the bytes up to `end` are in the file, and at hand.

        Raises:
            WeightsCorruptError: The file is shorter.
            HeaderCutError: It is not, but what is at hand of it is.
        """
        if end > self.file_size:
            raise self.corrupt(f"{what} would end at byte {end} of {self.file_size}")
        if end > len(self._data):
            raise HeaderCutError(end)

    def u32(self, what: str) -> int:
        """Read four bytes."""
        return self._number(_U32, what)

    def u64(self, what: str) -> int:
        """Read eight bytes."""
        return self._number(_U64, what)

    def _number(self, form: struct.Struct, what: str) -> int:
        self.need(self.at + form.size, what)
        number: int = form.unpack_from(self._data, self.at)[0]
        self.at += form.size
        return number

    def count(self, least_bytes: int, what: str) -> int:
        """Read how many things of at least `least_bytes` follow."""
        count = self.u64(f"the number of {what}")
        if count > self.left // least_bytes:
            raise self.corrupt(f"it claims {count} {what}, more than it has bytes for")
        return count

    def text(self, most: int, what: str) -> str:
        """Read a string of at most `most` bytes."""
        length = self.u64(f"the length of {what}")
        if length > most:
            raise self.corrupt(f"{what} would have {length} bytes")
        end = self.at + length
        self.need(end, what)
        text = self._data[self.at : end].decode("utf-8", errors="replace")
        self.at = end
        return text

    def scalars(self, kind: int, count: int, what: str) -> tuple[Scalar, ...]:
        """Read `count` numbers, or skip them if they are many."""
        form = f"<{{}}{SCALARS[kind]}"
        end = self.at + count * struct.calcsize(form.format(1))
        self.need(end, what)
        start, self.at = self.at, end
        if count > KEPT_ITEMS:
            return ()
        return struct.unpack_from(form.format(count), self._data, start)

    def strings(self, count: int, what: str) -> tuple[Scalar, ...]:
        """Read `count` strings, or skip them if they are many."""
        if count <= KEPT_ITEMS:
            return tuple(self.text(self.left, what) for _ in range(count))
        data, at, end, unpack = self._data, self.at, len(self._data) - 8, _U64.unpack_from
        # 150,000 turns for a large vocabulary: no call but the one.
        for _ in range(count):
            if at > end:
                self.need(at + 8, what)
            at += 8 + unpack(data, at)[0]
        self.need(at, what)
        self.at = at
        return ()

    def distinct_strings(self, count: int, what: str) -> None:
        """Skip `count` strings, none of which may be there twice."""
        data, at, end, unpack = self._data, self.at, len(self._data) - 8, _U64.unpack_from
        texts = []
        for _ in range(count):
            if at > end:
                self.need(at + 8, what)
            start = at + 8
            at = start + unpack(data, at)[0]
            texts.append(data[start:at])
        self.need(at, what)
        self.at = at
        # llama.cpp reads each up to the first zero, and names the empty ones by their number.
        if b"\0" in b"".join(texts):
            texts = [text.partition(b"\0")[0] for text in texts]
        twice = count - len(set(texts)) - max(0, texts.count(b"") - 1)
        if twice:
            raise self.corrupt(f"{what} has {twice} items twice")


def corrupt(where: str, reason: str) -> WeightsCorruptError:
    """The error for a file that is no whole GGUF file."""
    return WeightsCorruptError(
        f"`{where}` is no whole GGUF file: {reason}.",
        hint="Fetch the file again: agent-lab models pull KEY --force",
        details={"path": where},
    )


def read_counts(cursor: Cursor) -> tuple[int, int]:
    """Read what every GGUF file begins with.

    Returns:
        The numbers of tensors and of keys.

    Raises:
        WeightsCorruptError: It is another kind of file, or an unknown version.
        HeaderCutError: As in `Cursor.need`.
    """
    magic = cursor.u32("its first word").to_bytes(4, "little")
    if magic != MAGIC:
        raise cursor.corrupt(f"it begins with {magic!r} instead of {MAGIC!r}")
    version = cursor.u32("its version")
    if version in _BIG_ENDIAN:
        raise cursor.corrupt("it was written for big-endian machines")
    if version not in VERSIONS:
        raise cursor.corrupt(f"its version is {version}, known are {VERSIONS}")
    tensors = cursor.count(LEAST_TENSOR_BYTES, "tensors")
    return tensors, cursor.count(LEAST_PAIR_BYTES, "keys")


def read_pairs(
    cursor: Cursor, count: int, distinct: frozenset[str] = frozenset()
) -> dict[str, Value]:
    """Read the keys with their values.

    Args:
        cursor: Stands at the first key.
        count: How many there are.
        distinct: Those of arrays in which no string may be twice; their items are not kept.

    Raises:
        WeightsCorruptError: A kind is unknown, a length impossible or a key there twice.
        HeaderCutError: As in `Cursor.need`.
    """
    pairs: dict[str, Value] = {}
    for number in range(count):
        key = cursor.text(MOST_KEY_BYTES, f"key {number + 1}")
        if key in pairs:
            raise cursor.corrupt(f"it has the key {key[:80]!r} twice")
        pairs[key] = _read_value(cursor, f"the value of {key[:80]!r}", key in distinct)
    return pairs


def _read_value(cursor: Cursor, what: str, distinct: bool) -> Value:
    kind = cursor.u32(f"the kind of {what}")
    count = None
    if kind == ARRAY:
        kind = cursor.u32(f"the kind of {what}")
        # llama.cpp knows no arrays of arrays.
        if kind in SCALARS or kind == STRING:
            count = cursor.count(struct.calcsize(SCALARS.get(kind, "Q")), f"items in {what}")
    if distinct and kind == STRING and count is not None:
        cursor.distinct_strings(count, what)
        return Value(kind, (), count)
    if kind == STRING:
        return Value(kind, cursor.strings(1 if count is None else count, what), count)
    if kind not in SCALARS:
        raise cursor.corrupt(f"{what} is of the unknown kind {kind}")
    return Value(kind, cursor.scalars(kind, 1 if count is None else count, what), count)


def read_tensors(cursor: Cursor, count: int, alignment: int) -> tuple[Tensor, ...]:
    """Read the list of tensors, and check that the file holds them all.

    Raises:
        WeightsCorruptError: One has an impossible shape, an unknown type, or lies elsewhere than
            right behind the one before it, as llama.cpp wants it.
        HeaderCutError: As in `Cursor.need`.
    """
    tensors: dict[str, Tensor] = {}
    expected = end = 0
    for number in range(count):
        name = cursor.text(MOST_NAME_BYTES, f"the name of tensor {number + 1}")
        if name in tensors:
            raise cursor.corrupt(f"it has the tensor {name!r} twice")
        tensor = tensors[name] = _read_tensor(cursor, name)
        offset = cursor.u64(f"the place of tensor {name!r}")
        if offset != expected:
            raise cursor.corrupt(f"tensor {name!r} is said to be at {offset}, not {expected}")
        # The last one may lack what pads it.
        end = offset + tensor.bytes
        expected = _padded(end, alignment)
    missing = _padded(cursor.at, alignment) + end - cursor.file_size
    if missing > 0:
        raise cursor.corrupt(f"{missing} bytes are missing at its end")
    return tuple(tensors.values())


def _read_tensor(cursor: Cursor, name: str) -> Tensor:
    dims_count = cursor.u32(f"the dimensions of tensor {name!r}")
    if not 1 <= dims_count <= MOST_DIMS:
        raise cursor.corrupt(f"tensor {name!r} would have {dims_count} dimensions")
    dims = tuple(cursor.u64(f"the shape of tensor {name!r}") for _ in range(dims_count))
    numbers = 1
    for dim in dims:
        numbers *= dim
    if not 0 < numbers <= MOST_NUMBERS:
        raise cursor.corrupt(f"tensor {name!r} would have the shape {dims}")
    type_id = cursor.u32(f"the type of tensor {name!r}")
    if type_id not in TENSOR_TYPES:
        raise cursor.corrupt(f"tensor {name!r} is of the unknown type {type_id}")
    kind = TENSOR_TYPES[type_id]
    if dims[0] % kind.block:
        raise cursor.corrupt(
            f"tensor {name!r} has rows of {dims[0]}, not in blocks of {kind.block}"
        )
    return Tensor(name, kind, dims, numbers // kind.block * kind.bytes)


def _padded(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment
