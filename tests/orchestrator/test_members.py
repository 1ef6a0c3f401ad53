"""Who takes part: the same member through several nodes, groups and draws."""

from typing import Any

import pytest

from agent_lab.flows.flow_plan import plan_flow
from agent_lab.flows.graph_configs import get_flow_config
from agent_lab.orchestrator.agent_state import AgentState
from agent_lab.orchestrator.members import Member, members_of, said_by, sample_path
from tests.orchestrator.conftest import begun, lost, planned, speaker, spoke
from tests.orchestrator.councils import council, group


def ids(found: tuple[Member, ...]) -> list[str]:
    return [member.id for member in found]


def test_members_of_a_group_are_called_as_the_group_calls_them():
    found = members_of(council("ab"), ["drafter"], (), {})
    assert found == (Member("a", ("a_drafter",)), Member("b", ("b_drafter",)))


def test_a_member_that_speaks_in_two_groups_is_one_and_its_latest_text_comes_first():
    found = members_of(council("ab"), ["exchange"], ["drafter"], {})
    assert found == (
        Member("a", ("a_exchange", "a_drafter")),
        Member("b", ("b_exchange", "b_drafter")),
    )


def test_nodes_are_members_by_their_ids_and_by_those_of_the_nodes_where_they_spoke_first():
    plan = planned(*(speaker(i) for i in ("x", "y", "x2", "y2")))
    assert ids(members_of(plan, ["x", "y"], (), {})) == ["x", "y"]
    later = members_of(plan, ["x2", "y2"], ["x", "y"], {})
    assert later == (Member("x", ("x2", "x")), Member("y", ("y2", "y")))


def test_members_are_called_by_the_roles_that_their_flow_gives_them():
    plan = get_flow_config("debate")
    found = members_of(plan_flow(plan), ["exchange"], ["drafter"], {})
    assert ids(found) == ["debater_a", "debater_b", "debater_c"]
    assert found[0].paths == ("a_exchange", "a_drafter")


def test_groups_and_nodes_can_stand_beside_each_other():
    plan = planned(group("drafter", "ab"), speaker("extra"))
    assert ids(members_of(plan, ["drafter", "extra"], (), {})) == ["a", "b", "extra"]


def test_every_draw_is_a_member():
    plan = planned(speaker("solver", type="samples"))
    found = members_of(plan, ["solver"], (), {"solver": 3})
    assert found == tuple(Member(f"solver[{i}]", (f"solver[{i}]",)) for i in range(3))
    assert members_of(plan, ["solver"], (), {"solver": 0}) == ()


def test_draws_of_the_members_of_a_group_are_all_told_apart():
    plan = planned(group("solver", "ab", "samples"))
    found = members_of(plan, ["solver"], (), {"a_solver": 2, "b_solver": 2})
    assert ids(found) == ["a[0]", "a[1]", "b[0]", "b[1]"]


@pytest.mark.parametrize("ids_before", ["a", "ab", "abc", "abcd"])
def test_members_that_did_not_speak_before_have_no_earlier_text(ids_before: str):
    plan = planned(group("drafter", ids_before), group("exchange", "abc"))
    found = members_of(plan, ["exchange"], ["drafter"], {})
    assert ids(found) == ["a", "b", "c"]
    assert [len(member.paths) for member in found] == [2 if i in ids_before else 1 for i in "abc"]


def test_the_path_of_a_draw_is_that_of_its_node_with_its_place():
    assert sample_path("solver", 7) == "solver[7]"


# ------------------------------------------------------------------ what they said

A = Member("a", ("a_exchange", "a_drafter"))


def said(state: AgentState) -> tuple[Any, ...]:
    [one] = said_by([A], state)
    return one.text, one.before, one.failure and one.failure.code


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (begun(), (None, None, None)),
        (spoke(begun(), a_drafter="old"), ("old", None, None)),
        (spoke(begun(), a_drafter="old", a_exchange="new"), ("new", "old", None)),
        (
            lost(spoke(begun(), a_drafter="old"), "a_exchange"),
            ("old", None, "provider_unavailable"),
        ),
        (lost(begun(), "a_drafter"), (None, None, None)),
        (
            lost(spoke(begun(), a_drafter="old", a_exchange="new"), "a_exchange"),
            ("new", "old", "provider_unavailable"),
        ),
        # That it failed at first is of no account once it has spoken.
        (spoke(lost(begun(), "a_drafter"), a_exchange="new"), ("new", None, None)),
    ],
)
def test_what_a_member_says_last_counts_and_a_failure_is_one_of_its_latest_turn(
    state: AgentState, expected: tuple[Any, ...]
):
    assert said(state) == expected
