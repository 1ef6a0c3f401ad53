"""The head of a GGUF file: what it says is understood, what is wrong with it is said."""

import ctypes
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_lab.errors import (
    AgentLabError,
    ConfigurationError,
    StorageError,
    WeightsCorruptError,
    WeightsMissingError,
)
from agent_lab.providers.local import gguf_header
from agent_lab.providers.local.gguf_format import ARRAY, F32, I32, STRING, U32
from agent_lab.providers.local.gguf_header import (
    GgufHeader,
    HeaderCutError,
    parse_header,
    read_header,
)
from agent_lab.providers.local.gguf_types import TENSOR_TYPES
from tests.conftest import WEIGHTS_FOLDER
from tests.providers.local.gguf_files import (
    PAIRS,
    TENSORS,
    TOKENS,
    TensorSpec,
    gguf_bytes,
    without,
)

U64, BOOL = 10, 7
WHOLE = gguf_bytes()


def parse(data: bytes, size: int | None = None) -> GgufHeader:
    return parse_header(data, len(data) if size is None else size, "x.gguf")


def with_pairs(**changed: tuple[int, Any]) -> bytes:
    return gguf_bytes(
        {**PAIRS, **{key.replace("__", "."): value for key, value in changed.items()}}
    )


def test_a_header_is_what_the_file_says():
    assert parse(WHOLE) == GgufHeader(
        architecture="llama",
        name="Small",
        quantisation="Q4_1",
        layers=2,
        context_length=512,
        embedding_length=64,
        vocabulary=64,
        kv_elements=(64, 64),
        sliding_window=0,
        feed_forward_length=128,
        expert_count=0,
        tensor_bytes={"q4_1": 64 * 64 // 32 * 20, "f32": 256},
        has_chat_template=True,
        licence="apache-2.0",
        languages=("en", "es"),
    )
    assert parse(WHOLE).weights_bytes == 64 * 64 // 32 * 20 + 256


def test_what_a_file_need_not_say_is_filled_in():
    optional = {"general.name", "general.file_type", "general.license", "general.languages"}
    optional |= {"tokenizer.chat_template", "llama.feed_forward_length"}
    header = parse(gguf_bytes({key: PAIRS[key] for key in PAIRS if key not in optional}))
    assert (header.name, header.licence, header.languages) == ("", "", ())
    assert header.quantisation == "Q4_1"  # that of most bytes
    assert not header.has_chat_template
    assert header.feed_forward_length == 0


@pytest.mark.parametrize(
    ("changed", "kv_elements"),
    [
        ({"llama__attention__head_count_kv": (I32, [2, 0])}, (64, 0)),
        ({"llama__attention__head_count": (U32, [4, 8])}, (32, 32)),
        ({"llama__attention__key_length": (U32, 24)}, (80, 80)),
        (
            {"llama__attention__key_length": (U32, 24), "llama__attention__value_length": (U32, 8)},
            (64, 64),
        ),
    ],
)
def test_a_layer_keeps_as_much_of_a_token_as_its_heads_hold(
    changed: dict[str, tuple[int, Any]], kv_elements: tuple[int, ...]
):
    assert parse(with_pairs(**changed)).kv_elements == kv_elements


def test_without_key_heads_every_head_has_its_own():
    assert parse(gguf_bytes(without("llama.attention.head_count_kv"))).kv_elements == (128, 128)


def test_a_vocabulary_may_be_only_a_number():
    pairs = {key: value for key, value in PAIRS.items() if not key.startswith("tokenizer.ggml.")}
    assert parse(gguf_bytes({**pairs, "llama.vocab_size": (U32, 99)})).vocabulary == 99


def test_a_large_vocabulary_is_counted():
    tokens = [f"t{number}" for number in range(5000)]
    pairs = {
        **without("tokenizer.ggml.token_type"),
        "tokenizer.ggml.tokens": (STRING, tokens),
        "tokenizer.ggml.scores": (F32, [0.0] * 5000),
        "tokenizer.ggml.merges": (STRING, ["a b"] * 3000),
    }
    assert parse(gguf_bytes(pairs)).vocabulary == 5000


def test_version_2_and_another_alignment_are_read():
    assert parse(gguf_bytes(version=2)).layers == 2
    pairs = {**PAIRS, "general.alignment": (U32, 64)}
    tensors = (TensorSpec("a", 0, (8,)), TensorSpec("b", 0, (8,)))
    assert parse(gguf_bytes(pairs, tensors, alignment=64)).layers == 2
    with pytest.raises(WeightsCorruptError, match="'b' is said to be at 32, not 64"):
        parse(gguf_bytes(pairs, tensors, alignment=32))


def test_the_last_tensor_may_lack_its_padding():
    tensors = (TENSORS[0], TensorSpec("odd", 0, (3,)))
    data = gguf_bytes(tensors=tensors)
    assert parse(data[:-20]).tensor_bytes["f32"] == 12
    with pytest.raises(WeightsCorruptError, match="1 bytes are missing"):
        parse(data[:-21])


Q = struct.Struct("<Q")
WRONG = {
    "another kind of file": (b"PK\3\4" + bytes(60), r"begins with b'PK"),
    "nothing": (b"", "would end at byte 4 of 0"),
    "big-endian": (b"GGUF\0\0\0\3" + bytes(60), "big-endian"),
    "version 1": (gguf_bytes(version=1), "version is 1"),
    "too many keys": (WHOLE[:16] + Q.pack(1 << 40) + WHOLE[24:], "1099511627776 keys"),
    "too many tensors": (WHOLE[:8] + Q.pack(1 << 62) + WHOLE[16:], "tensors, more than"),
    "long key": (WHOLE[:24] + Q.pack(1 << 62) + WHOLE[32:], "key 1 would have"),
    "no keys": (gguf_bytes({}), "`general.architecture`"),
    "no tensors": (gguf_bytes(tensors=()), "holds no tensors"),
    "no layers": (with_pairs(llama__block_count=(U32, 0)), "`llama.block_count` is 0"),
    "many layers": (with_pairs(llama__block_count=(U32, 513)), "513 layers"),
    "negative": (with_pairs(llama__context_length=(I32, -1)), "`llama.context_length` is -1"),
    "beyond 32 bits": (with_pairs(llama__context_length=(U64, 1 << 40)), "context_length` is 1099"),
    "wrong kind": (with_pairs(llama__block_count=(STRING, "two")), "not a whole number"),
    "a flag as a number": (with_pairs(llama__block_count=(BOOL, True)), "not a whole number"),
    "name as number": (with_pairs(general__name=(U32, 1)), "`general.name` is not a text"),
    "short list": (
        with_pairs(llama__attention__head_count_kv=(U32, [2])),
        "has 1 numbers instead of 2",
    ),
    "odd alignment": (with_pairs(general__alignment=(U32, 48)), "`general.alignment` is 48"),
    "no alignment": (with_pairs(general__alignment=(U32, 0)), "`general.alignment` is 0"),
    "wide alignment": (with_pairs(general__alignment=(U64, 32)), "32-bit power of two"),
    "a token twice": (
        with_pairs(tokenizer__ggml__tokens=(STRING, [*TOKENS[:-1], TOKENS[0]])),
        "1 items twice",
    ),
    "a token twice for C": (
        with_pairs(tokenizer__ggml__tokens=(STRING, [*TOKENS[:-1], TOKENS[0] + "\0x"])),
        "1 items twice",
    ),
    "a negative epsilon": (
        with_pairs(llama__attention__layer_norm_rms_epsilon=(F32, -1.0)),
        "layer_norm_rms_epsilon` is -1",
    ),
    "an epsilon in a list": (
        with_pairs(llama__attention__layer_norm_rms_epsilon=(F32, [])),
        r"layer_norm_rms_epsilon` is not",
    ),
    "an epsilon that is no number": (
        with_pairs(llama__attention__layer_norm_rms_epsilon=(F32, float("nan"))),
        "layer_norm_rms_epsilon` is nan",
    ),
    "few scores": (with_pairs(tokenizer__ggml__scores=(F32, [0.0])), "1 items for 64 tokens"),
    "scores of another kind": (
        with_pairs(tokenizer__ggml__scores=(STRING, ["0"] * 64)),
        "not the array that it should be",
    ),
    "no tokens": (
        gguf_bytes(
            {
                **{key: PAIRS[key] for key in PAIRS if not key.startswith("tokenizer.ggml.")},
                "tokenizer.ggml.tokens": (STRING, []),
            }
        ),
        "vocabulary is empty",
    ),
    "unknown type": (
        gguf_bytes(tensors=(TensorSpec("w", 4, (32,)),)),
        "'w' is of the unknown type 4",
    ),
    "whole numbers": (
        gguf_bytes(tensors=(TensorSpec("w", 26, (32,)),)),
        "'w' is of the type i32",
    ),
    "no dimensions": (gguf_bytes(tensors=(TensorSpec("w", 0, ()),)), "0 dimensions"),
    "five dimensions": (gguf_bytes(tensors=(TensorSpec("w", 0, (1,) * 5),)), "5 dimensions"),
    "empty tensor": (gguf_bytes(tensors=(TensorSpec("w", 0, (4, 0)),)), r"shape \(4, 0\)"),
    "overflow": (gguf_bytes(tensors=(TensorSpec("w", 0, (1 << 32, 1 << 31)),)), "the shape"),
    "part of a block": (gguf_bytes(tensors=(TensorSpec("w", 3, (16, 2)),)), "blocks of 32"),
    "twice": (gguf_bytes(tensors=TENSORS[:1] * 2), "the tensor 'token_embd.weight' twice"),
    "overlapping": (
        gguf_bytes(tensors=(*TENSORS[:1], TensorSpec("w", 0, (8,), 0))),
        "'w' is said to be at 0, not 2560",
    ),
    "long name": (gguf_bytes(tensors=(TensorSpec("w" * 64, 0, (8,)),)), "name of tensor 1 would"),
    "huge": (gguf_bytes(tensors=(TensorSpec("w", 0, (1 << 40,)),)), "bytes are missing at its end"),
    "a key twice": (
        WHOLE[:16]
        + Q.pack(len(PAIRS) + 1)
        + gguf_bytes({"general.name": (U32, 1)}, ())[24:52]
        + WHOLE[24:],
        "key 'general.name' twice",
    ),
}


@pytest.mark.parametrize(("data", "reason"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_of_the_file(data: bytes, reason: str):
    with pytest.raises(WeightsCorruptError, match=reason) as raised:
        parse(data)
    assert raised.value.message.startswith("`x.gguf` is no whole GGUF file: ")
    assert raised.value.details == {"path": "x.gguf"}
    assert "pull" in raised.value.hint


@pytest.mark.parametrize("key", [key for key in PAIRS if key.startswith("llama.")])
def test_a_missing_key_is_named_if_nothing_stands_for_it(key: str):
    optional = {"llama.feed_forward_length", "llama.attention.head_count_kv"}
    data = gguf_bytes(without(key))
    if key in optional:
        assert parse(data).layers == 2
    else:
        with pytest.raises(WeightsCorruptError, match=f"no key `{key}`"):
            parse(data)


def test_arrays_of_arrays_are_refused():
    nested = struct.pack("<IIQ", ARRAY, ARRAY, 1)
    data = WHOLE[:16] + Q.pack(1) + Q.pack(1) + b"k" + nested + WHOLE
    with pytest.raises(WeightsCorruptError, match="unknown kind 9"):
        parse(data)


def test_one_file_of_several_is_no_damage_but_cannot_be_used():
    with pytest.raises(ConfigurationError, match="one of several files") as raised:
        parse(with_pairs(split__count=(2, 3)))
    assert not isinstance(raised.value, WeightsCorruptError)


def test_bytes_that_end_inside_the_header_ask_for_more():
    size = len(WHOLE)
    wanted, reads = 1, 0
    while True:
        try:
            parse(WHOLE[:wanted], size)
        except HeaderCutError as cut:
            wanted = max(cut.needed, wanted + 1)
            reads += 1
        else:
            break
    assert reads > 10
    assert wanted < size - parse(WHOLE).weights_bytes + 32


def test_a_long_header_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gguf_header, "FIRST_READ", 8)
    (tmp_path / "x.gguf").write_bytes(WHOLE)
    assert read_header(tmp_path / "x.gguf") == parse(WHOLE)


def test_a_header_larger_than_any_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gguf_header, "FIRST_READ", 8)
    monkeypatch.setattr(gguf_header, "MOST_HEADER_BYTES", 64)
    (tmp_path / "x.gguf").write_bytes(WHOLE)
    with pytest.raises(WeightsCorruptError, match="its header would have more than"):
        read_header(tmp_path / "x.gguf")


def test_a_file_that_is_not_there_or_not_readable_is_named(tmp_path: Path):
    with pytest.raises(WeightsMissingError, match=r"x\.gguf"):
        read_header(tmp_path / "x.gguf")
    with pytest.raises(StorageError, match=str(tmp_path)):
        read_header(tmp_path)


@settings(max_examples=300, deadline=1000)
@given(st.binary(max_size=400))
def test_any_bytes_give_a_header_or_one_of_our_errors(data: bytes):
    for begin in (b"", b"GGUF\3\0\0\0"):
        with pytest.raises(AgentLabError):
            parse(begin + data)


@settings(max_examples=500, deadline=1000)
@given(
    st.lists(
        st.tuples(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=9)), max_size=4
    ),
    st.integers(0, len(WHOLE)),
)
def test_a_damaged_header_gives_a_header_or_one_of_our_errors(
    changes: list[tuple[int, bytes]], cut: int
):
    data = bytearray(WHOLE)
    for place, new in changes:
        data[place : place + len(new)] = new
    for damaged in (bytes(data), bytes(data[:cut])):
        with suppress(AgentLabError):
            assert parse(damaged).weights_bytes <= len(damaged)
    with suppress(AgentLabError, HeaderCutError):
        parse(bytes(data[:cut]), len(data))


def test_the_types_of_numbers_are_those_of_the_binding():
    xllamacpp = pytest.importorskip("xllamacpp.xllamacpp")
    library = ctypes.CDLL(xllamacpp.__file__)
    library.ggml_type_name.restype = ctypes.c_char_p
    library.ggml_type_size.restype = ctypes.c_size_t
    library.ggml_blck_size.restype = ctypes.c_int64
    # GGML_TYPE_COUNT is one more than the last; the names of removed types are whole sentences.
    for number in range(max(TENSOR_TYPES) + 1):
        size = library.ggml_type_size(number)
        known = TENSOR_TYPES.get(number)
        assert (known is None) == (size == 0)
        if known:
            name = library.ggml_type_name(number).decode()
            assert known == (name, library.ggml_blck_size(number), size)


@pytest.mark.weights("smollm2-135m")
def test_the_header_of_a_real_model_is_read_at_once():
    path = WEIGHTS_FOLDER / "SmolLM2-135M-Instruct.Q4_1.gguf"
    started = time.process_time()
    header = read_header(path)
    # It takes 0.02 s.
    assert time.process_time() - started < 1
    assert (header.layers, header.vocabulary, header.context_length) == (30, 49152, 8192)
    assert header.weights_bytes == 96_576_768
    assert header.kv_elements == (384,) * 30
