"""Local models share the memory: loaded once, never taken from who uses them, freed when idle."""

import asyncio
import random
import threading
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from agent_lab.errors import ModelInUseError, NotEnoughVramError, ProviderUnavailableError
from agent_lab.providers.local.manager.holds import HOLD_S
from agent_lab.providers.local.manager.model_manager import ModelManager
from tests.providers.local.manager.shelf import Shelf, model


class Clock:
    """The event loop's clock, set forward by the test: timers that are due then ring at once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ahead = 0.0
        self._real = self._loop.time

    def now(self) -> float:
        return self._real() + self._ahead

    async def pass_by(self, seconds: float) -> None:
        self._ahead += seconds
        await settle()


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", clock.now)
    return clock


async def settle() -> None:
    """Let everything that can go on go on, the threads included."""
    for _ in range(20):
        await asyncio.sleep(0.001)


@asynccontextmanager
async def managed(shelf: Shelf, idle_s: float = 0.0) -> AsyncIterator[ModelManager]:
    manager = ModelManager(shelf, idle_s=idle_s, now=lambda: asyncio.get_running_loop().time())
    try:
        yield manager
    finally:
        await manager.aclose()
    assert shelf.taken == 0


def begin(work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
    return asyncio.create_task(work)


async def use(manager: ModelManager, key: str, run_id: str = "") -> None:
    async with manager.using(model(key), run_id):
        pass


def keys(manager: ModelManager) -> list[str]:
    return [loaded.key for loaded in manager.loaded()]


def unloads(manager: ModelManager) -> dict[tuple[str, str], int]:
    return {
        (seen.key, reason): number
        for seen in manager.traffic()
        for reason, number in seen.unloads.items()
    }


async def test_fifty_concurrent_first_calls_load_a_model_once():
    shelf = Shelf(100, {"a": 10})
    async with managed(shelf) as manager:
        await asyncio.gather(*(use(manager, "a", f"run-{i}") for i in range(50)))
        assert shelf.loads("a") == {"a": 1}


async def test_who_finds_a_model_loaded_waits_for_nothing():
    async with (
        managed(Shelf(100, {"a": 10})) as manager,
        manager.using(model("a")) as first,
        manager.using(model("a")) as second,
    ):
        assert first.load > 0
        assert second.load == 0
        assert first.executor is second.executor


async def test_models_that_fit_stay_side_by_side():
    shelf = Shelf(30, {"a": 10, "b": 10, "c": 10})
    async with managed(shelf) as manager:
        for key in "abcabcabc":
            await use(manager, key)
        assert shelf.log == ["+a", "+b", "+c"]


async def test_the_least_recently_used_goes_and_only_until_it_fits():
    shelf = Shelf(30, {"a": 10, "b": 10, "c": 10, "d": 10})
    async with managed(shelf) as manager:
        for key in "abcad":
            await use(manager, key)
        assert shelf.log == ["+a", "+b", "+c", "-b", "+d"]
        assert unloads(manager) == {("b", "room"): 1}
        assert shelf.most <= 30


async def test_a_model_in_use_stays_and_who_needs_its_room_waits():
    shelf = Shelf(10, {"a": 10, "b": 10})
    async with managed(shelf) as manager:
        async with manager.using(model("a")):
            waiting = begin(use(manager, "b"))
            await settle()
            assert keys(manager) == ["a"]
            assert not waiting.done()
        await waiting
        assert shelf.log == ["+a", "-a", "+b"]


async def test_a_debates_models_stay_between_its_turns_and_go_soon_after_its_last(clock: Clock):
    shelf = Shelf(20, {"a": 10, "b": 10, "c": 10})
    async with managed(shelf) as manager:
        await use(manager, "a", "debate")
        await use(manager, "c", "other")
        waiting = begin(use(manager, "b", "third"))
        await settle()
        assert shelf.log == ["+a", "+c"]  # both are held
        await clock.pass_by(HOLD_S - 1)
        assert not waiting.done()
        await clock.pass_by(2)
        await waiting
        assert shelf.log == ["+a", "+c", "-a", "+b"]


async def test_two_debates_that_wait_for_each_others_models_both_go_on(clock: Clock):
    shelf = Shelf(20, {"a": 10, "b": 10, "c": 10, "d": 10})
    async with managed(shelf) as manager:
        await asyncio.gather(use(manager, "a", "one"), use(manager, "b", "two"))
        waiting = [begin(use(manager, "c", "one")), begin(use(manager, "d", "two"))]
        for _ in range(4):
            await clock.pass_by(HOLD_S)
        await asyncio.gather(*waiting)
        assert shelf.most <= 20


async def test_a_debate_whose_models_do_not_fit_together_swaps_its_own():
    shelf = Shelf(10, {"a": 10, "b": 10})
    async with managed(shelf) as manager:
        for key in "aba":
            await use(manager, key, "debate")
        assert shelf.log == ["+a", "-a", "+b", "-b", "+a"]


async def test_a_debates_models_get_fewer_slots_rather_than_swapping_each_other_out():
    shelf = Shelf(50, {"a": 10, "b": 10}, slots=4)
    async with managed(shelf) as manager:
        await use(manager, "a", "debate")  # alone, it gets four
        for key in "bababa":
            await use(manager, key, "debate")
        assert shelf.log == ["+a", "+b"]
        assert [loaded.slots for loaded in manager.loaded()] == [4, 1]
    tight = Shelf(45, {"a": 10, "b": 10}, slots=4)
    async with managed(tight) as manager:
        for key in "ababab":
            await use(manager, key, "debate")
        assert tight.log == ["+a", "-a", "+b", "+a"]
        assert [loaded.slots for loaded in manager.loaded()] == [3, 1]


async def test_new_calls_of_a_busy_model_wait_behind_who_waits_for_its_room():
    shelf = Shelf(10, {"a": 10, "b": 10})
    async with managed(shelf) as manager, AsyncExitStack() as first:
        await first.enter_async_context(manager.using(model("a")))
        other = begin(use(manager, "b"))
        await settle()
        late = begin(use(manager, "a"))
        await settle()
        await first.aclose()
        await asyncio.gather(other, late)
        assert shelf.log == ["+a", "-a", "+b", "-b", "+a"]


async def test_a_debate_that_has_begun_goes_past_who_waits_for_its_models_room():
    shelf = Shelf(10, {"a": 10, "b": 10})
    async with managed(shelf) as manager, AsyncExitStack() as turn:
        await turn.enter_async_context(manager.using(model("a"), "debate"))
        other = begin(use(manager, "b"))
        await settle()
        await asyncio.wait_for(use(manager, "a", "debate"), 5)
        assert not other.done()
        other.cancel()


async def test_under_any_load_the_limit_holds_nobody_loses_a_model_and_all_are_served(clock: Clock):
    shelf = Shelf(45, {"a": 10, "b": 20, "c": 30, "d": 10, "e": 45}, slots=2)
    draw, at_work = random.Random(7), Counter[str]()  # noqa: S311 - repeatable, no secret

    async def work(manager: ModelManager, key: str, run_id: str) -> None:
        async with manager.using(model(key), run_id):
            at_work[key] += 1
            for _ in range(draw.randrange(4)):
                await asyncio.sleep(0)
                assert key in keys(manager)
                assert shelf.log.count(f"+{key}") == shelf.log.count(f"-{key}") + 1
            at_work[key] -= 1

    async with managed(shelf) as manager:
        calls = [
            begin(work(manager, draw.choice("aaabbcde"), draw.choice(["", "x", "y", "z"])))
            for _ in range(150)
        ]
        while not all(call.done() for call in calls):
            await clock.pass_by(HOLD_S / 2)
        await asyncio.gather(*calls)
        assert shelf.most <= 45
        assert not +at_work


async def test_what_never_fits_is_said_at_once_with_what_would_help():
    async with managed(Shelf(3_000_000_000, {"a": 5_000_000_000})) as manager:
        with pytest.raises(
            NotEnoughVramError, match=r"`a` needs 5\.00 GB.*3\.00 GB in all"
        ) as raised:
            await use(manager, "a")
    assert "AGENT_LAB_LOCAL_CONTEXT=1024" in raised.value.hint
    assert "MAX_VRAM_USAGE_GB=5" in raised.value.hint
    assert raised.value.details["need_gb"] == 5.0


async def test_memory_that_other_programs_take_counts():
    shelf = Shelf(4_000_000_000, {"a": 3_000_000_000})
    shelf.others = 2_000_000_000
    async with managed(shelf) as manager:
        with pytest.raises(NotEnoughVramError, match=r"2\.00 GB are free: other programs"):
            await use(manager, "a")
        shelf.others = 0
        await use(manager, "a")


async def test_waiting_for_room_ends_before_the_deadline_and_names_who_takes_it(clock: Clock):
    shelf = Shelf(1_000_000_000, {"a": 10**9, "b": 10**9})
    async with managed(shelf) as manager, manager.using(model("a")):
        loop = asyncio.get_running_loop()

        async def wait() -> None:
            async with manager.using(model("b"), deadline=loop.time() + 60):
                pass

        waiting = begin(wait())
        await settle()
        await clock.pass_by(60)
        with pytest.raises(NotEnoughVramError, match=r"`a` \(1\.00 GB, 1 call\)") as raised:
            await waiting
        assert raised.value.details["loaded"] == {"a": 1.0}
        assert "MAX_VRAM_USAGE_GB" in raised.value.hint


async def test_one_that_leaves_the_line_lets_the_next_one_in():
    shelf = Shelf(20, {"a": 10, "b": 20, "c": 10})
    async with managed(shelf) as manager, manager.using(model("a")):
        large = begin(use(manager, "b"))
        await settle()
        small = begin(use(manager, "c"))
        await settle()
        assert not small.done()  # in line: else large ones would wait for ever
        large.cancel()
        await asyncio.wait_for(small, 5)


async def test_a_failed_load_is_told_to_all_who_waited_and_leaves_nothing():
    shelf = Shelf(10, {"a": 10})
    shelf.broken.add("a")
    async with managed(shelf) as manager:
        failures = await asyncio.gather(
            *(use(manager, "a") for _ in range(5)), return_exceptions=True
        )
        assert all(isinstance(failure, ProviderUnavailableError) for failure in failures)
        assert manager.loaded() == ()
        shelf.broken.clear()
        await use(manager, "a")
        assert keys(manager) == ["a"]


async def test_who_leaves_during_a_load_takes_it_from_nobody():
    shelf = Shelf(10, {"a": 10})
    gate = shelf.gates["a"] = threading.Event()
    async with managed(shelf) as manager:
        first, second = begin(use(manager, "a")), begin(use(manager, "a"))
        await settle()
        assert [loaded.state for loaded in manager.loaded()] == ["loading"]
        first.cancel()
        gate.set()
        await second
        assert shelf.loads("a") == {"a": 1}


async def test_a_load_that_all_have_left_ends_in_a_model_that_is_there():
    shelf = Shelf(10, {"a": 10})
    gate = shelf.gates["a"] = threading.Event()
    async with managed(shelf) as manager:
        only = begin(use(manager, "a"))
        await settle()
        only.cancel()
        gate.set()
        await use(manager, "a")
        assert shelf.log == ["+a"]


async def test_what_is_being_loaded_counts_as_taken():
    shelf = Shelf(15, {"a": 10, "b": 10})
    gate = shelf.gates["a"] = threading.Event()
    async with managed(shelf) as manager:
        first, second = begin(use(manager, "a")), begin(use(manager, "b"))
        await settle()
        assert keys(manager) == ["a"]
        gate.set()
        await asyncio.gather(first, second)
        assert shelf.log == ["+a", "-a", "+b"]


async def test_one_that_nobody_uses_for_long_is_unloaded(clock: Clock):
    shelf = Shelf(30, {"a": 10, "b": 10})
    async with managed(shelf, idle_s=300) as manager:
        await use(manager, "a")
        await clock.pass_by(200)
        await use(manager, "a")
        await clock.pass_by(200)
        assert keys(manager) == ["a"]  # used in between
        await clock.pass_by(101)
        assert keys(manager) == []
        assert unloads(manager) == {("a", "idle"): 1}


async def test_one_that_is_in_use_or_was_loaded_by_hand_is_not_idle(clock: Clock):
    shelf = Shelf(30, {"a": 10, "b": 10})
    async with managed(shelf, idle_s=300) as manager:
        await manager.load(model("a"))
        async with manager.using(model("b")):
            await clock.pass_by(1000)
            assert keys(manager) == ["a", "b"]
        await clock.pass_by(301)
        assert keys(manager) == ["a"]


async def test_a_held_model_is_looked_at_again_when_its_hold_is_over(clock: Clock):
    async with managed(Shelf(30, {"a": 10}), idle_s=5) as manager:
        await use(manager, "a", "debate")
        await clock.pass_by(6)
        assert keys(manager) == ["a"]
        await clock.pass_by(HOLD_S + 1)
        await clock.pass_by(HOLD_S + 1)
        assert keys(manager) == []


async def test_an_engine_that_has_ended_is_loaded_anew_once_all_have_left_it():
    shelf = Shelf(30, {"a": 10})
    async with managed(shelf) as manager:
        async with manager.using(model("a")):
            async with manager.using(model("a")):
                shelf.ended.add("a")
            assert keys(manager) == ["a"]
        await settle()
        assert (keys(manager), unloads(manager)) == ([], {("a", "ended"): 1})
        shelf.ended.clear()
        await use(manager, "a")
        shelf.ended.add("a")  # while nobody uses it
        begun = begin(use(manager, "a"))
        await settle()
        assert shelf.log == ["+a", "-a", "+a", "-a", "+a"]
        await begun


async def test_room_is_made_of_one_that_was_loaded_by_hand():
    shelf = Shelf(10, {"a": 10, "b": 10})
    async with managed(shelf) as manager:
        await manager.load(model("a"))
        await use(manager, "b")
        assert shelf.log == ["+a", "-a", "+b"]


async def test_unloading_frees_the_memory_unless_somebody_uses_it():
    shelf = Shelf(10, {"a": 10})
    async with managed(shelf) as manager:
        async with manager.using(model("a")):
            with pytest.raises(ModelInUseError, match="`a` is in use by 1 call"):
                await manager.unload("a")
        await manager.unload("a")
        assert shelf.taken == 0
        await manager.unload("a")  # no error


@pytest.mark.parametrize(
    ("loaded", "key", "fits", "slots"),
    [
        ("", "a", "now", 3),
        ("a", "a", "now", 3),
        ("b", "a", "now", 1),
        ("bc", "a", "after_unload", 3),
        ("", "huge", "never", 0),
    ],
)
async def test_whether_a_model_fits_is_known_before_it_is_loaded(
    loaded: str, key: str, fits: str, slots: int
):
    shelf = Shelf(30, {"a": 10, "b": 20, "c": 10, "huge": 31}, slots=1)
    async with managed(shelf) as manager:
        for other in loaded:
            await use(manager, other)
        shelf.slots = 4
        fit = await manager.fit(model(key))
        assert (fit.fits, fit.slots) == (fits, slots)
        assert fit.limit_gb == 30 / 1e9


async def test_closing_waits_for_what_is_being_loaded_and_frees_all():
    shelf = Shelf(30, {"a": 10, "b": 10})
    gate = shelf.gates["b"] = threading.Event()
    manager = ModelManager(shelf, idle_s=0, now=lambda: 0.0)
    await use(manager, "a")
    loading = begin(use(manager, "b"))
    await settle()
    closing = begin(manager.aclose())
    await settle()
    gate.set()
    await closing
    await loading
    assert shelf.taken == 0
