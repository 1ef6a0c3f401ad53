"""LangGraph by hand, as in `orchestrator_peers.hand_written`, with or without a saver."""

from collections.abc import Sequence
from typing import Any, TypeAlias
from uuid import uuid4

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from orchestrator_peers.flows import TASK
from orchestrator_peers.hand_written import Debate, Graph, Talk
from orchestrator_peers.measuring import Run
from orchestrator_peers.prompts import Ask, Role

Saver: TypeAlias = BaseCheckpointSaver[Any] | None
"""Who keeps the checkpoints; None: nobody."""


def chain(ask: Ask, roles: Sequence[Role], saver: Saver) -> Run:
    """Roles one after the other."""
    graph = StateGraph(Talk)
    _row(graph, ask, roles)
    graph.add_edge(roles[-1].name, END)
    return _run(graph.compile(checkpointer=saver), roles[-1].name, saver)


def fan_out(ask: Ask, branches: Sequence[Role], join: Role, saver: Saver) -> Run:
    """Branches, and a join that waits for all of them."""
    graph = StateGraph(Talk)
    for role in branches:
        graph.add_node(role.name, _speaks(ask, role))
        graph.add_edge(START, role.name)
    graph.add_node(join.name, _speaks(ask, join))
    graph.add_edge([role.name for role in branches], join.name)
    graph.add_edge(join.name, END)
    return _run(graph.compile(checkpointer=saver), join.name, saver)


def rounds(ask: Ask, roles: Sequence[Role], count: int, saver: Saver) -> Run:
    """Roles one after the other, again and again."""
    first, last = roles[0].name, roles[-1].name

    def after_round(state: Debate) -> str:
        return first if state["rounds"] < count else END

    graph = StateGraph(Debate)
    _row(graph, ask, roles, ends_round=True)
    graph.add_conditional_edges(last, after_round, [first, END])
    compiled = graph.compile(checkpointer=saver)
    return _run(
        compiled.with_config({"recursion_limit": count * len(roles) + 10}),
        last,
        saver,
    )


def _row(graph: Any, ask: Ask, roles: Sequence[Role], *, ends_round: bool = False) -> None:
    before = START
    for role in roles:
        is_last = ends_round and role is roles[-1]
        graph.add_node(role.name, _speaks(ask, role, ends_round=is_last))
        graph.add_edge(before, role.name)
        before = role.name


def _speaks(ask: Ask, role: Role, *, ends_round: bool = False) -> Any:
    name, counted = role.name, {"rounds": 1} if ends_round else {}

    async def speak(state: Talk) -> dict[str, Any]:
        return {"outputs": {name: await ask(role, state["task"], state["outputs"])}, **counted}

    return speak


def _run(graph: Graph, last: str, saver: Saver) -> Run:
    async def run() -> str:
        final = await graph.ainvoke({"task": TASK, "outputs": {}})
        answer: str = final["outputs"][last]
        return answer

    async def kept() -> str:
        # A thread of its own, and nothing that a next step could not rely on.
        thread: RunnableConfig = {"configurable": {"thread_id": str(uuid4())}}
        final = await graph.ainvoke({"task": TASK, "outputs": {}}, thread, durability="sync")
        answer: str = final["outputs"][last]
        return answer

    return run if saver is None else kept
