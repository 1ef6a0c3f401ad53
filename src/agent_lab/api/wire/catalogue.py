"""What the lab knows: flows and models as lists show them."""

from typing import Self

from typing_extensions import override

from agent_lab.contracts import Contract
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.flows.prompt_templates import LocalizedText
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.providers.registries.model_registry import Capability, CostProfile, ModelEntry


class FlowSummary(Contract):
    """A flow in a list."""

    name: str
    version: str
    """Digest of the whole definition."""
    description: LocalizedText
    roles: tuple[str, ...]

    @classmethod
    def of(cls, flow: FlowConfig) -> Self:
        """Sum a flow up."""
        return cls(
            name=flow.name,
            version=flow.version,
            description=flow.description,
            roles=tuple(flow.roles()),
        )


class FlowView(FlowSummary):
    """A whole flow."""

    definition: FlowConfig
    """Nodes, edges and prompts."""

    @override
    @classmethod
    def of(cls, flow: FlowConfig) -> Self:
        """Show a flow with its definition."""
        return cls(**FlowSummary.of(flow).model_dump(), definition=flow)


class ModelView(Contract):
    """A model of the registry."""

    key: str
    family: str
    provider: str
    engine: str
    context_window: int
    """Tokens of prompt and answer together."""
    default_strategy: str
    capabilities: tuple[Capability, ...]
    cost_profile: CostProfile | None
    """US dollars per million tokens; null: those of the price table, if it has the model."""
    min_vram_gb: float
    bytes: int
    """Size of the weights; 0 for a model that has none here."""
    licence: str
    present: bool
    """Whether it can be asked now: the weights of a local model are on this machine, the key of a
    remote one is set, a server on this machine was found.
    """
    loaded: bool
    """Whether it is in memory."""

    @classmethod
    def of(cls, entry: ModelEntry, gateway: ProviderGateway) -> Self:
        """Show an entry, and what is here of it."""
        fields = entry.model_dump(include=set(cls.model_fields))
        return cls(
            **fields, present=gateway.ready(entry), loaded=entry.key in gateway.loaded_models()
        )
