"""Graphs are built as flows say, and nothing that a node returns is lost."""

from typing import Any

import pytest

from agent_lab.contracts import ErrorInfo, RunRequest
from agent_lab.deliberation.ballots.ballot import Ballot, Tally
from agent_lab.deliberation.issues import Issue
from agent_lab.deliberation.trajectory import Flip
from agent_lab.deliberation.votes import Vote
from agent_lab.errors import ConfigurationError, InvalidFlowError
from agent_lab.flows.graph_configs import EdgeConfig, FlowConfig, NodeConfig
from agent_lab.orchestrator.agent_state import AgentState, CastBallot, StateUpdate, new_state
from agent_lab.orchestrator.flow_runner import run_flow
from agent_lab.orchestrator.graph_builder import GraphBuilder
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.providers.provider_gateway import ProviderGateway
from tests.conftest import FIXED_SECRET


def context(text: str = "hello") -> RunContext:
    return RunContext(
        gateway=ProviderGateway.scripted(lambda call: call.role),
        request=RunRequest(flow="test", input=text),
        seed=1,
        secret=FIXED_SECRET,
    )


def flow(*edges: tuple[Any, ...], nodes: str, output: tuple[str, ...] = ()) -> FlowConfig:
    return FlowConfig(
        name="test",
        nodes=tuple(NodeConfig(id=i, type="note") for i in nodes.split()),
        edges=tuple(
            EdgeConfig.model_validate(
                {"source": a, "target": b, "condition": condition[0] if condition else None}
            )
            for a, b, *condition in edges
        ),
        entry_point=nodes.split()[0],
        output=output,
    )


def builder(order: list[str]) -> GraphBuilder:
    """A builder whose nodes write down that they ran."""

    def note(config: NodeConfig, _: FlowConfig):
        async def run(state: AgentState, __: RunContext) -> StateUpdate:
            order.append(config.id)
            return {"outputs": {config.id: config.id}}

        return run

    made = GraphBuilder()
    made.register_node("note", note)
    return made


async def ran(config: FlowConfig, text: str = "hello") -> list[str]:
    order: list[str] = []
    outcome = await run_flow(config, context(text), lang="en", builder=builder(order))
    assert outcome.error is None, outcome.error
    return order


IS_HELLO = {"op": "eq", "left": {"var": "user_input"}, "right": "hello"}


async def test_a_straight_flow_runs_in_its_order():
    assert await ran(flow(("a", "b"), ("b", "c"), nodes="a b c")) == ["a", "b", "c"]


async def test_several_terminals_all_end_the_flow():
    config = flow(("a", "b"), ("a", "c"), nodes="a b c")
    assert sorted(await ran(config)) == ["a", "b", "c"]
    assert GraphBuilder._find_terminal_nodes(config) == ["b", "c"]


async def test_a_join_runs_once_after_all_its_branches():
    config = flow(("a", "b"), ("a", "c"), ("c", "c2"), ("b", "d"), ("c2", "d"), nodes="a b c c2 d")
    order = await ran(config)
    assert order.count("d") == 1
    assert order[-1] == "d"


@pytest.mark.parametrize(("text", "expected"), [("hello", ["a", "b"]), ("bye", ["a", "c", "d"])])
async def test_a_terminal_inside_a_branch_ends_that_branch(text: str, expected: list[str]):
    config = flow(("a", "b", IS_HELLO), ("a", "c"), ("c", "d"), nodes="a b c d")
    assert await ran(config, text) == expected


async def test_a_branch_that_was_not_taken_does_not_degrade_the_answer():
    config = flow(("a", "b", IS_HELLO), ("a", "c"), nodes="a b c")
    outcome = await run_flow(config, context("bye"), lang="en", builder=builder([]))
    assert (outcome.output, outcome.degraded) == ("c", ())


async def test_a_node_whose_only_edge_has_a_condition_can_be_the_last_one():
    config = flow(("a", "b", IS_HELLO), nodes="a b")
    assert GraphBuilder._find_terminal_nodes(config) == ["a", "b"]
    assert await ran(config, "bye") == ["a"]
    assert await ran(config, "hello") == ["a", "b"]


async def test_a_join_after_branches_of_unequal_length_runs_once():
    # A deferred node of LangGraph's own would run twice here, the first time before `x`.
    edges = ("ab", "ac", "bi", "ci", "ix", "xj", "aj")
    order = await ran(flow(*((e[0], e[1]) for e in edges), nodes="a b c i x j"))
    assert order == ["a", "b", "c", "i", "x", "j"]


def looping(max_rounds: int, until: dict[str, Any] | None = None) -> FlowConfig:
    loop = {"id": "rounds", "first": "a", "last": "b", "max_rounds": max_rounds, "until": until}
    base = flow(("a", "b"), ("b", "c"), nodes="a b c")
    return FlowConfig.model_validate({**base.model_dump(), "loops": [loop]})


async def test_a_loop_runs_until_its_bound_and_the_bound_is_the_stop_reason():
    never = {"op": "eq", "left": {"var": "b_output"}, "right": "never"}
    order: list[str] = []
    config = looping(3, never)
    outcome = await run_flow(config, context(), lang="en", builder=builder(order))
    assert order == ["a", "b"] * 3 + ["c"]
    assert outcome.stop_reason == "max_rounds"


async def test_a_loop_ends_once_its_stop_rule_holds():
    second = {"op": "eq", "left": {"var": "b_visits"}, "right": 2}
    assert await ran(looping(9, second)) == ["a", "b"] * 2 + ["c"]


async def test_a_loop_of_a_thousand_rounds_needs_no_other_limit():
    assert len(await ran(looping(1000))) == 2001


async def test_edges_that_make_a_circle_are_refused():
    with pytest.raises(InvalidFlowError, match="circle of `a`, `b`, with nothing that bounds it"):
        await ran(flow(("a", "b"), ("b", "a"), nodes="a b"))


async def test_every_key_that_a_node_may_return_reaches_the_final_state():
    values: StateUpdate = {
        "outputs": {"a": "text"},
        "failures": {"b": ErrorInfo(code="x", message="y")},
        "models": {"a": "m"},
        "degraded": {"a": "why"},
        "values": {"a_score": 0.5},
        "task_type": "code",
        "requirements": "- short",
        "demanding": True,
        "score": 0.5,
        "accepted": True,
        "issues": (Issue(id="C1", claim="wrong", severity="high"),),
        "issue_floor": "high",
        "votes": {"a": (Vote(node="a", kind="number", tally=Tally(method="plurality")),)},
        "answers": {"42": "It is 42."},
        "ballots": {"a": CastBallot(Ballot(voter="a", choice="42"), ("42", "41"))},
        "flips": (Flip(member="a", round=1, from_key="41", to_key="42"),),
        "stops": {"a": "agreement"},
        "history": "earlier",
    }

    def everything(config: NodeConfig, _: FlowConfig):
        async def run(state: AgentState, __: RunContext) -> StateUpdate:
            return values

        return run

    made = GraphBuilder()
    made.register_node("note", everything)
    outcome = await run_flow(flow(nodes="a"), context(), lang="es", builder=made)
    assert outcome.state is not None
    assert set(values) == set(StateUpdate.__annotations__)
    assert {key: outcome.state[key] for key in values} == values  # type: ignore[literal-required]
    begun = new_state(request_id="", flow_type="test", user_input="hello", lang="es", head="")
    assert set(outcome.state) == set(AgentState.__annotations__) == set(begun)
    assert outcome.state["user_input"] == "hello"
    assert outcome.state["lang"] == "es"


@pytest.mark.parametrize("key", ["creator_output", "user_input"])
async def test_a_key_that_no_node_may_change_is_refused_by_name(key: str):
    def undeclared(config: NodeConfig, _: FlowConfig):
        async def run(state: AgentState, __: RunContext) -> StateUpdate:
            return {key: "lost"}  # type: ignore[misc]

        return run

    made = GraphBuilder()
    made.register_node("note", undeclared)
    with pytest.raises(ConfigurationError, match=f"returned `{key}`"):
        await run_flow(flow(nodes="a"), context(), lang="en", builder=made)


async def test_parallel_branches_do_not_lose_each_others_outputs():
    order: list[str] = []
    config = flow(("a", "b"), ("a", "c"), nodes="a b c")
    outcome = await run_flow(config, context(), lang="en", builder=builder(order))
    assert outcome.state is not None
    assert outcome.state["outputs"] == {"a": "a", "b": "b", "c": "c"}
