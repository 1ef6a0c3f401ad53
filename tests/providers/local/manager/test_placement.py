"""Who goes to make room: the least recently used, never in vain, never one that is in use."""

from hypothesis import given
from hypothesis import strategies as st

from agent_lab.providers.local.manager.placement import (
    Option,
    Placement,
    Resident,
    best_option,
    place,
)

TWO_WAYS = (Option(4, 40), Option(1, 10))


def test_a_model_gets_the_most_slots_that_fit():
    assert place(TWO_WAYS, 40, []) == Placement("load", Option(4, 40))
    assert place(TWO_WAYS, 39, []) == Placement("load", Option(1, 10))


def test_nothing_goes_while_the_model_fits_in_any_way():
    assert place(TWO_WAYS, 10, [Resident("idle", 100, 0)]).way == "load"


def test_the_least_recently_used_goes_first():
    residents = [Resident("new", 10, 3), Resident("old", 10, 1), Resident("middle", 10, 2)]
    assert place(TWO_WAYS, 0, residents) == Placement("evict", evict="old")


def test_one_that_is_in_use_never_goes_however_old_it_is():
    residents = [Resident("busy", 10, 0, stays=True), Resident("idle", 10, 9)]
    assert place(TWO_WAYS, 0, residents).evict == "idle"


def test_nothing_goes_in_vain():
    residents = [Resident("busy", 90, 0, stays=True), Resident("idle", 5, 1)]
    assert place((Option(1, 50),), 0, residents) == Placement("wait")


def test_what_would_not_fit_into_an_empty_memory_is_said_at_once():
    assert place((Option(1, 101),), 50, [Resident("idle", 50, 0)]) == Placement("never")


def test_a_debates_own_models_go_last():
    residents = [Resident("own", 10, 0, own=True), Resident("other", 10, 5)]
    assert place(TWO_WAYS, 0, residents).evict == "other"
    assert place(TWO_WAYS, 0, residents[:1]).evict == "own"


def test_fewer_slots_are_taken_where_a_debates_other_model_needs_the_rest():
    assert place(TWO_WAYS, 45, [], reserve=30).option == Option(1, 10)
    # What cannot be left to it anyway is taken.
    assert place(TWO_WAYS, 45, [], reserve=44).option == Option(4, 40)


residents = st.lists(
    st.builds(
        Resident,
        key=st.uuids().map(str),
        need=st.integers(1, 50),
        used_at=st.integers(0, 9),
        stays=st.booleans(),
        own=st.booleans(),
    ),
    max_size=6,
)


@given(residents, st.integers(-20, 60), st.integers(1, 80))
def test_following_the_placements_ends_in_room_without_touching_who_stays(
    there: list[Resident], spare: int, need: int
):
    options = (Option(2, 2 * need), Option(1, need))
    while (placed := place(options, spare, there)).way == "evict":
        gone = next(resident for resident in there if resident.key == placed.evict)
        assert not gone.stays
        assert best_option(options, spare) is None
        there = [resident for resident in there if resident is not gone]
        spare += gone.need
    if placed.way == "load":
        assert placed.option is not None
        assert placed.option.need <= spare
    else:
        idle = sum(resident.need for resident in there if not resident.stays)
        assert need > spare + idle
