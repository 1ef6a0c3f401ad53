"""Functions that name a way: `{"op": "route", "router": NAME, "to": WAY}` in a condition.

A router reads the state and nothing else, so that a run that is resumed takes the same way.
"""

from collections.abc import Callable
from typing import NamedTuple

from agent_lab.orchestrator.agent_state import AgentState
from agent_lab.plugins import Registry


class Router(NamedTuple):
    """Decides between ways."""

    routes: tuple[str, ...]
    """What it can say."""
    decide: Callable[[AgentState], str]

    def __call__(self, state: AgentState) -> str:
        """Say which way."""
        return self.decide(state)


ROUTERS: Registry[Router] = Registry("router", (), "", "agent_lab.routers")


def router(name: str, *routes: str) -> Callable[[Callable[[AgentState], str]], Router]:
    """Decorator: makes a function of the state a router that conditions can name.

    Args:
        name: The router's name.
        routes: What it can say.
    """

    def decorate(decide: Callable[[AgentState], str]) -> Router:
        return ROUTERS.register(name)(Router(routes, decide))

    return decorate


@router("route_after_analysis", "resource_monitor", "execution")
def route_after_analysis(state: AgentState) -> str:
    """A demanding task is worth a look at the machine first."""
    return "resource_monitor" if state["demanding"] else "execution"


@router("route_after_validation", "accept", "retry")
def route_after_validation(state: AgentState) -> str:
    """Ask again what did not pass its checks."""
    return "accept" if state["accepted"] else "retry"


@router("should_include_history", "include", "skip")
def should_include_history(state: AgentState) -> str:
    """Read the owner's earlier runs unless the flow's input `read_history` says no."""
    return "include" if state["inputs"].get("read_history", True) else "skip"
