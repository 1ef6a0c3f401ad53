"""Calls are admitted in their order, below every limit, and no later than they must be."""

import asyncio
import math
from collections.abc import Coroutine
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from agent_lab.errors import OverloadedError, RequestOverLimitError
from agent_lab.providers.base import RateReport
from agent_lab.providers.registries.provider_registry import RateLimits
from agent_lab.providers.resilience.limit_store import MemoryLimitStore, Reservation, Wait
from agent_lab.providers.resilience.rate_limiter import LimiterStatus, RateLimiter
from tests.providers.resilience.clock import FakeClock

NEVER = math.inf
WINDOW_S = 60.0
# Quarters of a second add up without rounding: what is expected can be compared exactly.
QUARTERS = st.integers(0, 100).map(lambda quarters: quarters / 4)


def limiter_of(clock: FakeClock, **limits: int) -> RateLimiter:
    return RateLimiter("host", RateLimits(**limits), now=clock.now, sleep=clock.sleep)


async def admitted_at(
    limiter: RateLimiter, clock: FakeClock, tokens: int = 1, deadline: float = NEVER
) -> float:
    await limiter.admit(tokens, deadline)
    return clock.time


async def settled() -> None:
    """Let everybody go on who can."""
    for _ in range(5):
        await asyncio.sleep(0)


def ends_at_once(coroutine: Coroutine[Any, Any, object]) -> bool:
    try:
        coroutine.send(None)
    except StopIteration:
        return True
    return False


class Call(NamedTuple):
    arrives_after: float
    tokens: int
    lasts: float = 0.0
    used: int | None = None
    patience: float = NEVER
    cancelled_after: float = NEVER


class Admitted(NamedTuple):
    number: int
    turn: float
    at: float
    tokens: int


LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "requests_per_minute": st.integers(1, 5),
        "tokens_per_minute": st.integers(10, 40),
    },
)
PLAIN_CALLS = st.lists(st.builds(Call, QUARTERS, st.integers(0, 10)), max_size=30)
CALLS = st.lists(
    st.builds(
        Call,
        QUARTERS,
        st.integers(0, 10),
        QUARTERS,
        st.none() | st.integers(0, 25),
        st.sampled_from([5.0, 30.0, 70.0, NEVER, NEVER]),
        st.sampled_from([0.0, 10.0, NEVER, NEVER, NEVER]),
    ),
    max_size=30,
)


def expected_times(calls: list[Call], limits: dict[str, int]) -> list[float]:
    """When each call is admitted by the plainest rule: at the first moment with room."""
    times: list[float] = []
    arrival = 0.0
    for number, call in enumerate(calls):
        arrival += call.arrives_after
        turn = max([arrival, *times[-1:]])
        for moment in sorted([turn, *(t + WINDOW_S for t in times if t + WINDOW_S > turn)]):
            inside = [i for i in range(number) if times[i] + WINDOW_S > moment]
            tokens = sum(calls[i].tokens for i in inside) + call.tokens
            if len(inside) < limits.get("requests_per_minute", NEVER) and (
                tokens <= limits.get("tokens_per_minute", NEVER)
            ):
                times.append(moment)
                break
    return times


async def admit_all(calls: list[Call], limits: dict[str, int]) -> list[Admitted]:
    clock = FakeClock()
    limiter = limiter_of(clock, **limits)
    admitted: list[Admitted] = []

    async def caller(number: int, call: Call) -> None:
        arrived = clock.time
        await limiter.admit(call.tokens, NEVER)
        turn = max([arrived, *(a.at for a in admitted[-1:])])
        admitted.append(Admitted(number, turn, clock.time, call.tokens))

    async with asyncio.TaskGroup() as tasks:
        for number, call in enumerate(calls):
            await clock.sleep(call.arrives_after)
            tasks.create_task(caller(number, call))
            await asyncio.sleep(0)
    return admitted


@given(calls=PLAIN_CALLS, limits=LIMITS)
@settings(deadline=None, max_examples=200)
async def test_calls_are_admitted_in_order_at_the_first_moment_with_room(
    calls: list[Call], limits: dict[str, int]
):
    admitted = await admit_all(calls, limits)
    assert [a.number for a in admitted] == list(range(len(calls)))
    assert [a.at for a in admitted] == expected_times(calls, limits)


@given(calls=PLAIN_CALLS, limits=LIMITS)
@settings(deadline=None, max_examples=200)
async def test_no_window_holds_more_than_the_limits_and_no_call_waits_longer_than_one(
    calls: list[Call], limits: dict[str, int]
):
    admitted = await admit_all(calls, limits)
    for first in admitted:
        window = [a for a in admitted if first.at <= a.at < first.at + WINDOW_S]
        assert len(window) <= limits.get("requests_per_minute", NEVER)
        assert sum(a.tokens for a in window) <= limits.get("tokens_per_minute", NEVER)
        assert first.at <= first.turn + WINDOW_S


class Entry:
    def __init__(self, at: float, tokens: int) -> None:
        self.at, self.tokens, self.requests = at, tokens, 1


class Crowd:
    """Callers who lose patience, are cancelled, and use more or less than they said."""

    def __init__(self, limits: dict[str, int]) -> None:
        self.clock = FakeClock()
        self.limits = limits
        self.limiter = limiter_of(self.clock, **limits)
        self.entries: list[Entry] = []
        self.order: list[int] = []
        self.in_flight = 0

    async def caller(self, number: int, call: Call) -> None:
        deadline = self.clock.time + call.patience
        try:
            reservation = await self.limiter.admit(call.tokens, deadline)
        except OverloadedError:
            self.check_answered_by(deadline)
            return
        self.check_answered_by(deadline)
        self.enter(number, call)
        entry, used = self.entries[-1], call.used
        try:
            await self.clock.sleep(call.lasts)
        finally:
            self.in_flight -= 1
            entry.tokens, entry.requests = used or 0, 0 if used is None else 1
            await self.limiter.settle(reservation, used)

    def check_answered_by(self, deadline: float) -> None:
        assert self.clock.time <= deadline

    def enter(self, number: int, call: Call) -> None:
        self.order.append(number)
        self.in_flight += 1
        self.entries.append(Entry(self.clock.time, call.tokens))
        inside = [e for e in self.entries if e.at + WINDOW_S > self.clock.time]
        requests, tokens = sum(e.requests for e in inside), sum(e.tokens for e in inside)
        assert requests <= self.limits.get("requests_per_minute", NEVER)
        assert tokens <= self.limits.get("tokens_per_minute", NEVER)
        assert self.in_flight <= self.limits.get("concurrency", NEVER)

    async def cancel(self, task: asyncio.Task[None], after: float) -> None:
        await self.clock.sleep(after)
        task.cancel()

    async def play(self, calls: list[Call]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number, call in enumerate(calls):
                await self.clock.sleep(call.arrives_after)
                task = tasks.create_task(self.caller(number, call))
                if call.cancelled_after < NEVER:
                    tasks.create_task(self.cancel(task, call.cancelled_after))


@given(calls=CALLS, limits=LIMITS, places=st.none() | st.integers(1, 3))
@settings(deadline=None, max_examples=300)
async def test_whatever_callers_do_no_limit_is_passed_and_everybody_gets_an_answer(
    calls: list[Call], limits: dict[str, int], places: int | None
):
    crowd = Crowd({**limits, **({"concurrency": places} if places else {})})
    await crowd.play(calls)
    assert crowd.order == sorted(crowd.order)
    status = await crowd.limiter.status()
    assert (status.waiting, status.in_flight, crowd.clock.sleepers) == (0, 0, 0)


def test_without_limits_a_call_is_admitted_without_giving_way():
    clock = FakeClock()
    limiter = limiter_of(clock)
    for _ in range(100):
        assert ends_at_once(limiter.admit(1000, clock.time))
    assert ends_at_once(limiter.park(0))


async def test_the_status_counts_the_last_minute():
    clock = FakeClock()
    limiter = limiter_of(clock, tokens_per_minute=100)
    first = await limiter.admit(60, NEVER)
    waiter = asyncio.create_task(limiter.admit(60, NEVER))
    await settled()
    assert await limiter.status() == LimiterStatus(1, 1, 1, 60, 0.0)
    await limiter.settle(first, 40)
    await waiter
    assert await limiter.status() == LimiterStatus(0, 1, 2, 100, 0.0)
    clock.time += WINDOW_S
    assert await limiter.status() == LimiterStatus(0, 1, 0, 0, 0.0)


async def test_fewer_tokens_than_reserved_let_the_next_one_in_at_once():
    clock = FakeClock()
    limiter = limiter_of(clock, tokens_per_minute=100)
    first = await limiter.admit(80, NEVER)
    waiter = asyncio.create_task(admitted_at(limiter, clock, 60))
    await clock.sleep(2.0)
    await limiter.settle(first, 40)
    assert await waiter == 2.0


async def test_more_tokens_than_reserved_make_the_next_one_wait():
    clock = FakeClock()
    limiter = limiter_of(clock, tokens_per_minute=100)
    await limiter.settle(await limiter.admit(10, NEVER), 150)
    assert await admitted_at(limiter, clock, 10) == WINDOW_S


async def test_what_was_never_sent_is_given_back_whole():
    clock = FakeClock()
    limiter = limiter_of(clock, requests_per_minute=1, tokens_per_minute=100, concurrency=1)
    await limiter.settle(await limiter.admit(100, NEVER), None)
    assert await limiter.status() == LimiterStatus(0, 0, 0, 0, 0.0)
    assert await admitted_at(limiter, clock, 100) == 0.0
    clock.time += 30.0
    assert await limiter.status() == LimiterStatus(0, 1, 1, 100, 0.0)


async def test_only_the_first_settling_counts():
    clock = FakeClock()
    limiter = limiter_of(clock, concurrency=2)
    first = await limiter.admit(10, NEVER)
    await limiter.admit(10, NEVER)
    await limiter.settle(first, 5)
    await limiter.settle(first, None)
    assert await limiter.status() == LimiterStatus(0, 1, 2, 15, 0.0)


async def test_a_call_that_outlasts_the_window_is_settled_without_harm():
    clock = FakeClock()
    limiter = limiter_of(clock, requests_per_minute=5, tokens_per_minute=100)
    for used in (70, None):
        long = await limiter.admit(50, NEVER)
        clock.time += WINDOW_S
        assert (await limiter.status()).tokens_used == 0
        await limiter.settle(long, used)
        assert await limiter.status() == LimiterStatus(0, 0, 0, 0, 0.0)


async def test_no_more_calls_than_places_are_in_flight_and_a_freed_one_is_taken_at_once():
    clock = FakeClock()
    limiter = limiter_of(clock, concurrency=2)
    log: list[tuple[int, float]] = []

    async def caller(number: int) -> None:
        reservation = await limiter.admit(1, NEVER)
        log.append((number, clock.time))
        await clock.sleep(10.0)
        await limiter.settle(reservation, 1)

    async with asyncio.TaskGroup() as tasks:
        for number in range(5):
            tasks.create_task(caller(number))
    assert log == [(0, 0.0), (1, 0.0), (2, 10.0), (3, 10.0), (4, 20.0)]


async def test_as_many_tokens_as_leave_the_window_are_room_for_as_many():
    clock = FakeClock()
    limiter = limiter_of(clock, tokens_per_minute=10)
    times = [await admitted_at(limiter, clock, tokens) for tokens in (4, 6, 10)]
    assert times == [0.0, 0.0, WINDOW_S]


async def test_a_small_call_does_not_overtake_a_large_one():
    clock = FakeClock()
    limiter = limiter_of(clock, tokens_per_minute=100)
    await limiter.admit(90, NEVER)
    large = asyncio.create_task(admitted_at(limiter, clock, 50))
    await settled()
    assert await admitted_at(limiter, clock, 1) == WINDOW_S
    assert await large == WINDOW_S


async def test_a_cancelled_head_wakes_the_next():
    clock = FakeClock()
    limiter = limiter_of(clock, tokens_per_minute=100)
    await limiter.admit(90, NEVER)
    large = asyncio.create_task(limiter.admit(50, NEVER))
    small = asyncio.create_task(admitted_at(limiter, clock, 10))
    await settled()
    large.cancel()
    assert await small == 0.0
    await settled()
    assert clock.sleepers == 0


async def test_a_cancelled_waiter_behind_the_head_leaves_the_queue():
    clock = FakeClock()
    limiter = limiter_of(clock, requests_per_minute=1)
    await limiter.admit(1, NEVER)
    waiters = [asyncio.create_task(admitted_at(limiter, clock)) for _ in range(3)]
    await settled()
    waiters[1].cancel()
    assert await waiters[0] == WINDOW_S
    assert await waiters[2] == 2 * WINDOW_S


async def test_nobody_who_waits_keeps_a_timer_but_the_head():
    clock = FakeClock()
    limiter = limiter_of(clock, requests_per_minute=1)
    await limiter.admit(1, NEVER)
    assert clock.sleepers == 0
    waiters = [asyncio.create_task(limiter.admit(1, NEVER)) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert clock.sleepers == 1
    for waiter in waiters:
        waiter.cancel()
    await asyncio.wait(waiters)
    await settled()
    assert clock.sleepers == 0


@pytest.mark.parametrize("asked", [60.0, 59.75])
async def test_a_wait_that_ends_at_the_deadline_is_made_and_a_longer_one_fails_at_once(
    asked: float,
):
    clock = FakeClock()
    limiter = limiter_of(clock, requests_per_minute=1)
    await limiter.admit(1, NEVER)
    if asked == WINDOW_S:
        assert await admitted_at(limiter, clock, deadline=asked) == WINDOW_S
        return
    with pytest.raises(OverloadedError, match=r"`host` takes no call for 60\.0 s") as raised:
        await limiter.admit(1, asked)
    assert "`requests_per_minute`" in str(raised.value)
    assert raised.value.details == {"provider": "host", "retry_after": WINDOW_S}
    assert "[providers.host.limits]" in raised.value.hint
    assert clock.time == 0.0
    assert (await limiter.status()).waiting == 0


async def test_a_call_behind_one_that_waits_too_long_fails_at_once():
    clock = FakeClock()
    limiter = limiter_of(clock, requests_per_minute=1)
    await limiter.admit(1, NEVER)
    head = asyncio.create_task(admitted_at(limiter, clock))
    await settled()
    with pytest.raises(OverloadedError):
        await limiter.admit(1, 30.0)
    assert clock.time == 0.0
    assert await head == WINDOW_S


async def test_a_call_that_waits_for_a_place_fails_when_its_deadline_passes():
    clock = FakeClock()
    limiter = limiter_of(clock, concurrency=1)
    await limiter.admit(1, NEVER)
    head = asyncio.create_task(admitted_at(limiter, clock, deadline=20.0))
    await settled()
    with pytest.raises(OverloadedError, match=r"took none for 12\.0 s \(`concurrency`\)") as raised:
        await limiter.admit(1, 12.0)
    assert clock.time == 12.0
    assert raised.value.details["retry_after"] > 0
    with pytest.raises(OverloadedError):
        await head
    assert clock.time == 20.0


async def test_a_request_larger_than_a_minutes_tokens_is_refused_at_once():
    limiter = limiter_of(FakeClock(), tokens_per_minute=100)
    with pytest.raises(RequestOverLimitError, match="101 tokens.*`host`.* 100 a minute") as raised:
        await limiter.admit(101, NEVER)
    assert "[providers.host.limits]" in raised.value.hint
    await limiter.admit(100, NEVER)


async def test_nobody_is_admitted_while_parked_and_a_shorter_pause_does_not_end_a_longer():
    clock = FakeClock()
    limiter = limiter_of(clock)
    await limiter.park(10.0)
    await limiter.park(2.0)
    assert (await limiter.status()).parked_s == 10.0
    with pytest.raises(OverloadedError, match=r"10\.0 s \(`retry_after`\)"):
        await limiter.admit(1, 9.75)
    assert await admitted_at(limiter, clock) == 10.0


async def test_a_pause_is_told_at_once_to_all_who_wait_and_whose_deadline_it_passes():
    clock = FakeClock()
    limiter = limiter_of(clock, concurrency=1)
    first = await limiter.admit(1, NEVER)
    waiters = [
        asyncio.create_task(admitted_at(limiter, clock, deadline=deadline))
        for deadline in (NEVER, 20.0, NEVER)
    ]
    await settled()
    await limiter.park(30.0)
    with pytest.raises(OverloadedError):
        await waiters[1]
    assert clock.time == 0.0
    await limiter.settle(first, 1)
    assert await waiters[0] == 30.0
    waiters[2].cancel()


async def test_a_pause_holds_for_a_newcomer_before_the_head_has_looked():
    clock = FakeClock()
    limiter = limiter_of(clock, concurrency=1)
    await limiter.admit(1, NEVER)
    head = asyncio.create_task(limiter.admit(1, NEVER))
    await settled()
    await limiter.park(30.0)
    await limiter.park(2.0)
    with pytest.raises(OverloadedError, match=r"30\.0 s \(`retry_after`\)"):
        await limiter.admit(1, 20.0)
    assert clock.time == 0.0
    head.cancel()


async def test_what_the_head_waited_for_is_not_held_against_a_newcomer_once_there_is_room():
    clock = FakeClock()
    limiter = limiter_of(clock, tokens_per_minute=100)
    first = await limiter.admit(90, NEVER)
    head = asyncio.create_task(admitted_at(limiter, clock, 50))
    await settled()
    await limiter.settle(first, 0)
    assert await admitted_at(limiter, clock, 50, deadline=30.0) == 0.0
    assert await head == 0.0


async def test_the_host_has_no_more_left_than_it_said_until_it_starts_afresh():
    clock = FakeClock()
    limiter = limiter_of(clock)
    await limiter.learn(RateReport(0.0, requests_remaining=2, requests_reset_s=5.0))
    assert [await admitted_at(limiter, clock) for _ in range(4)] == [0.0, 0.0, 5.0, 5.0]


async def test_the_host_has_no_more_tokens_than_it_said():
    clock = FakeClock()
    limiter = limiter_of(clock)
    await limiter.learn(RateReport(0.0, tokens_remaining=100, tokens_reset_s=5.0))
    first = await limiter.admit(80, NEVER)
    with pytest.raises(OverloadedError, match="`tokens_remaining`"):
        await limiter.admit(30, 1.0)
    await limiter.settle(first, 60)
    assert await admitted_at(limiter, clock, 30) == 0.0
    assert await admitted_at(limiter, clock, 30) == 5.0


async def test_what_was_admitted_since_the_report_counts_and_what_was_before_does_not():
    clock = FakeClock()
    limiter = limiter_of(clock)
    before = await limiter.admit(50, NEVER)
    clock.time = 2.0
    since, refunded = await limiter.admit(50, NEVER), await limiter.admit(50, NEVER)
    await limiter.settle(refunded, None)
    await limiter.learn(RateReport(1.0, 2, 10.0, 100, 10.0))
    await limiter.settle(before, 1000)
    assert await admitted_at(limiter, clock, 50) == 2.0
    waiter = asyncio.create_task(admitted_at(limiter, clock, 10))
    await clock.sleep(1.0)
    await limiter.settle(since, None)
    assert await waiter == 3.0
    assert await admitted_at(limiter, clock, 10) == 11.0


async def test_an_older_report_than_the_newest_is_ignored_and_a_newer_one_is_heard_at_once():
    clock = FakeClock()
    limiter = limiter_of(clock)
    clock.time = 2.0
    await limiter.learn(RateReport(2.0, requests_remaining=0, requests_reset_s=30.0))
    await limiter.learn(RateReport(1.0, requests_remaining=9, requests_reset_s=1.0))
    waiter = asyncio.create_task(admitted_at(limiter, clock))
    await clock.sleep(1.0)
    await limiter.learn(RateReport(3.0, requests_remaining=1, requests_reset_s=30.0))
    assert await waiter == 3.0
    assert await admitted_at(limiter, clock) == 33.0


async def test_a_report_without_the_end_of_its_window_says_nothing():
    clock = FakeClock()
    limiter = limiter_of(clock)
    await limiter.learn(RateReport(0.0, requests_remaining=0, tokens_remaining=0))
    assert await admitted_at(limiter, clock) == 0.0


class DistantStore(MemoryLimitStore):
    """A store that takes time to answer."""

    @override
    async def take(
        self, name: str, tokens: int, limits: RateLimits, now: float
    ) -> Reservation | Wait:
        taken = await super().take(name, tokens, limits, now)
        await asyncio.sleep(0)
        return taken


async def test_a_store_that_takes_its_time_mixes_up_no_order_and_loses_no_call():
    clock = FakeClock()
    limits = RateLimits(concurrency=1)
    limiter = RateLimiter("host", limits, store=DistantStore(), now=clock.now, sleep=clock.sleep)
    order: list[int] = []

    async def caller(number: int) -> None:
        reservation = await limiter.admit(1, NEVER)
        order.append(number)
        await asyncio.sleep(0)
        await limiter.settle(reservation, 1)

    async with asyncio.TaskGroup() as tasks:
        for number in range(20):
            tasks.create_task(caller(number))
    assert order == list(range(20))


async def test_a_clock_that_goes_on_while_it_is_read_makes_nobody_oversleep():
    clock = FakeClock()

    def now() -> float:
        clock.time += 2**-20
        return clock.time

    async def too_short(seconds: float) -> None:
        await clock.sleep(max(2**-22, seconds - 3 * 2**-21))

    limiter = RateLimiter("host", RateLimits(requests_per_minute=1), now=now, sleep=too_short)
    times = [await admitted_at(limiter, clock, deadline=clock.time + 100) for _ in range(4)]
    assert times == pytest.approx([0.0, 60.0, 120.0, 180.0], abs=0.001)
