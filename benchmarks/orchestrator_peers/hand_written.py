"""The measure: LangGraph as its documentation writes it, compiled once, edges where they can be.

There are no checkpoints, streams or retries, here as in our arms.
"""

import operator
from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from typing_extensions import TypedDict

from orchestrator_peers.flows import TASK
from orchestrator_peers.measuring import Run
from orchestrator_peers.prompts import Ask, Role, branches, two_sides


def _merged(left: dict[str, str], right: dict[str, str]) -> dict[str, str]:
    return {**left, **right}


class Talk(TypedDict):
    """The state of a run."""

    task: str
    outputs: Annotated[dict[str, str], _merged]


class Debate(Talk):
    """The state of a run in rounds."""

    rounds: Annotated[int, operator.add]


Graph: TypeAlias = "CompiledStateGraph[Any, None, Any, Any]"


def chain(ask: Ask, roles: Sequence[Role]) -> Run:
    """Roles one after the other."""
    return _run(compiled_chain(ask, roles), roles[-1].name)


def compiled_chain(ask: Ask, roles: Sequence[Role]) -> Graph:
    """The graph of `chain`, as building is measured by it."""
    graph = StateGraph(Talk)
    before = START
    for role in roles:
        graph.add_node(role.name, _speaks(ask, role))
        graph.add_edge(before, role.name)
        before = role.name
    graph.add_edge(before, END)
    return graph.compile()


def fan_out(ask: Ask, count: int) -> Run:
    """Branches, and a join that waits for all of them."""
    roles, join = branches(count)
    graph = StateGraph(Talk)
    for role in roles:
        graph.add_node(role.name, _speaks(ask, role))
        graph.add_edge(START, role.name)
    graph.add_node(join.name, _speaks(ask, join))
    graph.add_edge([role.name for role in roles], join.name)
    graph.add_edge(join.name, END)
    return _run(graph.compile(), join.name)


def loop(ask: Ask, rounds: int) -> Run:
    """Two roles, and a condition that sends the run back to the first of them."""
    pro, con = two_sides()

    def after_round(state: Debate) -> str:
        return pro.name if state["rounds"] < rounds else END

    graph = StateGraph(Debate)
    graph.add_node(pro.name, _speaks(ask, pro))
    graph.add_node(con.name, _speaks(ask, con, ends_round=True))
    graph.add_edge(START, pro.name)
    graph.add_edge(pro.name, con.name)
    graph.add_conditional_edges(con.name, after_round, [pro.name, END])
    compiled = graph.compile().with_config({"recursion_limit": 2 * rounds + 10})
    return _run(compiled, con.name)


def _speaks(ask: Ask, role: Role, *, ends_round: bool = False) -> Any:
    name, counted = role.name, {"rounds": 1} if ends_round else {}

    async def speak(state: Talk) -> dict[str, Any]:
        return {"outputs": {name: await ask(role, state["task"], state["outputs"])}, **counted}

    return speak


def _run(graph: Graph, last: str) -> Run:
    async def run() -> str:
        final = await graph.ainvoke({"task": TASK, "outputs": {}})
        answer: str = final["outputs"][last]
        return answer

    return run
