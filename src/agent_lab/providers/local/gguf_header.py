"""What the head of a GGUF file says of its model, checked against the file's size."""

from collections import Counter
from pathlib import Path

from agent_lab.contracts.base import Contract
from agent_lab.errors import ConfigurationError, StorageError, WeightsMissingError
from agent_lab.providers.local.gguf_format import (
    F32,
    I32,
    INTEGERS,
    STRING,
    U32,
    Cursor,
    HeaderCutError,
    Tensor,
    Value,
    corrupt,
    read_counts,
    read_pairs,
    read_tensors,
)
from agent_lab.providers.local.gguf_types import FILE_TYPES

__all__ = ["GgufHeader", "HeaderCutError", "parse_header", "read_header"]

FIRST_READ = 8 << 20
"""Bytes; the header of a model with 150,000 tokens has 6 MB."""
MOST_HEADER_BYTES = 256 << 20
"""No vocabulary comes near: what claims more is damaged, and is not read into memory."""
DEFAULT_ALIGNMENT = 32
MOST_LAYERS = 512
"""LLAMA_MAX_LAYERS of llama.cpp."""
MOST_WIDTH = 2**31 - 1
"""llama.cpp counts tokens, layers and widths in 32 bits."""

# What a vocabulary consists of, each an array of this kind.
_TOKENIZER_KINDS = {
    "tokenizer.ggml.tokens": STRING,
    "tokenizer.ggml.merges": STRING,
    "tokenizer.ggml.scores": F32,
    "tokenizer.ggml.token_type": I32,
}
_ONE_PER_TOKEN = ("tokenizer.ggml.scores", "tokenizer.ggml.token_type")

# llama.cpp ends the process over each of these three, which were found by damaging files.
_DISTINCT = frozenset({"tokenizer.ggml.tokens"})
"""A token that is there twice."""
_EPSILONS = ("layer_norm_rms_epsilon", "layer_norm_epsilon", "group_norm_epsilon")
"""One below zero, or that is no number, at the first token."""
_NO_WEIGHTS = frozenset({"i8", "i16", "i32", "i64", "f64"})
"""Weights of such a type, at the first token."""
_WHOLE_NUMBERS = "tid2eid"
"""Except for the table of an architecture that looks up its experts by token."""


class GgufHeader(Contract):
    """A model, as its file describes it."""

    architecture: str
    name: str
    """Empty: the file does not say."""
    quantisation: str
    """As files are named by it: `Q4_K_M`; that of most bytes if the file does not say."""
    layers: int
    context_length: int
    """Tokens of prompt and answer that the model was made for."""
    embedding_length: int
    vocabulary: int
    """Tokens that it knows."""
    kv_elements: tuple[int, ...]
    """Numbers that each layer keeps of every token of a chat: its key and its value."""
    sliding_window: int
    """Tokens that windowed layers look back; 0: there are none."""
    feed_forward_length: int
    """Of the widest layer; 0: the file does not say."""
    expert_count: int
    tensor_bytes: dict[str, int]
    """By type of number: `q4_K`, `f32`."""
    has_chat_template: bool
    licence: str
    """Empty: the file does not say."""
    languages: tuple[str, ...]

    @property
    def weights_bytes(self) -> int:
        """Bytes of all tensors together."""
        return sum(self.tensor_bytes.values())


def read_header(path: Path) -> GgufHeader:
    """Read the head of a weights file; some tens of milliseconds.

    It is read piece by piece, never mapped: a mapped file that somebody cuts short meanwhile ends
    the process.

    Raises:
        WeightsCorruptError: It is no GGUF file, or not all of one.
        ConfigurationError: It is one of several files of a model.
        WeightsMissingError: There is no such file.
        StorageError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            wanted = FIRST_READ
            while True:
                file.seek(0)
                try:
                    return parse_header(file.read(wanted), size, str(path))
                except HeaderCutError as cut:
                    wanted = _next_read(cut, wanted, size, str(path))
    except FileNotFoundError as error:
        raise WeightsMissingError(
            f"There is no file `{path}`.", hint="agent-lab models pull KEY"
        ) from error
    except OSError as error:
        raise StorageError(f"`{path}` cannot be read: {error.strerror or error}.") from error


def _next_read(cut: HeaderCutError, had: int, size: int, where: str) -> int:
    if had >= size:
        raise corrupt(where, "it became shorter while it was read") from cut
    if cut.needed > MOST_HEADER_BYTES:
        raise corrupt(where, f"its header would have more than {cut.needed} bytes") from cut
    return max(cut.needed, min(4 * had, MOST_HEADER_BYTES))


def parse_header(data: bytes | memoryview, file_size: int, where: str) -> GgufHeader:
    """Understand the first bytes of a GGUF file.

    Args:
        data: The first bytes; at least up to the end of the header.
        file_size: Bytes of the whole file.
        where: What messages call the file.

    Raises:
        HeaderCutError: The header goes on after `data`.
        WeightsCorruptError: It is no GGUF file, or not all of one.
        ConfigurationError: It is one of several files of a model.
    """
    cursor = Cursor(data, file_size, where)
    tensor_count, pair_count = read_counts(cursor)
    facts = _Facts(read_pairs(cursor, pair_count, _DISTINCT), where)
    if facts.integer("split.count", 0) > 1:
        raise ConfigurationError(
            f"`{where}` is one of several files of a model, and only whole files are loaded.",
            hint="Take the model in one file, or join it with llama.cpp's llama-gguf-split --merge",
            details={"path": where},
        )
    return _header(facts, read_tensors(cursor, tensor_count, _alignment(facts)))


class _Facts:
    """The keys of a file, each asked for by the kind that it must have."""

    def __init__(self, pairs: dict[str, Value], where: str) -> None:
        self._pairs, self._where = pairs, where

    def corrupt(self, reason: str) -> Exception:
        return corrupt(self._where, reason)

    def __contains__(self, key: str) -> bool:
        return key in self._pairs

    def value(self, key: str) -> Value:
        if key not in self._pairs:
            raise self.corrupt(f"it has no key `{key}`")
        return self._pairs[key]

    def text(self, key: str, default: str | None = None) -> str:
        if default is not None and key not in self:
            return default
        value = self.value(key)
        if value.kind != STRING or value.length is not None:
            raise self.corrupt(f"`{key}` is not a text")
        return str(value.items[0])

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, or one; empty if it is not there."""
        if key not in self:
            return ()
        value = self.value(key)
        return tuple(map(str, value.items)) if value.kind == STRING else ()

    def integers(self, key: str, default: int | None, count: int) -> tuple[int, ...]:
        """One number for each of `count` layers, or the one number for all."""
        if default is not None and key not in self:
            return (default,) * count
        value = self.value(key)
        if value.kind not in INTEGERS:
            raise self.corrupt(f"`{key}` is not a whole number")
        if value.length not in (None, count):
            raise self.corrupt(f"`{key}` has {value.length} numbers instead of {count}")
        found = tuple(int(item) for item in value.items)
        if not all(0 <= number <= MOST_WIDTH for number in found):
            raise self.corrupt(f"`{key}` is {min(found)} to {max(found)}")
        return found * count if value.length is None else found

    def integer(self, key: str, default: int | None = None, least: int = 0) -> int:
        number = self.integers(key, default, 1)[0]
        if number < least:
            raise self.corrupt(f"`{key}` is {number}")
        return number

    def check_epsilon(self, key: str) -> None:
        """Check a number that is added where something is divided."""
        if key not in self:
            return
        value = self.value(key)
        if value.kind != F32 or value.length is not None:
            raise self.corrupt(f"`{key}` is not a 32-bit fraction")
        if not float(value.items[0]) >= 0:
            raise self.corrupt(f"`{key}` is {value.items[0]}")

    def length(self, key: str) -> int | None:
        """How many items an array has; None: there is no such key."""
        if key not in self:
            return None
        value = self.value(key)
        if value.length is None or value.kind != _TOKENIZER_KINDS[key]:
            raise self.corrupt(f"`{key}` is not the array that it should be")
        return value.length


def _alignment(facts: _Facts) -> int:
    key = "general.alignment"
    alignment = facts.integer(key, DEFAULT_ALIGNMENT, least=1)
    if alignment & (alignment - 1) or (key in facts and facts.value(key).kind != U32):
        raise facts.corrupt(f"`{key}` is {alignment}, not a 32-bit power of two")
    return alignment


def _header(facts: _Facts, tensors: tuple[Tensor, ...]) -> GgufHeader:
    architecture = facts.text("general.architecture")
    layers = facts.integer(f"{architecture}.block_count", least=1)
    if layers > MOST_LAYERS:
        raise facts.corrupt(f"it would have {layers} layers")
    for name in _EPSILONS:
        facts.check_epsilon(f"{architecture}.attention.{name}")
    tensor_bytes: Counter[str] = Counter()
    for tensor in tensors:
        if tensor.type.name in _NO_WEIGHTS and _WHOLE_NUMBERS not in tensor.name:
            raise facts.corrupt(f"tensor {tensor.name!r} is of the type {tensor.type.name}")
        tensor_bytes[tensor.type.name] += tensor.bytes
    if not tensor_bytes:
        raise facts.corrupt("it holds no tensors")
    most = tensor_bytes.most_common(1)[0][0].upper()
    lengths = facts.integers(f"{architecture}.feed_forward_length", 0, layers)
    return GgufHeader(
        architecture=architecture,
        name=facts.text("general.name", ""),
        quantisation=FILE_TYPES.get(facts.integer("general.file_type", MOST_WIDTH), most),
        layers=layers,
        context_length=facts.integer(f"{architecture}.context_length", least=1),
        embedding_length=facts.integer(f"{architecture}.embedding_length", least=1),
        vocabulary=_vocabulary(facts, architecture),
        kv_elements=_kv_elements(facts, architecture, layers),
        sliding_window=facts.integer(f"{architecture}.attention.sliding_window", 0),
        feed_forward_length=max(lengths),
        expert_count=facts.integer(f"{architecture}.expert_count", 0),
        tensor_bytes=dict(tensor_bytes),
        has_chat_template="tokenizer.chat_template" in facts,
        licence=facts.text("general.license", ""),
        languages=facts.texts("general.languages"),
    )


def _vocabulary(facts: _Facts, architecture: str) -> int:
    counts = {key: facts.length(key) for key in _TOKENIZER_KINDS}
    tokens = counts["tokenizer.ggml.tokens"]
    if tokens is None:
        return facts.integer(f"{architecture}.vocab_size", least=1)
    for key in _ONE_PER_TOKEN:
        if counts[key] not in (None, tokens):
            raise facts.corrupt(f"`{key}` has {counts[key]} items for {tokens} tokens")
    if not tokens:
        raise facts.corrupt("its vocabulary is empty")
    return tokens


def _kv_elements(facts: _Facts, architecture: str, layers: int) -> tuple[int, ...]:
    attention = f"{architecture}.attention"
    heads = facts.integers(f"{attention}.head_count", None, layers)
    key_heads = (
        facts.integers(f"{attention}.head_count_kv", None, layers)
        if f"{attention}.head_count_kv" in facts
        else heads
    )
    # What the file does not say is one head's share of the embedding.
    share = facts.integer(f"{architecture}.embedding_length") // max(1, *heads)
    width = sum(facts.integer(f"{attention}.{part}_length", share) for part in ("key", "value"))
    return tuple(count * width for count in key_heads)
