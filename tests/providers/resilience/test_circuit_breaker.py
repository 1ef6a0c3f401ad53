"""A breaker leaves alone what failed too often, and sends one call at a time to test it."""

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from agent_lab.errors import CircuitOpenError
from agent_lab.providers.resilience.circuit_breaker import (
    BreakerPolicy,
    Breakers,
    CircuitBreaker,
    Outcome,
    Permit,
    State,
    Transition,
)
from tests.providers.resilience.clock import FakeClock

POLICY = BreakerPolicy(max_failures=3, timeout_s=10.0, error_rate=0.5, window=6, min_calls=4)
Moves = list[tuple[State, State]]


def breaker_of(clock: FakeClock, policy: BreakerPolicy = POLICY) -> tuple[CircuitBreaker, Moves]:
    moves: Moves = []

    def note(before: State, after: State, reason: str) -> None:
        moves.append((before, after))

    return CircuitBreaker(policy, clock.now, note), moves


def breakers_of(clock: FakeClock) -> tuple[Breakers, list[Transition]]:
    transitions: list[Transition] = []
    return Breakers(POLICY, clock.now, transitions.append), transitions


def call(breaker: CircuitBreaker, outcome: Outcome, *, trips: bool = False) -> None:
    permit = breaker.acquire()
    assert permit is not None
    breaker.record(permit, outcome, trips=trips, reason="refused")


def half_open(clock: FakeClock) -> tuple[CircuitBreaker, Moves]:
    breaker, moves = breaker_of(clock)
    call(breaker, "failed", trips=True)
    clock.time += POLICY.timeout_s
    assert breaker.state == "half_open"
    return breaker, moves


class Model:
    """What a breaker must do, in the plainest words."""

    def __init__(self) -> None:
        self.state: State = "closed"
        self.until, self.run = 0.0, 0
        self.outcomes: list[tuple[float, bool]] = []
        self.valid: set[int] = set()
        self.moves: Moves = []

    def move(self, after: State) -> None:
        if self.state != after:
            self.moves.append((self.state, after))
        self.state, self.run, self.outcomes, self.valid = after, 0, [], set()

    def look(self, now: float) -> None:
        if self.state == "open" and now >= self.until:
            self.move("half_open")

    def begin(self, number: int, now: float) -> bool:
        self.look(now)
        if self.state == "open" or (self.state == "half_open" and self.valid):
            return False
        self.valid.add(number)
        return True

    def end(self, number: int, outcome: Outcome, trips: bool, now: float) -> None:
        current = number in self.valid
        self.valid.discard(number)
        if not current or outcome == "neither":
            return
        failed, probe = outcome == "failed", self.state == "half_open"
        self.run = self.run + 1 if failed else 0
        self.outcomes = [*self.outcomes, (now, failed)][-POLICY.window :]
        recent = [bad for at, bad in self.outcomes if at >= now - POLICY.timeout_s]
        many = len(recent) >= POLICY.min_calls and sum(recent) / len(recent) >= POLICY.error_rate
        if failed and (probe or trips or many or self.run >= POLICY.max_failures):
            self.until = now + POLICY.timeout_s
            self.move("open")
        elif probe:
            self.move("closed")


class BreakerMachine(RuleBasedStateMachine):
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.model = FakeClock(), Model()
        self.breaker, self.moves = breaker_of(self.clock)
        self.calls: list[tuple[int, Permit]] = []
        self.begun = 0

    @rule()
    def begin(self) -> None:
        self.begun += 1
        permit = self.breaker.acquire()
        assert (permit is not None) == self.model.begin(self.begun, self.clock.time)
        if permit is not None:
            self.calls.append((self.begun, permit))

    @rule(
        place=st.integers(0, 7),
        outcome=st.sampled_from(["ok", "ok", "failed", "failed", "neither"]),
        trips=st.sampled_from([False, False, False, True]),
    )
    def end(self, place: int, outcome: Outcome, trips: bool) -> None:
        if self.calls:
            number, permit = self.calls.pop(place % len(self.calls))
            self.breaker.record(permit, outcome, trips=trips)
            self.model.end(number, outcome, trips, self.clock.time)

    @rule(outcome=st.sampled_from(["ok", "failed"]))
    def call_at_once(self, outcome: Outcome) -> None:
        before = len(self.calls)
        self.begin()
        if len(self.calls) > before:
            self.end(before, outcome, trips=False)

    @rule(seconds=st.sampled_from([0.5, 3.0, 9.5, 10.0, 25.0]))
    def wait(self, seconds: float) -> None:
        self.clock.time += seconds

    @rule()
    def reset(self) -> None:
        self.breaker.reset()
        self.model.move("closed")

    @rule()
    def look(self) -> None:
        self.model.look(self.clock.time)
        assert self.breaker.state == self.model.state

    @invariant()
    def every_transition_is_reported_once(self) -> None:
        type(self).steps += 1
        assert self.moves == self.model.moves


def test_a_breaker_does_what_its_model_does():
    BreakerMachine.steps = 0
    size = settings(max_examples=250, stateful_step_count=50, deadline=None)
    run_state_machine_as_test(BreakerMachine, settings=size)
    assert BreakerMachine.steps >= 10_000


async def test_a_half_open_breaker_lets_one_of_fifty_concurrent_calls_through():
    breaker, _ = half_open(FakeClock())
    answered = asyncio.Event()

    async def caller() -> bool:
        permit = breaker.acquire()
        if permit is None:
            return False
        await answered.wait()
        breaker.record(permit, "failed")
        return True

    callers = [asyncio.create_task(caller()) for _ in range(50)]
    await asyncio.sleep(0)
    answered.set()
    assert sum(await asyncio.gather(*callers)) == 1
    assert breaker.state == "open"


async def test_a_cancelled_probe_is_given_back():
    clock = FakeClock()
    breakers, _ = breakers_of(clock)
    breakers.admit("host", "model").settle("provider", alive=False, trips=True)
    clock.time += POLICY.timeout_s

    async def caller() -> None:
        admission = breakers.admit("host", "model")
        try:
            await asyncio.Event().wait()
        finally:
            admission.settle(None, alive=False)

    probe = asyncio.create_task(caller())
    await asyncio.sleep(0)
    with pytest.raises(CircuitOpenError, match="another call tests it") as refused:
        breakers.admit("host", "model")
    assert refused.value.details["retry_after"] > 0
    probe.cancel()
    await asyncio.wait([probe])
    breakers.admit("host", "model").settle(None, alive=True)
    assert breakers.states("host")["*"].state == "closed"


@pytest.mark.parametrize("late", ["ok", "failed", "neither"])
def test_a_late_result_of_an_older_epoch_changes_nothing(late: Outcome):
    clock = FakeClock()
    breaker, _ = breaker_of(clock)
    early = [breaker.acquire() for _ in range(6)]
    call(breaker, "failed", trips=True)
    clock.time += POLICY.timeout_s
    probe = breaker.acquire()
    assert probe is not None
    for permit in early:
        assert permit is not None
        breaker.record(permit, late, trips=True)
    assert (breaker.state, breaker.acquire()) == ("half_open", None)
    breaker.record(probe, "ok")
    assert breaker.state == "closed"


def test_a_probe_that_was_given_back_cannot_end_the_next_one():
    breaker, _ = half_open(FakeClock())
    first = breaker.acquire()
    assert first is not None
    breaker.record(first, "neither")
    assert breaker.acquire() is not None
    breaker.record(first, "neither")
    breaker.record(first, "ok")
    assert (breaker.state, breaker.acquire()) == ("half_open", None)


def test_failures_in_a_row_open_it_and_a_success_between_them_does_not_let_them():
    breaker, moves = breaker_of(FakeClock(), BreakerPolicy(max_failures=3, min_calls=100))
    for outcome in ("failed", "failed", "ok", "failed", "neither", "failed"):
        call(breaker, outcome)
    assert moves == []
    call(breaker, "failed")
    assert moves == [("closed", "open")]


def test_a_share_of_failures_opens_it_once_there_are_calls_enough():
    breaker, moves = breaker_of(FakeClock(), POLICY._replace(max_failures=100))
    for outcome in ("failed", "ok", "failed"):
        call(breaker, outcome)
    assert moves == []
    call(breaker, "failed")
    assert moves == [("closed", "open")]


def test_outcomes_older_than_the_timeout_do_not_count_in_the_share():
    clock = FakeClock()
    breaker, moves = breaker_of(clock, POLICY._replace(max_failures=100))
    for outcome in ("failed", "failed", "failed"):
        call(breaker, outcome)
    clock.time += POLICY.timeout_s + 0.5
    call(breaker, "failed")
    assert moves == []


def test_a_success_never_opens_it():
    breaker, moves = breaker_of(FakeClock(), POLICY._replace(max_failures=100))
    for outcome in ("failed", "failed", "failed", "ok"):
        call(breaker, outcome)
    assert moves == []


def test_an_open_breaker_says_how_long_and_lets_a_probe_through_at_that_moment():
    clock = FakeClock()
    breaker, moves = breaker_of(clock)
    assert breaker.seconds_left == 0.0
    call(breaker, "failed", trips=True)
    clock.time += 9.5
    assert (breaker.seconds_left, breaker.acquire()) == (0.5, None)
    clock.time += breaker.seconds_left
    assert breaker.seconds_left == 0.0
    call(breaker, "failed")
    assert breaker.seconds_left == POLICY.timeout_s
    assert moves == [("closed", "open"), ("open", "half_open"), ("half_open", "open")]


def test_what_was_before_a_probes_success_is_forgotten():
    clock = FakeClock()
    breaker, _ = breaker_of(clock)
    for _ in range(3):
        call(breaker, "failed")
    clock.time += POLICY.timeout_s
    call(breaker, "ok")
    call(breaker, "failed")
    assert (breaker.state, breaker.snapshot().failures) == ("closed", 1)


def test_a_reset_closes_it_and_voids_what_is_under_way():
    breaker, moves = half_open(FakeClock())
    probe = breaker.acquire()
    assert probe is not None
    breaker.reset()
    breaker.record(probe, "failed", trips=True)
    assert breaker.state == "closed"
    assert moves[-1] == ("half_open", "closed")


def test_a_providers_failure_closes_all_its_models_and_no_other_provider():
    breakers, _ = breakers_of(FakeClock())
    for _ in range(3):
        breakers.admit("host", "one").settle("provider", alive=False, reason="no route.")
    with pytest.raises(CircuitOpenError, match="Provider `host`.* 10 s: 3 failures.*no route") as e:
        breakers.admit("host", "two")
    assert e.value.details == {"provider": "host", "model": "*", "retry_after": 10.0}
    assert "POST /api/providers/host/reset" in e.value.hint
    states = breakers.states("host")
    assert (states["*"].state, states["one"].state) == ("open", "closed")
    assert (states["*"].failures, states["one"].failures) == (3, 0)
    breakers.admit("other", "one")


def test_a_models_failure_leaves_the_other_models_and_proves_the_provider_alive():
    breakers, transitions = breakers_of(FakeClock())
    for _ in range(2):
        breakers.admit("host", "one").settle("provider", alive=False)
    for _ in range(3):
        breakers.admit("host", "one").settle("model", alive=True, reason="gone")
    with pytest.raises(CircuitOpenError, match="Model `one` of provider `host`") as raised:
        breakers.admit("host", "one")
    assert raised.value.details["model"] == "one"
    assert breakers.states("host")["*"].failures == 0
    breakers.admit("host", "two")
    assert [(t.model, t.before, t.after) for t in transitions] == [("one", "closed", "open")]


def test_a_refused_model_gives_its_providers_probe_back():
    clock = FakeClock()
    breakers, _ = breakers_of(clock)
    other = breakers.admit("host", "two")
    sick = breakers.admit("host", "one")
    other.settle("provider", alive=False, trips=True)
    clock.time += 5.0
    sick.settle("model", alive=True, trips=True)
    clock.time += 5.0
    with pytest.raises(CircuitOpenError, match="Model `one`"):
        breakers.admit("host", "one")
    assert breakers.states("host")["*"].seconds_left == 0.0
    breakers.admit("host", "two")


def test_a_blamed_provider_gives_its_models_probe_back():
    clock = FakeClock()
    breakers, _ = breakers_of(clock)
    breakers.admit("host", "one").settle("model", alive=True, trips=True)
    clock.time += POLICY.timeout_s
    breakers.admit("host", "one").settle("provider", alive=False)
    state = breakers.states("host")["one"]
    assert (state.state, state.seconds_left) == ("half_open", 0.0)


def test_only_the_first_settling_counts():
    breakers, _ = breakers_of(FakeClock())
    admission = breakers.admit("host", "one")
    admission.settle(None, alive=True)
    admission.settle("provider", alive=False, trips=True)
    assert breakers.states("host")["*"].state == "closed"


def test_what_was_not_the_hosts_doing_counts_neither_way():
    breakers, _ = breakers_of(FakeClock())
    breakers.admit("host", "one").settle("model", alive=True)
    breakers.admit("host", "one").settle(None, alive=False)
    assert breakers.states("host")["one"].failures == 1
    breakers.admit("host", "one").settle(None, alive=True)
    assert breakers.states("host")["one"].failures == 0


def test_transitions_are_reported_with_their_reason_and_time():
    clock = FakeClock()
    breakers, transitions = breakers_of(clock)
    breakers.admit("host", "one").settle("provider", alive=False, trips=True, reason="no key")
    clock.time += POLICY.timeout_s
    breakers.admit("host", "one").settle(None, alive=True)
    breakers.reset("host")
    assert transitions == [
        Transition("host", "*", "closed", "open", "a failure that would come again: no key", 0.0),
        Transition("host", "*", "open", "half_open", "10 s have passed", 10.0),
        Transition("host", "*", "half_open", "closed", "the probe was answered", 10.0),
    ]


def test_an_operator_resets_a_provider_and_all_its_models():
    breakers, _ = breakers_of(FakeClock())
    one, two = breakers.admit("host", "one"), breakers.admit("host", "two")
    one.settle("model", alive=True, trips=True)
    two.settle("provider", alive=False, trips=True)
    breakers.reset("host")
    breakers.reset("unknown")
    assert {state.state for state in breakers.states("host").values()} == {"closed"}
    breakers.admit("host", "one")
