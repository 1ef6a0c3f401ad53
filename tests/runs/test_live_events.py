"""A reader sees every event in its order; only pieces of one turn are joined."""

import asyncio
from datetime import UTC, datetime
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from agent_lab.contracts import RunRequest
from agent_lab.lab import Lab
from agent_lab.runs.events import RunEvent
from agent_lab.runs.live_events import GATHERED_CHARACTERS, LiveEvents

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def piece(delta: str, turn: str = "a:0:0", reasoning: bool = False) -> RunEvent:
    payload = {"messageId": turn, "delta": delta, "reasoning": reasoning}
    return RunEvent(run_id="run", seq=None, ts=NOW, type="TEXT_MESSAGE_CONTENT", payload=payload)


def step(name: str) -> RunEvent:
    payload = {"stepName": name}
    return RunEvent(run_id="run", seq=1, ts=NOW, type="STEP_STARTED", payload=payload)


async def read(*written: RunEvent | None) -> list[RunEvent]:
    """What a reader gets while somebody writes; at None the reader has its turn."""
    events = LiveEvents()

    async def write() -> None:
        for event in written:
            if event is None:
                await asyncio.sleep(0)
            else:
                events(event)
        events.close()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        return [event async for event in events]


def deltas(events: list[RunEvent]) -> list[str]:
    return [event.payload["delta"] for event in events]


def told(events: list[RunEvent]) -> list[tuple[object, ...]]:
    """The same for two sequences that differ only in how they cut the text of a turn."""

    def source(event: RunEvent) -> tuple[object, ...]:
        names = ("messageId", "reasoning", "stepName")
        return (event.type, *(event.payload.get(name) for name in names))

    return [
        (*key, "".join(event.payload.get("delta", "|") for event in group))
        for key, group in groupby(events, source)
    ]


PIECES = st.builds(
    piece, st.text(max_size=2 * GATHERED_CHARACTERS), st.sampled_from("ab"), st.booleans()
)
WRITTEN = st.lists(PIECES | st.builds(step, st.sampled_from("ab")) | st.none(), max_size=30)


@given(WRITTEN)
def test_nothing_is_lost_or_reordered_however_writer_and_reader_take_turns(written):
    got = asyncio.run(read(*written))
    assert told(got) == told([event for event in written if event is not None])


async def test_pieces_that_wait_are_handed_on_as_one_event():
    [joined] = await read(piece("the "), piece("dra"), piece("ft"))
    assert joined == piece("the draft")


async def test_two_turns_are_never_joined():
    assert await read(piece("x", "a:0:0"), piece("y", "a:1:0")) == [
        piece("x", "a:0:0"),
        piece("y", "a:1:0"),
    ]


async def test_reasoning_and_answer_are_never_joined():
    written = [piece("hm", reasoning=True), piece("yes"), piece("so", reasoning=True)]
    assert await read(*written) == written


async def test_another_event_stands_between_the_pieces_around_it():
    written = [piece("x"), step("b"), piece("y")]
    assert await read(*written) == written


async def test_gathered_pieces_are_handed_on_at_64_characters():
    got = await read(*(piece("ten chars.") for _ in range(10)), piece("z" * 64), piece("end"))
    assert [len(delta) for delta in deltas(got)] == [70, 94, 3]
    assert deltas(await read(piece("x" * 64), piece("y"))) == ["x" * 64, "y"]


async def test_a_piece_that_nothing_follows_is_handed_on_all_the_same():
    events = LiveEvents()
    for delta in ("first", "second"):
        events(piece(delta))
        assert await anext(events) == piece(delta)


async def test_a_close_ends_the_iteration_after_what_is_here_also_when_asked_again():
    events = LiveEvents()
    for event in (step("a"), piece("x"), piece("y")):
        events(event)
    events.close()
    assert [event async for event in events] == [step("a"), piece("xy")]
    assert [event async for event in events] == []
    assert await anext(events, None) is None


async def test_whoever_waits_for_the_beginning_still_reads_it():
    events = LiveEvents()
    for event in (step("a"), piece("x"), step("b")):
        events(event)
    events.close()
    assert await events.begun()
    assert [event async for event in events] == [step("a"), piece("x"), step("b")]


async def test_waiting_for_a_beginning_loses_nothing_that_follows_a_piece():
    events = LiveEvents()
    given = (piece("x"), step("b"), piece("y"))
    for event in given:
        events(event)
    events.close()
    assert await events.begun()
    assert [event async for event in events] == list(given)


async def test_events_that_end_before_the_first_one_have_no_beginning():
    events = LiveEvents()
    events.close()
    assert not await events.begun()
    assert [event async for event in events] == []


async def test_a_reader_of_a_run_gets_its_log_and_its_whole_text(scripted_lab: Lab):
    events, seen = LiveEvents(), list[RunEvent]()

    def listener(event: RunEvent) -> None:
        seen.append(event)
        events(event)

    await scripted_lab.runs.run(RunRequest(flow="challenge", input="hello"), listener)
    events.close()
    got = [event async for event in events]
    assert [e for e in got if e.seq is not None] == [e for e in seen if e.seq is not None]
    texts = [e.payload["delta"] for e in got if e.type == "TEXT_MESSAGE_CONTENT"]
    assert texts == ["the draft", "the critique", "the final answer"]
