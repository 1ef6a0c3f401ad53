"""Where a run goes: each rule on graphs that do nothing else, and all of them on random ones."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.flows.conditions import holds
from agent_lab.flows.course import Course
from agent_lab.flows.flow_plan import plan_flow
from agent_lab.flows.graph_configs import FlowConfig


def course_of(edges: str, *, loops: list[dict[str, Any]] | None = None, entry: str = "a") -> Course:
    """A course from `a-b, a-c, b?-d`: a question mark makes an edge conditional on its source."""
    parsed: list[dict[str, Any]] = []
    for edge in filter(None, edges.replace(" ", "").split(",")):
        source, target = edge.split("-")
        condition = None
        if source.endswith("?"):
            source = source[:-1]
            condition = {"op": "eq", "left": {"var": f"{source}_{target}"}, "right": True}
        parsed.append({"source": source, "target": target, "condition": condition})
    ids = sorted({entry, *(e[end] for e in parsed for end in ("source", "target"))})
    flow = FlowConfig.model_validate(
        {
            "name": "test",
            "nodes": [{"id": node_id} for node_id in ids],
            "edges": parsed,
            "loops": loops or [],
            "entry_point": entry,
        }
    )
    return Course(plan_flow(flow))


def walk(
    course: Course,
    values: Mapping[str, Any] | None = None,
    stop: Callable[[str], str] = lambda node: "",
) -> tuple[list[list[str]], dict[str, str]]:
    """Run as LangGraph does, in steps; returns the nodes that ran in each, and what stopped."""
    routes: dict[str, tuple[str, ...] | None] = {}
    rounds: dict[str, int] = {}
    stops: dict[str, str] = {}
    awake, steps = list(course.entries), []
    while awake:
        ran = [node for node in awake if course.is_ready(node, routes)]
        if ran:
            steps.append(ran)
        moves = [
            course.move(node, routes, rounds, lambda c: holds(c, dict(values or {})), stop(node))
            for node in ran
        ]
        for move in moves:
            routes |= move.routes
            rounds |= move.rounds
            stops |= move.stops
        awake = sorted({target for move in moves for target in move.targets})
        assert len(steps) <= course.most_steps
    return steps, stops


def test_a_join_waits_for_branches_of_unequal_length():
    # LangGraph's own deferred nodes run `j` twice here, the first time before `x`.
    steps, _ = walk(course_of("a-b, a-c, b-i, c-i, i-x, x-j, a-j"))
    assert steps == [["a"], ["b", "c"], ["i"], ["x"], ["j"]]


def test_a_join_does_not_wait_for_a_branch_that_was_not_taken():
    steps, _ = walk(course_of("a?-b, a-c, b-d, c-d"))
    assert steps == [["a"], ["c"], ["d"]]
    steps, _ = walk(course_of("a?-b, a-c, b-d, c-d"), {"a_b": True})
    assert steps == [["a"], ["b"], ["d"]]


def test_a_branch_that_is_lost_last_wakes_the_join_that_waited_for_it():
    # `b` arrives at `d` first; then `c2` decides against the branch that `d` still waited for.
    steps, _ = walk(course_of("a-b, a-c, c-c2, c2?-e, e-d, b-d, c2?-f"), {"c2_f": True})
    assert steps == [["a"], ["b", "c"], ["c2"], ["d", "f"]]


def test_a_join_that_no_branch_reaches_does_not_run():
    steps, _ = walk(course_of("a?-b, a?-c, b-d, c-d"))
    assert steps == [["a"]]


LOOP: list[dict[str, Any]] = [
    {
        "id": "rounds",
        "first": "b",
        "last": "c",
        "max_rounds": 3,
        "until": {"op": "eq", "left": {"var": "done"}, "right": True},
        "reason": "agreement",
    }
]


def test_a_loop_runs_until_its_bound_then_goes_on():
    steps, stops = walk(course_of("a-b, b-c, c-d", loops=LOOP))
    assert [node for (node,) in steps] == ["a", *["b", "c"] * 3, "d"]
    assert stops == {"rounds": "max_rounds"}


def test_a_stop_rule_ends_a_loop_but_never_before_its_first_round_is_complete():
    steps, stops = walk(course_of("a-b, b-c, c-d", loops=LOOP), {"done": True})
    assert [node for (node,) in steps] == ["a", "b", "c", "d"]
    assert stops == {"rounds": "agreement"}


def test_a_stop_rule_that_holds_after_the_first_node_of_a_later_round_skips_the_rest_of_it():
    course = course_of("a-b, b-c, c-d", loops=LOOP)
    routes: dict[str, tuple[str, ...] | None] = {"a": ("b",), "b": None, "c": None}
    move = course.move("b", routes, {"rounds": 1}, lambda condition: True)
    assert move.targets == ("d",)
    assert move.routes == {"b": (), "c": ("d",)}
    assert move.stops == {"rounds": "agreement"}


def test_a_loop_without_a_stop_rule_completes():
    loop = [{"id": "rounds", "first": "a", "last": "a", "max_rounds": 2}]
    steps, stops = walk(course_of("", loops=loop))
    assert steps == [["a"], ["a"]]
    assert stops == {"rounds": "completed"}


def test_a_hard_stop_ends_a_loop_after_a_complete_round():
    course = course_of("a-b, b-c, c-d", loops=LOOP)
    steps, stops = walk(course, stop=lambda node: "budget")
    assert [node for (node,) in steps] == ["a", "b", "c", "d"]
    assert stops == {"rounds": "budget"}


def test_an_inner_loop_begins_anew_in_each_round_of_the_outer_one():
    loops = [
        {"id": "outer", "first": "a", "last": "c", "max_rounds": 2},
        {"id": "inner", "first": "b", "last": "b", "max_rounds": 2},
    ]
    course = course_of("a-b, b-c", loops=loops)
    steps, _ = walk(course)
    assert [node for (node,) in steps] == ["a", "b", "b", "c"] * 2
    assert course.passes("b") == 4
    assert [loop.id for loop in course.loops_of("b")] == ["inner", "outer"]


def test_a_join_within_a_loop_waits_in_each_round():
    loops = [{"id": "rounds", "first": "a", "last": "d", "max_rounds": 2}]
    steps, _ = walk(course_of("a-b, a-c, b-d, c-d, d-e", loops=loops))
    assert steps == [["a"], ["b", "c"], ["d"]] * 2 + [["e"]]


def test_the_pause_before_a_round_doubles():
    loop = [{**LOOP[0], "backoff_s": 0.5}]
    course = course_of("a-b, b-c, c-d", loops=loop)
    pauses = [
        course.move("c", {}, {"rounds": done}, lambda condition: False).pause_s for done in (0, 1)
    ]
    assert pauses == [0.5, 1.0]


@st.composite
def dags(draw: st.DrawFn) -> tuple[Course, dict[str, bool]]:
    """A random graph without circles, some of whose edges are conditional, and what holds."""
    size = draw(st.integers(2, 8))
    names = [f"n{i}" for i in range(size)]
    edges, values = [], {}
    for j in range(1, size):
        for i in sorted(draw(st.sets(st.integers(0, j - 1), min_size=1, max_size=3))):
            conditional = draw(st.booleans())
            edges.append(f"{names[i]}{'?' * conditional}-{names[j]}")
            values[f"{names[i]}_{names[j]}"] = draw(st.booleans())
    return course_of(", ".join(edges), entry="n0"), values


@given(dags())
def test_every_node_runs_at_most_once_and_exactly_if_an_edge_to_it_was_taken(
    drawn: tuple[Course, dict[str, bool]],
):
    course, values = drawn
    routes: dict[str, tuple[str, ...] | None] = {}
    awake, order = list(course.entries), []
    while awake:
        ran = [node for node in awake if course.is_ready(node, routes)]
        order += ran
        woken: set[str] = set()
        for move in [course.move(n, routes, {}, lambda c: holds(c, values)) for n in ran]:
            routes |= move.routes
            woken |= set(move.targets)
        awake = sorted(woken)
    assert len(order) == len(set(order))
    taken = {target for targets in routes.values() for target in targets or ()}
    assert set(order) == {"n0"} | taken
    place = {node: index for index, node in enumerate(order)}
    for source, targets in routes.items():
        for target in targets or ():
            assert place[source] < place[target]


@pytest.mark.parametrize(
    ("edges", "one", "other", "both"),
    [
        ("a-b, a-c", "b", "c", True),
        ("a?-b, a-c", "b", "c", False),
        ("a-b, b-c", "b", "c", False),
        ("a-b, b?-c, b-d", "c", "d", False),
    ],
)
def test_nodes_run_beside_each_other_unless_a_condition_chooses(
    edges: str, one: str, other: str, both: bool
):
    assert course_of(edges).may_both_run(one, other) is both


# --- groups -------------------------------------------------------------------------------------

SETTLED = {"op": "eq", "left": {"var": "settled"}, "right": True}
OPEN = {"op": "eq", "left": {"var": "settled"}, "right": False}


def grouped(
    *edges: tuple[str, str, Any], members: str = "xyz", loops: Any = (), entry: str = "gate"
) -> Course:
    """A course in which each node with a capital letter is a group of these members."""
    ids = sorted({entry, *(end for edge in edges for end in edge[:2])})
    group: dict[str, Any] = {"members": {member: {} for member in members}}
    flow = FlowConfig.model_validate(
        {
            "name": "test",
            "nodes": [{"id": i.lower(), "group": group} if i.isupper() else {"id": i} for i in ids],
            "edges": [
                {"source": source.lower(), "target": target.lower(), "condition": condition}
                for source, target, condition in edges
            ],
            "loops": loops,
            "entry_point": entry.lower(),
        }
    )
    return Course(plan_flow(flow))


def test_a_condition_leads_to_all_members_of_a_group_or_to_none():
    course = grouped(("gate", "E", OPEN), ("E", "end", None))
    steps, _ = walk(course, {"settled": False})
    assert steps == [["gate"], ["x_e", "y_e", "z_e"], ["end"]]
    steps, _ = walk(course, {"settled": True})
    assert steps == [["gate"]]


def test_of_two_groups_behind_a_node_the_condition_chooses_one():
    course = grouped(("gate", "E", OPEN), ("gate", "F", None), ("E", "end", None))
    steps, _ = walk(course, {"settled": False})
    assert steps == [["gate"], ["x_e", "y_e", "z_e"], ["end"]]
    steps, _ = walk(course, {"settled": True})
    assert steps == [["gate"], ["x_f", "y_f", "z_f"]]


def test_edges_with_the_same_condition_are_taken_together_and_the_first_that_holds_alone():
    course = grouped(
        ("gate", "a", OPEN), ("gate", "b", SETTLED), ("gate", "c", OPEN), ("gate", "d", None)
    )
    assert walk(course, {"settled": False})[0] == [["gate"], ["a", "c"]]
    assert walk(course, {"settled": True})[0] == [["gate"], ["b"]]
    assert walk(course, {"settled": None})[0] == [["gate"], ["d"]]


def test_members_behind_a_condition_run_beside_each_other_and_those_of_another_one_do_not():
    course = grouped(("gate", "E", OPEN), ("gate", "F", SETTLED))
    assert course.may_both_run("x_e", "y_e")
    assert not course.may_both_run("x_e", "x_f")


ROUNDS = [
    {
        "id": "rounds",
        "first": "e",
        "last": "vote",
        "max_rounds": 3,
        "until": SETTLED,
        "reason": "agreement",
    }
]
DEBATE = (("gate", "E", OPEN), ("E", "B", None), ("B", "vote", None), ("vote", "end", None))


def test_a_loop_that_begins_with_a_group_runs_all_of_it_in_every_round():
    course = grouped(*DEBATE, loops=ROUNDS)
    [loop] = course.loops_of("x_e")
    assert course.begins(loop) == ("x_e", "y_e", "z_e")
    members = {f"{member}_{group}" for member in "xyz" for group in "eb"}
    assert course.body(loop) == members | {"vote"}
    assert [course.passes(i) for i in ("gate", "x_e", "z_b", "vote", "end")] == [1, 3, 3, 3, 1]
    steps, stops = walk(course, {"settled": False})
    one_round = [["x_e", "y_e", "z_e"], ["x_b", "y_b", "z_b"], ["vote"]]
    assert steps == [["gate"], *one_round * 3, ["end"]]
    assert stops == {"rounds": "max_rounds"}


def test_a_loop_that_begins_with_a_group_ends_by_its_rule_after_a_complete_round():
    course = grouped(("gate", "E", None), *DEBATE[1:], loops=ROUNDS)
    steps, stops = walk(course, {"settled": True})
    assert steps == [["gate"], ["x_e", "y_e", "z_e"], ["x_b", "y_b", "z_b"], ["vote"], ["end"]]
    assert stops == {"rounds": "agreement"}


def test_a_loop_behind_a_condition_that_does_not_hold_is_left_out_as_a_whole():
    course = grouped(*DEBATE, loops=ROUNDS)
    steps, stops = walk(course, {"settled": True})
    assert steps == [["gate"]]
    assert stops == {}


def test_a_hard_stop_ends_a_loop_of_a_group_after_its_round():
    course = grouped(*DEBATE, loops=ROUNDS)
    steps, stops = walk(course, {"settled": False}, lambda node: "budget")
    assert [step for step in steps if "x_e" in step] == [["x_e", "y_e", "z_e"]]
    assert stops == {"rounds": "budget"}


def test_a_flow_can_begin_with_a_loop_of_a_group():
    loops = [{"id": "layers", "first": "e", "last": "vote", "max_rounds": 2}]
    course = grouped(("E", "vote", None), ("vote", "end", None), loops=loops, entry="E")
    steps, _ = walk(course)
    assert steps == [*[["x_e", "y_e", "z_e"], ["vote"]] * 2, ["end"]]


def test_a_group_of_one_is_a_group():
    course = grouped(*DEBATE, members="x", loops=ROUNDS)
    steps, _ = walk(course, {"settled": False})
    assert steps == [["gate"], *[["x_e"], ["x_b"], ["vote"]] * 3, ["end"]]


@given(st.integers(1, 6), st.integers(1, 6))
def test_loops_of_groups_take_no_more_steps_than_is_promised(members: int, rounds: int):
    loops = [{**ROUNDS[0], "max_rounds": rounds}]
    course = grouped(*DEBATE, members="uvwxyz"[:members], loops=loops)
    steps, _ = walk(course, {"settled": False})
    assert len(steps) == 2 + 3 * rounds <= course.most_steps
