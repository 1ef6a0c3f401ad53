"""Every turn has a key of its own, in any flow: path, visit, retry (runs.md 2.1)."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from agent_lab.contracts import JsonObject
from agent_lab.errors import ProviderUnavailableError
from agent_lab.flows.graph_configs import FlowConfig, get_flow_config
from agent_lab.orchestrator.run_recorder import message_id
from tests.orchestrator.conftest import (
    Stage,
    builder_of,
    flow_of,
    ran,
    speaker,
    staged,
)

INNER = flow_of(
    speaker("one"),
    speaker("two", "{one_output}"),
    edges="one-two",
    name="inner",
    loops=({"id": "l", "first": "one", "last": "two", "max_rounds": 2, "counts": "retry"},),
)


class Made:
    """A part of a random flow: its nodes, edges and loops, its first and its last node."""

    def __init__(self, first: str, last: str) -> None:
        self.first, self.last = first, last
        self.nodes: list[JsonObject] = []
        self.edges: list[tuple[str, str]] = []
        self.loops: list[JsonObject] = []

    def add(self, other: "Made") -> None:
        self.nodes += other.nodes
        self.edges += other.edges
        self.loops += other.loops


class Flows:
    """Draws flows of nodes, chains, forks with joins, groups, and loops around any of these."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw
        self._count = 0

    def flow(self) -> FlowConfig:
        made = self._part(3)
        return FlowConfig.model_validate(
            {
                "name": "random",
                "entry_point": "start",
                "nodes": [speaker("start"), *made.nodes],
                "edges": [
                    {"source": a, "target": b} for a, b in [("start", made.first), *made.edges]
                ],
                "loops": made.loops,
            }
        )

    def _id(self) -> str:
        self._count += 1
        return f"n{self._count}"

    def _part(self, depth: int) -> Made:
        kinds = ["node", "chain", "fork", "loop", "loop"] if depth else ["node"]
        return getattr(self, f"_{self._draw(st.sampled_from(kinds))}")(depth)  # type: ignore[no-any-return]

    def _node(self, depth: int, **fields: Any) -> Made:
        node_id = self._id()
        made = Made(node_id, node_id)
        kind = self._draw(st.sampled_from(["role", "role", "judge", "flow", "samples", "ballot"]))
        node = speaker(node_id)
        if kind == "judge":
            check = {"check": "judge", "question": "?"}
            config = {"answer": "start", "checks": [check, check]}
            node = {"id": node_id, "type": "output_validator", "config": config}
        elif kind == "flow":
            node = {"id": node_id, "type": "flow", "config": {"flow": "inner"}}
        elif kind == "samples":
            node = speaker(node_id, type="samples", config={"samples": 2})
        elif kind == "ballot":  # and its repair call
            node = speaker(node_id, type="ballot", config={"answers": ["start"]})
        made.nodes.append({**node, **fields})
        return made

    def _chain(self, depth: int) -> Made:
        first, second = self._part(depth - 1), self._part(depth - 1)
        made = Made(first.first, second.last)
        made.add(first)
        made.add(second)
        made.edges.append((first.last, second.first))
        return made

    def _fork(self, depth: int) -> Made:
        begin, end = self._node(0), self._node(0)
        made = Made(begin.first, end.last)
        made.add(begin)
        made.add(end)
        if self._draw(st.booleans()):
            members: dict[str, Any] = {f"m{i}": {} for i in range(self._draw(st.integers(1, 3)))}
            branches = [self._node(0, group={"members": members})]
        else:
            branches = [self._part(depth - 1) for _ in range(self._draw(st.integers(2, 3)))]
        for branch in branches:
            made.add(branch)
            made.edges += [(begin.last, branch.first), (branch.last, end.first)]
        return made

    def _loop(self, depth: int) -> Made:
        made = self._part(depth - 1)
        loop = {
            "id": f"loop{self._id()}",
            "first": made.first,
            "last": made.last,
            "max_rounds": self._draw(st.integers(1, 3)),
            "counts": self._draw(st.sampled_from(["round", "retry"])),
        }
        if self._draw(st.booleans()):
            loop["until"] = self._until(made)
        made.loops.append(loop)
        return made

    def _until(self, made: Made) -> JsonObject:
        bound = self._draw(st.integers(1, 4))
        visits = {"op": "gte", "left": {"var": f"{made.last}_visits"}, "right": bound}
        failed = {"op": "eq", "left": {"var": f"{made.first}_status"}, "right": "failed"}
        closed = {"op": "contains", "left": {"var": f"{made.first}_output"}, "right": "x"}
        return self._draw(st.sampled_from([visits, failed, closed]))  # type: ignore[no-any-return]


@st.composite
def random_flows(draw: Any) -> FlowConfig:
    flow = Flows(draw).flow()
    note(flow.model_dump_json(exclude_defaults=True))
    return flow


TEXTS = st.sampled_from(["x", "y", "fine", '{"score": 3}', '{"score": 9}', "C1 fixed: y", ""])


@settings(max_examples=100, deadline=None)
@given(flow=random_flows(), data=st.data())
def test_no_key_is_there_twice_in_any_flow(flow: FlowConfig, data: st.DataObject):
    texts = data.draw(st.lists(TEXTS, min_size=1, max_size=7), label="texts")
    answers = iter(texts * 2000)
    stage = staged(lambda call: next(answers) or ProviderUnavailableError("gone"))
    asyncio.run(ran(flow, stage, builder=builder_of(INNER)))
    assert len(set(stage.keys)) == len(stage.keys)
    steps = [(step.path, step.visit, step.retry) for step in stage.log.steps]
    assert len(set(steps)) == len(steps)
    names = [payload["messageId"] for kind, payload in stage.log.events if "messageId" in payload]
    assert names == list(dict.fromkeys(names))
    assert set(names) == {message_id(*key) for key in stage.keys}
    assert min((turn.visit for turn in stage.turns), default=0) >= 0
    assert all(turn.round >= 1 for turn in stage.turns)


def walked(stage: Stage, path: str) -> list[tuple[int, int, int]]:
    """Round, visit and retry of each pass of a node."""
    return [(t.round, t.visit, t.retry) for t in stage.turns if t.path == path]


def loop(name: str, first: str, last: str, rounds: int, **fields: Any) -> JsonObject:
    return {"id": name, "first": first, "last": last, "max_rounds": rounds, **fields}


async def run_of(*loops: JsonObject, edges: str = "a-b b-c") -> Stage:
    ids = sorted({node for edge in edges.split() for node in edge.split("-")})
    stage = staged(lambda call: call.role)
    await ran(flow_of(*(speaker(i) for i in ids), edges=edges, loops=loops), stage)
    return stage


async def test_each_round_is_a_visit_and_the_round_that_is_shown():
    stage = await run_of(loop("l", "a", "b", 3))
    assert walked(stage, "a") == [(1, 0, 0), (2, 1, 0), (3, 2, 0)]
    assert walked(stage, "b") == walked(stage, "a")
    assert walked(stage, "c") == [(1, 0, 0)]


async def test_a_retry_is_not_a_visit():
    stage = await run_of(loop("l", "a", "b", 3, counts="retry"))
    assert walked(stage, "a") == [(1, 0, 0), (1, 0, 1), (1, 0, 2)]
    assert walked(stage, "c") == [(1, 0, 0)]


async def test_nested_loops_count_visits_through_and_rounds_anew():
    stage = await run_of(loop("outer", "a", "c", 2), loop("inner", "b", "b", 2))
    assert walked(stage, "b") == [(1, 0, 0), (2, 1, 0), (1, 2, 0), (2, 3, 0)]
    assert walked(stage, "a") == [(1, 0, 0), (2, 1, 0)]


async def test_retries_within_rounds_belong_to_their_visit():
    stage = await run_of(loop("outer", "a", "c", 2), loop("inner", "b", "b", 3, counts="retry"))
    assert walked(stage, "b") == [
        (1, 0, 0),
        (1, 0, 1),
        (1, 0, 2),
        (2, 1, 0),
        (2, 1, 1),
        (2, 1, 2),
    ]


async def test_rounds_within_a_retry_are_visits_of_their_own():
    stage = await run_of(loop("outer", "a", "c", 2, counts="retry"), loop("inner", "b", "b", 2))
    assert walked(stage, "b") == [(1, 0, 0), (2, 1, 0), (1, 2, 1), (2, 3, 1)]
    assert walked(stage, "a") == [(1, 0, 0), (1, 0, 1)]


async def test_loops_that_share_their_nodes_count_each_by_itself():
    stage = await run_of(loop("outer", "a", "b", 2), loop("inner", "a", "b", 2, counts="retry"))
    keys = stage.keys
    assert len(set(keys)) == len(keys) == 9


async def test_a_loop_that_ends_in_the_midst_of_one_within_it_ends_that_one_too():
    until = {"op": "contains", "left": {"var": "a_output"}, "right": "enough"}
    loops = (
        loop("outermost", "a", "d", 2),
        loop("outer", "a", "c", 3, until=until),
        loop("inner", "a", "b", 2, counts="retry"),
    )
    said = iter(["go on", "go on", "go on", "enough", *["go on"] * 20])
    stage = staged(lambda call: next(said) if call.role == "a" else call.role)
    await ran(flow_of(*map(speaker, "abcd"), edges="a-b b-c c-d", loops=loops), stage)
    assert walked(stage, "a")[:6] == [
        (1, 0, 0),
        (1, 0, 1),
        (2, 1, 0),
        (2, 1, 1),  # "enough"
        (1, 2, 0),
        (1, 2, 1),
    ]
    assert len(set(stage.keys)) == len(stage.keys)


async def test_members_of_a_group_have_paths_of_their_own_in_every_round():
    flow = flow_of(
        speaker("a"),
        speaker("g", group={"members": {"x": {}, "y": {}}}),
        speaker("z", "{g_outputs}"),
        edges="a-g g-z",
        loops=(loop("l", "a", "z", 2),),
    )
    stage = staged(lambda call: call.role)
    await ran(flow, stage)
    assert sorted(stage.keys) == [
        (path, visit, 0) for path in ("a", "x_g", "y_g", "z") for visit in (0, 1)
    ]


@pytest.mark.parametrize("rounds", [1, 2, 5])
async def test_the_rounds_of_a_debate_are_those_that_were_wished(rounds: int):
    stage = staged(
        {
            "creator": "draft",
            "challenger": '[high] "draft": wrong; repair it.',
            "refiner": "draft again",
        },
        request={"inputs": {"rounds": rounds}},
    )
    await ran(get_flow_config("challenge"), stage)
    expected = [(i + 1, i, 0) for i in range(rounds)]
    assert walked(stage, "challenger") == walked(stage, "refiner") == expected
    assert walked(stage, "creator") == [(1, 0, 0)]


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_exactly_so_many_retries_are_made_as_were_wished(retries: int):
    stage = staged(
        {"execution": "TODO", "summary": "x"},
        request={"inputs": {"retries": retries, "checks": [{"check": "length", "min_words": 9}]}},
    )
    outcome = await ran(get_flow_config("linear"), stage)
    assert walked(stage, "execution") == [(1, 0, i) for i in range(retries + 1)]
    assert outcome.stop_reason == "max_rounds"
    assert len(stage.pauses) == retries
