"""What a run carries from node to node.

LangGraph drops a key that is not declared here, without a word; therefore nodes may return the
keys of `StateUpdate` only, and the graph builder refuses any other. Keys that several nodes write
have a reducer, so that parallel branches add to them instead of overwriting each other.
"""

from typing import Annotated

from typing_extensions import TypedDict

from agent_lab.contracts import ErrorInfo, Language

STATE_VERSION = 1


def merged(left: dict[str, object], right: dict[str, object]) -> dict[str, object]:
    """Reducer: the right side's keys are added to the left side's."""
    return {**left, **right}


class AgentState(TypedDict):
    """The state of one run. A node gets all of it and returns only what it changed."""

    version: int
    request_id: str
    flow_type: str
    user_input: str
    """The task, as the user wrote it; no node changes it."""
    lang: Language
    head: str
    """The beginning that every role's first message shares."""
    outputs: Annotated[dict[str, str], merged]
    """The last text of each node."""
    failures: Annotated[dict[str, ErrorInfo | None], merged]
    """Why a node's last turn gave no text; None after one that did."""
    visits: Annotated[dict[str, int], merged]
    """How often each node has run."""
    models: Annotated[dict[str, str], merged]
    """The model that gave each node's last text."""
    degraded: Annotated[dict[str, str], merged]
    """What went wrong on the way to a node's last text all the same; empty: nothing."""


class StateUpdate(TypedDict, total=False):
    """What a node may return."""

    outputs: dict[str, str]
    failures: dict[str, ErrorInfo | None]
    visits: dict[str, int]
    models: dict[str, str]
    degraded: dict[str, str]


def failures_of(state: AgentState) -> dict[str, ErrorInfo]:
    """The nodes whose last turn gave no text, and why."""
    return {node_id: error for node_id, error in state["failures"].items() if error is not None}


def new_state(
    *, request_id: str, flow_type: str, user_input: str, lang: Language, head: str
) -> AgentState:
    """The state with which a run begins."""
    return AgentState(
        version=STATE_VERSION,
        request_id=request_id,
        flow_type=flow_type,
        user_input=user_input,
        lang=lang,
        head=head,
        outputs={},
        failures={},
        visits={},
        models={},
        degraded={},
    )
