"""Flows as data: nodes, edges, loops, groups and prompts, and the shipped flows."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from importlib.resources import files
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, Field, StringConstraints
from typing_extensions import override

from agent_lab.contracts import (
    Contract,
    DataPolicy,
    FlowBudget,
    Temperature,
    TokenLimit,
    TopK,
    TopP,
)
from agent_lab.errors import UnknownFlowError
from agent_lab.flows.conditions import Condition
from agent_lab.flows.flow_tests import FlowTest
from agent_lab.flows.inputs import InputConfig, InputRef
from agent_lab.flows.prompt_templates import LocalizedText

NODE_ID = r"^[a-z][a-z0-9_]*$"
FLOW_NAME = r"^[a-z][a-z0-9_-]{0,63}$"

MOST_SAMPLES = 100
"""Draws of one prompt; votes are flat long before that."""

Name = Annotated[str, StringConstraints(pattern=NODE_ID)]


class Sampled(Contract):
    """How a role is asked; None: as the caller, the strategy or the model says."""

    model: str | None = Field(None, validation_alias=AliasChoices("model", "model_hint"))
    """Model key; None: the caller's, else the default model."""
    strategy: str | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_k: TopK | None = None
    max_tokens: TokenLimit | None = None


class Member(Sampled):
    """Who takes part in a group: what tells this one from the others."""

    name: LocalizedText = ""
    """As people and other roles read it; empty: the id."""
    role: str = ""
    """Who speaks, as callers choose models for it: one that takes part in several groups has one
    role in all of them. Empty: the group's, else the id of the member's node.
    """
    values: dict[Name, LocalizedText] = Field(default_factory=dict)
    """Texts that the group's prompt asks for by name."""
    aliases: tuple[Name, ...] = ()
    """Older ids of the member's node."""


class GroupConfig(Contract):
    """Several nodes that differ only in who speaks; they run at the same time.

    The node `expert` with the member `security` becomes the node `security_expert`; an edge to or
    from the group is one to or from each member, and `{expert_outputs}` is what all of them said.
    """

    members: dict[Name, Member] = Field(default_factory=dict)
    """The members that the flow knows, by id."""
    chosen: InputRef | tuple[Name, ...] = ()
    """Who takes part; empty: all."""


class NodeConfig(Sampled):
    """One node of a flow."""

    id: Name
    type: str = "execution"
    """What the node does: the name of a node type."""
    name: LocalizedText = ""
    """As people read it; empty: the id."""
    role: str = ""
    """Who speaks here, as callers choose models for it; empty: the id."""
    prompt_template: LocalizedText = ""
    values: dict[Name, LocalizedText] = Field(default_factory=dict)
    """Texts that the prompt asks for by name."""
    stop: tuple[str, ...] = ()
    """Texts that end the turn; they are not part of it."""
    aliases: tuple[Name, ...] = ()
    """Older ids, which callers and prompts may still use."""
    group: GroupConfig | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    """What only this type of node understands; `{"input": NAME}` stands for that input's value."""

    @property
    def is_role(self) -> bool:
        """Whether callers can choose its model: somebody speaks here."""
        return bool(self.prompt_template or self.role) or self.type == "execution"

    @property
    def speaker(self) -> str:
        """The role, or the id where no role is named."""
        return self.role or self.id


class EdgeConfig(Contract):
    """A way from one node to another; the first edge whose condition holds is taken.

    Edges with the same condition are taken together; those without one where no other holds.
    """

    source: str
    target: str
    condition: Condition | None = None


class LoopConfig(Contract):
    """Nodes that run again: from `last` back to `first`.

    Every way into the loop enters at `first`, every way out leaves from `last`, whose edges are
    followed once the loop has ended. `until` is looked at after `last` and, from the second round
    on, after `first` if that is one node: the first round is always complete.
    """

    id: Name
    first: str
    """The node, or the group, that begins each round."""
    last: str
    max_rounds: InputRef | Annotated[int, Field(ge=1, le=1000)]
    """How often its nodes run at the most; an input of a loop that counts retries says how often
    they run again: `retries` 2 means three times.
    """
    until: Condition | None = None
    """Ends the loop; None: it runs `max_rounds` times."""
    reason: Name = "completed"
    """The run's stop reason where `until` has ended the loop."""
    counts: Literal["round", "retry"] = "round"
    """`retry`: it is the same answer that is asked for again."""
    backoff_s: float = Field(0.0, ge=0, le=60)
    """Seconds of pause before the second round; twice as long before each further one."""


class FlowConfig(Contract):
    """A flow: who speaks, in which order, and whose text is the answer."""

    schema_: str = Field("", alias="$schema", exclude=True)
    """Where an editor finds the JSON Schema of flows."""
    name: str = Field(pattern=FLOW_NAME)
    description: LocalizedText = ""
    inputs: dict[Name, InputConfig] = Field(default_factory=dict)
    """What a caller can choose; each has a default."""
    nodes: tuple[NodeConfig, ...] = Field(min_length=1)
    edges: tuple[EdgeConfig, ...] = ()
    loops: tuple[LoopConfig, ...] = ()
    """The only way to go back: edges alone make no circle."""
    entry_point: str
    """The node, or the group, that begins."""
    system_prompt: LocalizedText = ""
    """One for all roles: what every prompt shares is computed once."""
    data_policy: DataPolicy | None = None
    """`local`: no text of this flow leaves the machine, whatever the caller wishes."""
    budget: FlowBudget | None = None
    """What a run may cost at the most; the caller's own budget can only lower it."""
    output: tuple[str, ...] = ()
    """Nodes whose text is the answer, best first; empty: the terminal nodes."""
    outputs: dict[Name, str] = Field(default_factory=dict)
    """Further results by name: values of the run, such as `output_validator_score`."""
    tests: tuple[FlowTest, ...] = ()
    """What the flow does on scripted turns: `agent-lab flows test`."""

    @cached_property
    def version(self) -> str:
        """Digest of the whole definition: equal for equal flows, on every machine."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @override
    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy the flow; what was computed of the original is not the copy's."""
        copied = super().model_copy(update=update, deep=deep)
        for name in [name for name in copied.__dict__ if name not in type(self).model_fields]:
            del copied.__dict__[name]
        return copied

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
        return list(dict.fromkeys(node.speaker for node in self.nodes if node.is_role))


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
    """Creator, challenger, refiner, in rounds."""
    return get_flow_config("challenge")


def get_multi_perspective_flow_config() -> FlowConfig:
    """Experts at the same time, then a synthesizer."""
    return get_flow_config("multi_perspective")


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
