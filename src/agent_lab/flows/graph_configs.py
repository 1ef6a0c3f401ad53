"""Flows as data: nodes, edges and prompts, and the catalogue of the shipped ones."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import AliasChoices, Field
from typing_extensions import override

from agent_lab.contracts import Contract, DataPolicy
from agent_lab.errors import UnknownFlowError
from agent_lab.flows.conditions import Condition
from agent_lab.flows.prompt_templates import LocalizedText

NODE_ID = r"^[a-z][a-z0-9_]*$"
FLOW_NAME = r"^[a-z][a-z0-9_-]{0,63}$"


class NodeConfig(Contract):
    """One node of a flow."""

    id: str = Field(pattern=NODE_ID)
    type: str = "execution"
    """What the node does: the name of a node type."""
    name: str = ""
    """As people read it; empty: the id."""
    role: str = ""
    """Who speaks here, as callers choose models for it; empty: the id."""
    prompt_template: LocalizedText = ""
    model: str | None = Field(None, validation_alias=AliasChoices("model", "model_hint"))
    """Model key; None: the caller's, else the default model."""
    strategy: str | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    max_tokens: int | None = Field(None, gt=0)
    stop: tuple[str, ...] = ()
    """Texts that end the turn; they are not part of it."""
    config: dict[str, Any] = Field(default_factory=dict)
    """What only this type of node understands."""

    @property
    def speaker(self) -> str:
        """The role, or the id where no role is named."""
        return self.role or self.id


class EdgeConfig(Contract):
    """A way from one node to another; the first edge whose condition holds is taken.

    Edges without a condition are taken where none of the others holds, all of them.
    """

    source: str
    target: str
    condition: Condition | None = None


class FlowConfig(Contract):
    """A flow: who speaks, in which order, and whose text is the answer."""

    name: str = Field(pattern=FLOW_NAME)
    description: LocalizedText = ""
    nodes: tuple[NodeConfig, ...] = Field(min_length=1)
    edges: tuple[EdgeConfig, ...] = ()
    entry_point: str
    system_prompt: LocalizedText = ""
    """One for all roles: what every prompt shares is computed once."""
    data_policy: DataPolicy | None = None
    """`local`: no text of this flow leaves the machine, whatever the caller wishes."""
    output: tuple[str, ...] = ()
    """Nodes whose text is the answer, best first; empty: the terminal nodes."""

    @property
    def version(self) -> str:
        """Digest of the whole definition: equal for equal flows, on every machine."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def node(self, node_id: str) -> NodeConfig:
        """Return a node by its id."""
        return next(node for node in self.nodes if node.id == node_id)

    def edges_from(self, node_id: str) -> list[EdgeConfig]:
        """The edges that leave a node, in order."""
        return [edge for edge in self.edges if edge.source == node_id]

    def terminal_nodes(self) -> list[str]:
        """Nodes after which the flow can end: those without an edge that is always taken."""
        return [
            node.id
            for node in self.nodes
            if all(edge.condition is not None for edge in self.edges_from(node.id))
        ]

    def answer_nodes(self) -> tuple[str, ...]:
        """Nodes whose text is the answer, best first."""
        return self.output or tuple(self.terminal_nodes())

    def roles(self) -> list[str]:
        """Every role once, in the order of the nodes."""
        return list(dict.fromkeys(node.speaker for node in self.nodes))


class _Catalogue(Mapping[str, FlowConfig]):
    """The shipped flows by name, each read at its first use."""

    @override
    def __getitem__(self, name: str) -> FlowConfig:
        if name not in _names():
            raise KeyError(name)
        return _shipped(name)

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(_names())

    @override
    def __len__(self) -> int:
        return len(_names())


FLOW_CONFIGS: Mapping[str, FlowConfig] = _Catalogue()


def get_flow_config(name: str) -> FlowConfig:
    """Return a shipped flow.

    Raises:
        UnknownFlowError: There is none of this name.
    """
    if name not in FLOW_CONFIGS:
        raise UnknownFlowError(name, list_available_flows(), "agent-lab flows list")
    return FLOW_CONFIGS[name]


def get_challenge_flow_config() -> FlowConfig:
    """Creator, challenger, refiner."""
    return get_flow_config("challenge")


def list_available_flows() -> list[str]:
    """The names of the shipped flows."""
    return list(FLOW_CONFIGS)


@cache
def _names() -> tuple[str, ...]:
    folder = files("agent_lab.flows.builtin")
    names = (item.name for item in folder.iterdir())
    return tuple(sorted(n.removesuffix(".json") for n in names if n.endswith(".json")))


@cache
def _shipped(name: str) -> FlowConfig:
    text = files("agent_lab.flows.builtin").joinpath(f"{name}.json").read_text(encoding="utf-8")
    return FlowConfig.model_validate_json(text)
