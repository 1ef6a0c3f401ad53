"""The names that prompts and conditions of a flow can use."""

from collections.abc import Mapping

from agent_lab.flows.catalogue import NodeKind
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import NodeConfig

OUTPUT = "_output"
OUTPUTS = "_outputs"
FEEDBACK = "_feedback"

STATE_NAMES = frozenset({"user_input", "lang", "request_id", "flow_type", "round"})
STATE_VALUES = frozenset({"task_type", "score"})
"""Of both, too; empty until a node has found them out."""
PROMPT_ONLY = frozenset(
    {
        "requirements",
        "history",
        "open_issues",
        "settled_issues",
        "own_last",
        "previous_output",
        "format",
        "agreement_clause",
    }
)
CONDITION_ONLY = frozenset({"demanding", "accepted", "open_issue_count"})
OF_RUN = STATE_NAMES | STATE_VALUES | PROMPT_ONLY | CONDITION_ONLY | {"draft"}
"""All of these: what no input, no value and no node may be called by."""

_OF_NODE = ("output", "status", "visits")


def owners(plan: FlowPlan, kinds: Mapping[str, NodeKind]) -> dict[str, str]:
    """By name that conditions can read of a node: the node."""
    found = {f"{node.id}_{what}": node.id for node in plan.nodes for what in _OF_NODE}
    return found | _found_out(plan, kinds)


def condition_names(plan: FlowPlan, kinds: Mapping[str, NodeKind]) -> frozenset[str]:
    """Every name that a condition of this flow can read."""
    return frozenset(
        STATE_NAMES | STATE_VALUES | CONDITION_ONLY | set(plan.values) | set(owners(plan, kinds))
    )


def prompt_names(plan: FlowPlan, kinds: Mapping[str, NodeKind]) -> frozenset[str]:
    """Every name that any prompt of this flow can ask for."""
    outputs = {f"{node.id}{OUTPUT}" for node in plan.nodes}
    outputs |= {f"{alias}{OUTPUT}" for alias in plan.aliases}
    outputs |= {f"{group}{OUTPUTS}" for group in plan.groups}
    found_out = set(_found_out(plan, kinds))
    return frozenset(
        STATE_NAMES | STATE_VALUES | PROMPT_ONLY | set(plan.values) | outputs | found_out
    )


def own_prompt_names(node: NodeConfig, kinds: Mapping[str, NodeKind]) -> frozenset[str]:
    """The names that only the prompt of this node can ask for besides."""
    of_kind = kinds[node.type].prompt_names if node.type in kinds else ()
    return frozenset({*node.values, *of_kind, *(("draft",) if "drafts" in node.config else ())})


def _found_out(plan: FlowPlan, kinds: Mapping[str, NodeKind]) -> dict[str, str]:
    return {
        f"{node.id}_{name}": node.id
        for node in plan.nodes
        if node.type in kinds
        for name in kinds[node.type].values
    }
