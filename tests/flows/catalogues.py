"""Small catalogues for the tests of flows, and flows in a few words."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from agent_lab.flows.catalogue import Catalogue, ModelFacts, StrategyFacts
from agent_lab.flows.flow_plan import FlowPlan, plan_flow
from agent_lab.flows.flow_validator import read_flow
from agent_lab.flows.graph_configs import FLOW_CONFIGS, FlowConfig
from agent_lab.orchestrator.graph_builder import GraphBuilder

Json = dict[str, Any]

OFTEN = {"op": "lt", "left": {"var": "round"}, "right": 3}
"""A condition that reads what every flow has."""
SHORT = {"check": "length", "max_words": 100}
"""A check that asks nobody."""


def judge(model: str | None = None, question: str = "Is it right?") -> Json:
    """A check that asks a model."""
    return {"check": "judge", "question": question, "model": model}


def model(
    family: str = "greek", *, window: int = 1_000_000, usd: float | None = 0.0, thinks: int = 0
) -> ModelFacts:
    """A model whose every token, read or written, costs the same."""

    def worst(prompt: int, answer: int) -> float | None:
        return None if usd is None else usd * (prompt + answer)

    return ModelFacts(family, window, "plain", worst, thinks)


MODELS = {"alpha": model(), "beta": model(), "gamma": model("roman")}
STRATEGIES = {"plain": StrategyFacts(100), "greedy": StrategyFacts(200)}


@cache
def bare() -> Catalogue:
    """Every shipped type of node, router and flow; nobody has looked at the registries."""
    return GraphBuilder().catalogue()


def catalogue(
    *,
    models: Mapping[str, ModelFacts] | None = None,
    strategies: Mapping[str, StrategyFacts] | None = None,
    flows: Mapping[str, FlowConfig] = FLOW_CONFIGS,
    default_model: str | None = "alpha",
    **fields: Any,
) -> Catalogue:
    """The same with two models of one family, one of another, and two strategies."""
    return replace(
        bare(),
        models=MODELS if models is None else models,
        strategies=STRATEGIES if strategies is None else strategies,
        flows=flows,
        default_model=default_model,
        **fields,
    )


def flow(*nodes: str | Json, edges: str = "", **fields: Any) -> Json:
    """A flow as JSON, entered at its first node.

    Args:
        nodes: Ids, or whole nodes.
        edges: `a-b, a?-c`; a question mark: on a condition.
        fields: Further fields, or others.
    """
    written = [{"id": node} if isinstance(node, str) else node for node in nodes]
    return {
        "name": "mine",
        "nodes": written,
        "edges": [_edge(part.strip()) for part in edges.split(",") if part.strip()],
        "entry_point": written[0]["id"],
        **fields,
    }


def _edge(part: str) -> Json:
    source, target = part.split("-")
    condition = OFTEN if source.endswith("?") else None
    return {"source": source.removesuffix("?"), "target": target, "condition": condition}


def node(node_id: str, prompt: Any = "", **fields: Any) -> Json:
    """A node that asks with a prompt."""
    return {"id": node_id, "prompt_template": prompt, **fields}


def group(node_id: str, *members: str, prompt: Any = "", chosen: Any = (), **fields: Any) -> Json:
    """A group whose members have nothing but their ids."""
    known: Json = {member: {} for member in members}
    return node(node_id, prompt, group={"members": known, "chosen": chosen}, **fields)


def validator(node_id: str, answer: str, *checks: Json, **fields: Any) -> Json:
    """A node that checks the text of another one."""
    config = {"answer": answer, "checks": list(checks or (SHORT,))}
    return {"id": node_id, "type": "output_validator", "config": config, **fields}


def loop(first: str, last: str, rounds: Any = 2, **fields: Any) -> Json:
    """A loop."""
    return {"id": "rounds", "first": first, "last": last, "max_rounds": rounds, **fields}


def subflow(node_id: str, name: str, **inputs: Any) -> Json:
    """A node that runs another flow."""
    return {"id": node_id, "type": "flow", "config": {"flow": name, "inputs": inputs}}


def named(name: str, content: Json) -> FlowConfig:
    """A flow for a catalogue, under another name."""
    return read_flow({**content, "name": name})


def planned(content: Json, **inputs: Any) -> FlowPlan:
    """The plan of a flow."""
    return plan_flow(read_flow(content), inputs)
