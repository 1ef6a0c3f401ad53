"""Slots are shared between runs, and a call that leaves the line costs nobody else a place."""

import asyncio

import pytest

from agent_lab.providers.local.manager.fair_slots import FairSlots


class Line:
    """Calls that stand in line, each until it is told to leave its slot."""

    def __init__(self, slots: int) -> None:
        self.slots = FairSlots(slots)
        self.served: list[str] = []
        self.leave: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def join(self, *names: str) -> None:
        for name in names:
            self.leave[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._call(name))
            await asyncio.sleep(0)

    async def done(self, name: str) -> None:
        self.leave[name].set()
        await self.tasks[name]
        await asyncio.sleep(0)

    async def _call(self, name: str) -> None:
        async with self.slots.taken(name[0]):
            self.served.append(name)
            await self.leave[name].wait()


async def test_within_a_run_the_first_who_came_is_served_first():
    line = Line(1)
    await line.join("a1", "a2", "a3")
    for name in ("a1", "a2", "a3"):
        await line.done(name)
    assert line.served == ["a1", "a2", "a3"]


async def test_a_run_with_many_calls_keeps_another_waiting_for_one_only():
    line = Line(1)
    await line.join("a1", "a2", "a3", "a4", "b1")
    await line.done("a1")
    assert line.served == ["a1", "b1"]


async def test_runs_are_served_in_turn():
    line = Line(1)
    await line.join("a1", "a2", "a3", "b1", "b2", "c1")
    for _ in range(6):
        await line.done(line.served[-1])
    assert line.served == ["a1", "b1", "c1", "a2", "b2", "a3"]


async def test_a_free_slot_goes_to_the_run_that_has_the_fewest():
    line = Line(3)
    await line.join("a1", "a2", "b1", "a3", "b2", "c1")
    await line.done("a1")
    assert line.served[-1] == "c1"  # `a` and `b` have one each, `c` has none
    await line.done("a2")
    assert line.served[-1] == "a3"  # `a` has none now
    for name in ("b1", "c1", "a3", "b2"):
        await line.done(name)


async def test_one_that_leaves_the_line_is_passed_over():
    line = Line(1)
    await line.join("a1", "b1", "c1")
    line.tasks["b1"].cancel()
    await line.done("a1")
    assert line.served == ["a1", "c1"]
    await line.done("c1")


async def test_one_that_is_cancelled_when_it_was_just_given_a_slot_passes_it_on():
    line = Line(1)
    async with line.slots.taken("a"):
        await line.join("b1", "c1")
    line.tasks["b1"].cancel()  # the slot is `b1`'s, who has not woken yet
    with pytest.raises(asyncio.CancelledError):
        await line.tasks["b1"]
    await asyncio.sleep(0)
    assert line.served == ["c1"]
    await line.done("c1")
    assert not vars(line.slots)["_served"]


async def test_after_all_have_left_every_slot_is_free_again():
    line = Line(2)
    await line.join("a1", "b1", "c1", "d1")
    for task in line.tasks.values():
        task.cancel()
    await asyncio.gather(*line.tasks.values(), return_exceptions=True)
    await line.join("e1", "f1")
    assert line.served[-2:] == ["e1", "f1"]
    await line.done("e1")
    await line.done("f1")
