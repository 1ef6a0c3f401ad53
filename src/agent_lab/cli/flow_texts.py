"""Words for what a flow is and what it can take, as several commands say them."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent_lab.contracts import Language
    from agent_lab.flows.graph_configs import FlowConfig
    from agent_lab.flows.worst_case import WorstCase

LONGEST_VALUE = 60


def written(value: Any) -> str:
    """A value of an input, as it may be typed."""
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def ways_from(flow: "FlowConfig", node_id: str, lang: "Language" = "en") -> list[str]:
    """Where a node leads to, each with its condition; never empty."""
    from agent_lab.flows.mermaid import described

    edges = flow.edges_from(node_id)
    is_choice = any(edge.condition is not None for edge in edges)
    ways = []
    for edge in edges:
        when = " else" if is_choice else ""
        if edge.condition is not None:
            when = f" if {described(edge.condition, lang)}"
        ways.append(edge.target + when)
    if node_id in flow.terminal_nodes():
        ways.append("end" + (" else" if is_choice else ""))
    return ways


def loops_of(flow: "FlowConfig", lang: "Language" = "en") -> list[str]:
    """Each loop in a line: its nodes, its bound, what ends it."""
    from agent_lab.flows.mermaid import loop_title

    return [
        f"{loop.last} → {loop.first}: {loop_title(loop, lang)}"
        + (f"; then the stop reason is {loop.reason}" if loop.reason != "completed" else "")
        + (f"; {loop.backoff_s:g} s before the second" if loop.backoff_s else "")
        for loop in flow.loops
    ]


def worst_case_line(worst: "WorstCase") -> str:
    """What a run can take at the most."""
    return (
        f"worst case: {counted(worst.calls, 'call')}, {worst.prompt_tokens:,} tokens read, "
        f"{worst.completion_tokens:,} written, longest prompt {worst.longest_prompt:,}; "
        f"{_cost(worst)}"
    )


def counted(number: int, what: str) -> str:
    """A number of things: `1 call`, `2 calls`."""
    return f"{number} {what}" + ("" if number == 1 else "s")


def _cost(worst: "WorstCase") -> str:
    if worst.cost_usd is not None:
        return f"cost {worst.cost_usd:.4f} USD" if worst.cost_usd else "no cost"
    if not worst.unpriced:
        return "cost unknown: no model is here to answer"
    names = ", ".join(f"`{name}`" for name in worst.unpriced)
    return f"cost unknown: {names} {'has' if len(worst.unpriced) == 1 else 'have'} no known price"
