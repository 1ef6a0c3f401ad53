"""What a flow can be made of, as data: types of node, routers, models, other flows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from pydantic import ValidationError

from agent_lab.contracts import Contract
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.flows.prompt_templates import LocalizedText

Port = Literal["text", "draft", "critique", "ballot", "score", "any"]
"""What a node takes or gives, as a builder joins them."""


class NodeOptions(Contract):
    """What one type of node understands beside what every node has: its `config`."""

    def nodes_named(self) -> Mapping[str, tuple[str, ...]]:
        """By field: the nodes that it names."""
        return {}

    def judges(self) -> tuple[str | None, ...]:
        """The models that are asked beside the node's own turn; None: the default model."""
        return ()

    def subflow(self) -> str | None:
        """The flow that it runs."""
        return None

    def most_turns(self, plan: FlowPlan) -> int:
        """How often its prompt can be sent in one pass of the node."""
        return 1


@dataclass(frozen=True)
class NodeKind:
    """One type of node."""

    name: str
    title: LocalizedText = ""
    description: LocalizedText = ""
    options: type[NodeOptions] | None = NodeOptions
    """Checks `config`; None: anything goes."""
    takes: tuple[Port, ...] = ("any",)
    gives: Port = "text"
    values: Mapping[str, str] = field(default_factory=dict)
    """Values that it sets, with their meaning; conditions and prompts read `<node>_<name>`."""
    prompt: Literal["required", "optional", "none"] = "required"
    """Whether it asks with the node's prompt."""
    prompt_names: tuple[str, ...] = ()
    """Names that only the prompts of this type can ask for."""
    asks: Literal["model", "person"] = "model"
    """Whom."""

    def asks_a_model(self, prompt_template: LocalizedText) -> bool:
        """Whether a node with this prompt asks a model with it."""
        asks = self.prompt == "required" or (self.prompt == "optional" and bool(prompt_template))
        return asks and self.asks == "model"

    def options_of(self, config: Mapping[str, object]) -> NodeOptions:
        """Read a node's `config`.

        Raises:
            pydantic.ValidationError: It is wrong.
        """
        return (self.options or NodeOptions).model_validate(config if self.options else {})

    def options_or_none(self, config: Mapping[str, object]) -> NodeOptions | None:
        """As `options_of`; None where it is wrong."""
        try:
            return self.options_of(config)
        except ValidationError:
            return None


class ModelFacts(NamedTuple):
    """What validation wants to know of a model."""

    family: str
    context_window: int
    """Tokens of prompt and answer together."""
    strategy: str
    """The one that is taken where nobody names one."""
    worst_usd: Callable[[int, int], float | None] = lambda prompt, answer: None
    """US dollars that prompt and answer of these tokens cost at the most; None: unknown."""
    reasoning_tokens: int = 0
    """That it may think beside its answer."""


class StrategyFacts(NamedTuple):
    """What validation wants to know of a strategy."""

    max_tokens: int
    fallbacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Catalogue:
    """Everything that flows may name.

    `models` and `strategies` are None where nobody has looked at the registries: their names are
    then not checked, and nothing is said of tokens and cost.
    """

    kinds: Mapping[str, NodeKind]
    routers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By router: what it can say."""
    flows: Mapping[str, FlowConfig] = field(default_factory=dict)
    models: Mapping[str, ModelFacts] | None = None
    strategies: Mapping[str, StrategyFacts] | None = None
    default_model: str | None = None
    """Who answers where nobody names a model; None: nobody is here."""
    default_strategy: str | None = None
    max_tokens: int | None = None
    """Longest answer where nobody says otherwise; None: the strategy's."""
