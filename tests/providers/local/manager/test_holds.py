"""A debate's models stay between its turns, for a while, and not while it waits itself."""

import pytest

from agent_lab.providers.local.manager.holds import HOLD_S, Holds


class Clock:
    time = 100.0

    def now(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def holds(clock: Clock) -> Holds:
    return Holds(clock.now)


def test_a_model_is_held_during_a_turn_and_ten_seconds_after_it(holds: Holds, clock: Clock):
    holds.begin("r", "a")
    clock.time += 1000
    assert holds.held("a")
    holds.end("r")
    clock.time += HOLD_S - 1
    assert holds.held("a")
    clock.time += 1
    assert not holds.held("a")


def test_each_turn_renews_the_hold_of_all_models_of_its_run(holds: Holds, clock: Clock):
    for key in ("a", "b", "b", "b"):
        holds.begin("r", key)
        clock.time += HOLD_S - 1
        holds.end("r")
        clock.time += HOLD_S - 1
    assert holds.held("a")
    assert holds.models("r") == {"a", "b"}


def test_a_run_is_not_in_the_way_of_itself(holds: Holds):
    holds.begin("r", "a")
    assert not holds.held("a", but_by="r")
    holds.begin("s", "a")
    assert holds.held("a", but_by="r")


def test_calls_of_no_run_hold_nothing(holds: Holds):
    holds.begin("", "a")
    assert not holds.held("a")
    holds.end("")


def test_the_next_end_is_the_soonest_of_those_that_take_no_turn(holds: Holds, clock: Clock):
    assert holds.next_end() is None
    holds.begin("busy", "a")
    for run_id in ("first", "second"):
        holds.begin(run_id, "b")
        holds.end(run_id)
        clock.time += 1
    assert holds.next_end() == 100.0 + HOLD_S
    clock.time += HOLD_S - 1
    assert holds.next_end() is None or holds.next_end() == 101.0 + HOLD_S


def test_of_runs_that_are_over_nothing_is_kept(holds: Holds, clock: Clock):
    for number in range(1000):
        holds.begin(f"r{number}", "a")
        holds.end(f"r{number}")
        clock.time += HOLD_S
    assert len(vars(holds)["_runs"]) <= 2
