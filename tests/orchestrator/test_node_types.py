"""The types of node: found by name, described, and as good as their description."""

from collections.abc import Mapping
from typing import Any

import pytest
from typing_extensions import override

from agent_lab.errors import UnknownPluginError
from agent_lab.flows.catalogue import NodeKind, NodeOptions
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate
from agent_lab.orchestrator.graph_builder import GraphBuilder
from agent_lab.orchestrator.node_types import NODES, NodeType
from agent_lab.orchestrator.run_context import RunContext
from tests.orchestrator.conftest import (
    Earlier,
    builder_of,
    earlier,
    flow_of,
    planned,
    ran,
    speaker,
    staged,
)

SHIPPED = (
    "aggregate",
    "ballot",
    "critique",
    "exchange",
    "execution",
    "flow",
    "history_reader",
    "human",
    "judge",
    "output_validator",
    "refine",
    "resource_monitor",
    "samples",
    "splitter",
    "summary",
    "task_analyzer",
    "vote",
)
ALL_KINDS: Mapping[str, Mapping[str, Any]] = {
    "execution": {"prompt_template": "Draft."},
    "critique": {"prompt_template": "{draft}", "config": {"drafts": ["execution"]}},
    "refine": {"prompt_template": "{draft}", "config": {"drafts": ["refine", "execution"]}},
    "task_analyzer": {},
    "resource_monitor": {},
    "history_reader": {},
    "splitter": {"config": {"parts": 8}},
    "flow": {"config": {"flow": "inner"}},
    "output_validator": {
        "config": {"answer": "refine", "checks": [{"check": "length", "max_words": 1}]}
    },
    "summary": {"config": {"answer": "refine"}},
    "samples": {"prompt_template": "Solve.", "config": {"samples": 2}},
    "exchange": {"prompt_template": "{peers}", "config": {"answers": ["exchange", "execution"]}},
    "ballot": {"prompt_template": "{candidates}", "config": {"answers": ["samples"]}},
    "vote": {"config": {"answers": ["samples"], "ballots": ["ballot"]}},
    "judge": {"prompt_template": "{candidates}", "config": {"answers": ["samples"]}},
    "aggregate": {"prompt_template": "{candidates}", "config": {"answers": ["samples"]}},
}
"""All but `human`, for whom only a run that is kept can wait: tests/runs/test_waiting.py."""


def test_every_type_of_node_is_found_by_its_name():
    assert tuple(sorted(NODES.names())) == SHIPPED
    assert {*ALL_KINDS, "human"} == set(SHIPPED)
    for name in SHIPPED:
        assert NODES.get(name).kind.name == name


def test_an_unknown_type_is_an_error_that_names_the_near_ones():
    with pytest.raises(UnknownPluginError, match="`critique`"):
        NODES.get("critic")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_type_is_described_in_both_languages(name: str):
    kind = NODES.get(name).kind
    for text in (kind.title, kind.description):
        assert isinstance(text, dict)
        assert set(text) == {"en", "es"}
        assert all(text.values())


async def test_every_value_that_a_type_declares_is_found_out_and_no_other():
    nodes = [{"id": name, "type": name, **fields} for name, fields in ALL_KINDS.items()]
    edges = " ".join(f"{a['id']}-{b['id']}" for a, b in zip(nodes, nodes[1:], strict=False))
    said = {"judge": "PREFERENCE: A", "ballot": "RANKING: A > B"}
    stage = staged(
        lambda call: said.get(call.role, f"{call.role} speaks"), history=Earlier(earlier("x", "y"))
    )
    inner = flow_of(speaker("solver"), name="inner")
    outcome = await ran(flow_of(*nodes, edges=edges), stage, builder=builder_of(inner))
    assert outcome.state is not None
    declared = {f"{name}_{value}" for name in SHIPPED for value in NODES.get(name).kind.values}
    assert set(outcome.state["values"]) == declared


class Options(NodeOptions):
    nodes: tuple[str, ...] = ()
    shout: bool = False

    @override
    def nodes_named(self) -> Mapping[str, tuple[str, ...]]:
        return {"nodes": self.nodes}


def make(config: Any, plan: Any) -> Any:
    async def run(state: AgentState, context: RunContext) -> StateUpdate:
        text = "HELLO" if config.config.get("shout") else "hello"
        return {"outputs": {config.id: text}}

    return run


@pytest.mark.parametrize("shout", [True, False])
async def test_a_type_of_ones_own_is_registered_with_its_options(shout: bool):
    builder = GraphBuilder()
    builder.register_node("own", NodeType(NodeKind("own", options=Options, prompt="none"), make))
    flow = flow_of({"id": "a", "type": "own", "config": {"shout": shout}})
    outcome = await ran(flow, staged({}), builder=builder)
    assert outcome.output == ("HELLO" if shout else "hello")
    assert builder.catalogue().kinds["own"].options is Options


async def test_a_type_that_is_registered_again_is_another_one():
    builder = GraphBuilder()

    def other(config: Any, plan: Any) -> Any:
        async def run(state: AgentState, context: RunContext) -> StateUpdate:
            return {"outputs": {config.id: "other"}}

        return run

    flow = flow_of({"id": "a", "type": "own"})
    builder.register_node("own", make)
    assert (await ran(flow, staged({}), builder=builder)).output == "hello"
    builder.register_node("own", other)
    assert (await ran(flow, staged({}), builder=builder)).output == "other"


def test_a_flow_is_data_whatever_types_it_names():
    plan = planned({"id": "a", "type": "nowhere"})
    assert isinstance(plan, FlowConfig)
