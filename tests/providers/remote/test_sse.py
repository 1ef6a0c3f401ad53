"""A stream of events says the same, wherever the network cuts it."""

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.providers.remote import sse
from agent_lab.providers.remote.sse import EventParser, EventTooLongError, ServerEvent

LINE_ENDS = (b"\n", b"\r\n", b"\r")
NO_DATA = (b": keep-alive", b":", b"id: 7", b"retry: 10", b"colour: blue", b"id", b"datas: x")


class Wire(NamedTuple):
    """What a host sends, and what it means."""

    sent: bytes
    meant: list[ServerEvent]


def without_line_ends(value: bytes) -> bool:
    return not {b"\r"[0], b"\n"[0]} & set(value)


DATA = st.binary(max_size=8).filter(without_line_ends)
NAMES = st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=5)


@st.composite
def events(draw: st.DrawFn) -> tuple[list[bytes], ServerEvent | None]:
    """The lines of one event, its blank line included; None: it has no data and is none."""
    name = draw(st.none() | NAMES)
    data = draw(st.lists(DATA, max_size=3))
    lines = [b"event: " + name.encode()] if name is not None else []
    for value in data:
        bare = [b"data"] if not value else []
        tight = [] if value.startswith(b" ") else [b"data:" + value]
        lines.append(draw(st.sampled_from([b"data: " + value, *tight, *bare])))
    for noise in draw(st.lists(st.sampled_from(NO_DATA), max_size=2)):
        lines.insert(draw(st.integers(0, len(lines))), noise)
    return [*lines, b""], ServerEvent(name or "", b"\n".join(data)) if data else None


def ended(lines: Iterable[bytes], line_ends: Iterable[bytes]) -> bytes:
    """Put an end to each line; a blank one after `\\r` cannot have `\\n`: that would be one end."""
    sent = b""
    for line, line_end in zip(lines, line_ends, strict=True):
        one_end = not line and sent.endswith(b"\r") and line_end == b"\n"
        sent += line + (b"\r" if one_end else line_end)
    return sent


@st.composite
def wires(draw: st.DrawFn) -> Wire:
    drawn = draw(st.lists(events(), max_size=4))
    lines = [line for written, _ in drawn for line in written]
    fixed = draw(st.none() | st.sampled_from(LINE_ENDS))
    ends = [fixed or draw(st.sampled_from(LINE_ENDS)) for _ in lines]
    mark = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    never_ended = draw(st.sampled_from([b"", b"data: cut", b"data: cut\n", b"event: cut"]))
    sent = mark + ended(lines, ends) + never_ended
    return Wire(sent, [event for _, event in drawn if event is not None])


def pieces(sent: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = sorted([0, *(cut % (len(sent) + 1) for cut in cuts), len(sent)])
    return [sent[start:stop] for start, stop in pairwise(places)]


def take_all(came: Iterable[bytes], taken: list[ServerEvent]) -> None:
    parser = EventParser()
    for piece in came:
        taken.extend(parser.feed(piece))


def parsed(came: Iterable[bytes]) -> list[ServerEvent]:
    taken: list[ServerEvent] = []
    take_all(came, taken)
    return taken


@given(wire=wires(), cuts=st.lists(st.integers(0, 1000), max_size=8))
def test_any_cutting_gives_the_events_that_were_meant(wire: Wire, cuts: list[int]):
    assert parsed([wire.sent]) == wire.meant
    assert parsed(pieces(wire.sent, cuts)) == wire.meant


@given(wire=wires())
def test_byte_by_byte_gives_the_events_that_were_meant(wire: Wire):
    assert parsed(bytes([byte]) for byte in wire.sent) == wire.meant


@pytest.mark.parametrize("line_end", LINE_ENDS)
def test_an_event_is_there_as_soon_as_its_blank_line_is(line_end: bytes):
    parser = EventParser()
    assert list(parser.feed(b"data: 1" + line_end)) == []
    assert list(parser.feed(line_end)) == [ServerEvent("", b"1")]


def test_a_carriage_return_and_its_newline_are_one_end_in_two_pieces_too():
    came = [b"data: 1\r", b"", b"\ndata: 2\r", b"\n", b"\r", b"\n"]
    assert parsed(came) == [ServerEvent("", b"1\n2")]


@pytest.mark.parametrize(
    ("sent", "data"),
    [
        (b"data: {}\n\n", b"{}"),
        (b"data:{}\n\n", b"{}"),
        (b"data:  {}\n\n", b" {}"),
        (b"data: a: b\n\n", b"a: b"),
        (b"data\n\n", b""),
        (b"data:\n\n", b""),
        (b"data:\ndata\ndata: \n\n", b"\n\n"),
        (b"data: one\n: between\ndata: two\n\n", b"one\ntwo"),
        (b"data: \xff\xfe\n\n", b"\xff\xfe"),
    ],
)
def test_one_space_after_the_colon_is_no_data_and_lines_are_joined(sent: bytes, data: bytes):
    assert parsed([sent]) == [ServerEvent("", data)]


@pytest.mark.parametrize(
    "sent", [b"", b"\n\n\n", b": ping\n\n", b"event: ping\n\n", b"datax: 1\n\n"]
)
def test_without_a_data_line_there_is_no_event(sent: bytes):
    assert parsed([sent]) == []


@pytest.mark.parametrize(
    ("sent", "names"),
    [
        (b"event: delta\ndata: 1\n\ndata: 2\n\n", ["delta", ""]),
        (b"event: ping\n\ndata: 1\n\n", [""]),
        (b"event: first\nevent: last\ndata: 1\n\n", ["last"]),
        (b"event: first\nevent\ndata: 1\n\n", [""]),
        (b"data: 1\nevent:after\n\n", ["after"]),
        (b"event: \xff\ndata: 1\n\n", ["\N{REPLACEMENT CHARACTER}"]),
    ],
)
def test_a_name_is_the_last_one_of_its_event_and_of_no_other(sent: bytes, names: list[str]):
    assert [event.name for event in parsed([sent])] == names


def test_a_byte_order_mark_is_skipped_at_the_beginning_only():
    assert parsed([b"\xef", b"\xbb\xbfdata: 1\n\n\xef\xbb\xbfdata: 2\n\ndata: 3\n\n"]) == [
        ServerEvent("", b"1"),
        ServerEvent("", b"3"),
    ]


ENDLESS = {
    "a line": b"data: " + b"x" * 40,
    "a line that ends at last": b"data: " + b"x" * 40 + b"\n\n",
    "many lines": b"data: xxxx\n" * 4,
    "many lines and half of one": b"data: xxxx\n" * 2 + b"data: xxxxxxxxx",
    "comments": b": ping\n" * 6,
    "a name": b"event: " + b"x" * 40 + b"\ndata: 1\n\n",
}


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("endless", ENDLESS.values(), ids=ENDLESS)
def test_what_is_too_long_is_refused_after_the_events_before_it_in_any_cutting(
    monkeypatch: pytest.MonkeyPatch, endless: bytes, size: int
):
    monkeypatch.setattr(sse, "LONGEST_EVENT", 30)
    sent = b"data: 1\n\n" + endless
    came: list[ServerEvent] = []
    with pytest.raises(EventTooLongError):
        take_all((sent[start : start + size] for start in range(0, len(sent), size)), came)
    assert came == [ServerEvent("", b"1")]


def test_many_events_that_are_each_short_enough_are_no_long_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "LONGEST_EVENT", 30)
    one = b": ping\n\nevent: delta\ndata: " + b"x" * 12 + b"\n\n"
    assert len(parsed([one * 5])) == 5
