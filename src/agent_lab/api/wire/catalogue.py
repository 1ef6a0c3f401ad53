"""What the lab knows: flows, and what they can be made of, as lists show them."""

from typing import Literal, Self

from pydantic import JsonValue
from typing_extensions import override

from agent_lab.contracts import Contract
from agent_lab.flows.catalogue import NodeKind, Port
from agent_lab.flows.flow_plan import plan_flow
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.flows.inputs import InputConfig
from agent_lab.flows.prompt_templates import LocalizedText


class FlowSummary(Contract):
    """A flow in a list."""

    name: str
    version: str
    """Digest of the whole definition."""
    description: LocalizedText
    roles: tuple[str, ...]
    """Who speaks where nobody chooses otherwise, in the order of the nodes."""
    inputs: dict[str, InputConfig]
    """What a caller can choose, each with its default."""

    @classmethod
    def of(cls, flow: FlowConfig) -> Self:
        """Sum a flow up."""
        return cls(
            name=flow.name,
            version=flow.version,
            description=flow.description,
            roles=tuple(plan_flow(flow).roles()),
            inputs=flow.inputs,
        )


class FlowView(FlowSummary):
    """A whole flow."""

    definition: FlowConfig
    """Nodes, edges and prompts."""

    @override
    @classmethod
    def of(cls, flow: FlowConfig) -> Self:
        """Show a flow with its definition."""
        return cls(**dict(FlowSummary.of(flow)), definition=flow)


class NodeKindView(Contract):
    """A type of node, as a builder offers it."""

    name: str
    """What a node's `type` says."""
    title: LocalizedText
    description: LocalizedText
    takes: tuple[Port, ...]
    """What may lead to it."""
    gives: Port
    values: dict[str, str]
    """Values that it sets, with their meaning; conditions and prompts read `<node>_<name>`."""
    prompt: Literal["required", "optional", "none"]
    """Whether it asks a model with the node's prompt."""
    form: dict[str, JsonValue]
    """JSON Schema of the node's `config`; empty: anything goes."""

    @classmethod
    def of(cls, kind: NodeKind) -> Self:
        """Show a type of node."""
        return cls(
            name=kind.name,
            title=kind.title,
            description=kind.description,
            takes=kind.takes,
            gives=kind.gives,
            values=dict(kind.values),
            prompt=kind.prompt,
            form={} if kind.options is None else kind.options.model_json_schema(),
        )


class RouterView(Contract):
    """A function that conditions can ask: `{"op": "route", "router": NAME, "to": ROUTE}`."""

    name: str
    routes: tuple[str, ...]
    """What it can say."""
