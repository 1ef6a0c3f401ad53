"""What the conditions of a flow can read of a run's state."""

from agent_lab.deliberation.issues import open_issues
from agent_lab.flows.conditions import Value
from agent_lab.orchestrator.agent_state import AgentState, failures_of


def condition_values(state: AgentState, round_: int = 1) -> dict[str, Value]:
    """Values by name.

    Args:
        state: The run so far.
        round_: The round of the node after which the condition is looked at.
    """
    values: dict[str, Value] = {
        **state["inputs"],
        "user_input": state["user_input"],
        "lang": state["lang"],
        "request_id": state["request_id"],
        "flow_type": state["flow_type"],
        "round": round_,
        "task_type": state["task_type"],
        "demanding": state["demanding"],
        "score": state["score"],
        "accepted": state["accepted"],
        "open_issue_count": len(open_issues(state["issues"], state["issue_floor"])),
        **state["values"],
    }
    failed = failures_of(state)
    for node_id, visits in state["visits"].items():
        values[f"{node_id}_visits"] = visits
        values[f"{node_id}_status"] = "failed" if node_id in failed else "ok"
        values[f"{node_id}_output"] = state["outputs"].get(node_id)
    return values
