"""Small GGUF files for tests, whole ones and damaged ones."""

import random
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from typing_extensions import override

from agent_lab.providers.local.gguf_format import (
    ARRAY,
    F32,
    I32,
    SCALARS,
    STRING,
    U32,
    Cursor,
    read_counts,
    read_pairs,
    read_tensors,
)
from agent_lab.providers.local.gguf_types import TENSOR_TYPES


class TensorSpec(NamedTuple):
    """A tensor to write; `offset` None: right behind the one before it."""

    name: str
    type_id: int
    dims: Sequence[int]
    offset: int | None = None


Pairs = Mapping[str, tuple[int, Any]]
"""Key, kind and value; a list is written as an array of that kind."""

TOKENS = [f"token{number}" for number in range(64)]
PAIRS: dict[str, tuple[int, Any]] = {
    "general.architecture": (STRING, "llama"),
    "general.name": (STRING, "Small"),
    "general.file_type": (U32, 3),
    "general.license": (STRING, "apache-2.0"),
    "general.languages": (STRING, ["en", "es"]),
    "llama.block_count": (U32, 2),
    "llama.context_length": (U32, 512),
    "llama.embedding_length": (U32, 64),
    "llama.feed_forward_length": (U32, 128),
    "llama.attention.head_count": (U32, 4),
    "llama.attention.head_count_kv": (U32, 2),
    "tokenizer.ggml.tokens": (STRING, TOKENS),
    "tokenizer.ggml.scores": (F32, [0.0] * len(TOKENS)),
    "tokenizer.ggml.token_type": (I32, [1] * len(TOKENS)),
    "tokenizer.chat_template": (STRING, "{{ messages }}"),
}
TENSORS = (
    TensorSpec("token_embd.weight", 3, (64, 64)),
    TensorSpec("output_norm.weight", 0, (64,)),
)


def without(key: str) -> dict[str, tuple[int, Any]]:
    """The usual keys less one."""
    return {name: value for name, value in PAIRS.items() if name != key}


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def gguf_bytes(
    pairs: Pairs = PAIRS,
    tensors: Sequence[TensorSpec] = TENSORS,
    *,
    version: int = 3,
    alignment: int = 32,
) -> bytes:
    """A whole GGUF file whose tensors hold zeros."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs))
    head += b"".join(text(key) + _value(*value) for key, value in pairs.items())
    place = 0
    for tensor in tensors:
        kind = TENSOR_TYPES.get(tensor.type_id, TENSOR_TYPES[0])
        numbers = 1
        for dim in tensor.dims:
            numbers *= dim
        offset = place if tensor.offset is None else tensor.offset
        head += text(tensor.name) + struct.pack("<I", len(tensor.dims))
        head += struct.pack(f"<{len(tensor.dims)}QIQ", *tensor.dims, tensor.type_id, offset)
        place = padded(place + numbers // kind.block * kind.bytes, alignment)
    # A tensor that claims more than any file has is not written.
    return head.ljust(padded(len(head), alignment), b"\0") + b"\0" * min(place, 1 << 20)


def _value(kind: int, value: Any) -> bytes:
    if isinstance(value, list):
        items = b"".join(_scalar(kind, item) for item in value)
        return struct.pack("<IIQ", ARRAY, kind, len(value)) + items
    return struct.pack("<I", kind) + _scalar(kind, value)


def _scalar(kind: int, value: Any) -> bytes:
    return text(value) if kind == STRING else struct.pack(f"<{SCALARS[kind]}", value)


def padded(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


class _Watching(Cursor):
    """Remembers where the numbers of the format itself stand: lengths, counts, kinds, places."""

    def __init__(self, data: bytes, file_size: int) -> None:
        super().__init__(data, file_size, "watched")
        self.numbers: list[tuple[int, int]] = []

    @override
    def u32(self, what: str) -> int:
        self.numbers.append((self.at, 4))
        return super().u32(what)

    @override
    def u64(self, what: str) -> int:
        self.numbers.append((self.at, 8))
        return super().u64(what)


class Layout(NamedTuple):
    """Where the parts of a GGUF file are."""

    header: int
    """Bytes of it."""
    size: int
    """Of the whole file."""
    numbers: list[tuple[int, int]]
    """Place and width of each length, count, kind, type and offset."""


def layout(path: Path) -> Layout:
    with path.open("rb") as file:
        data = file.read(16 << 20)
    cursor = _Watching(data, path.stat().st_size)
    tensors, pairs = read_counts(cursor)
    read_pairs(cursor, pairs)
    read_tensors(cursor, tensors, 32)
    return Layout(cursor.at, path.stat().st_size, cursor.numbers)


class Damage(NamedTuple):
    """One way in which a file is broken."""

    kind: str
    place: int
    bytes: bytes
    """Written there; empty: the file ends there."""


def damages(parts: Layout, count: int, seed: int) -> list[Damage]:
    """`count` ways to break a file: headers, lengths and data changed, and ends cut off."""
    chance = random.Random(seed)  # noqa: S311 - the same damage each time
    kinds = (_flipped_header, _changed_number, _cut, _flipped_data)
    return [kinds[number % len(kinds)](parts, chance) for number in range(count)]


def _flipped_header(parts: Layout, chance: random.Random) -> Damage:
    # Most of a header is its vocabulary: half of the damage goes to the keys before it.
    place = chance.randrange(chance.choice((4096, parts.header)))
    return Damage("header", place, chance.randbytes(chance.choice((1, 1, 4, 64))))


def _changed_number(parts: Layout, chance: random.Random) -> Damage:
    place, width = chance.choice(parts.numbers)
    new = chance.choice((0, 1, chance.randrange(300), chance.getrandbits(31), (1 << 63) - 1))
    return Damage("length", place, (new % (1 << 8 * width)).to_bytes(width, "little"))


def _cut(parts: Layout, chance: random.Random) -> Damage:
    return Damage("cut", chance.randrange(chance.choice((parts.header, parts.size))), b"")


def _flipped_data(parts: Layout, chance: random.Random) -> Damage:
    place = chance.randrange(parts.header, parts.size - 64)
    return Damage("data", place, chance.randbytes(chance.choice((1, 64))))


def break_file(path: Path, damage: Damage) -> bool:
    """Damage a file in place; False: it had the same bytes there."""
    with path.open("r+b") as file:
        if not damage.bytes:
            file.truncate(damage.place)
            return True
        file.seek(damage.place)
        before = file.read(len(damage.bytes))
        file.seek(damage.place)
        file.write(damage.bytes)
        return before != damage.bytes


def mend_file(path: Path, damage: Damage, whole: Path) -> None:
    """Undo the damage, from the file that it was a copy of."""
    with whole.open("rb") as source, path.open("r+b") as file:
        for place in (source, file):
            place.seek(damage.place)
        if damage.bytes:
            file.write(source.read(len(damage.bytes)))
        else:
            while piece := source.read(1 << 20):
                file.write(piece)
