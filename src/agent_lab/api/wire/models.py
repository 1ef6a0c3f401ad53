"""Models as the API shows them, and what can be asked to be done with them."""

from typing import Annotated, Self

from pydantic import Field, StrictBool

from agent_lab.api.wire.names import FlowName
from agent_lab.contracts import Contract, LoadedModel, ModelFit
from agent_lab.providers.model_survey import SurveyedModel
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.providers.registries.model_registry import Capability, CostProfile

# For the description: whoever breaks them is told more than that a pattern does not match.
_SOURCE = r"^hf:[A-Za-z0-9_][A-Za-z0-9_.-]*/[A-Za-z0-9_][A-Za-z0-9_.-]*$"
_KEY = r"^[a-z0-9][a-z0-9._-]{0,63}$"


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
    parameters_b: float
    """Billions of parameters; 0: unknown."""
    languages: tuple[str, ...]
    """ISO 639-1 codes of the languages that it was made for; empty: unknown."""
    note: str
    """What it is good for; may be empty."""
    bytes: int
    """Size of the weights; 0 for a model that has none here."""
    licence: str
    present: bool
    """Whether it can be asked now: the weights of a local model are on this machine, the key of a
    remote one is set, a server on this machine was found.
    """
    loaded: bool
    """Whether it is in memory, and answers at once."""
    memory: LoadedModel | None
    """What it takes of this machine's memory; null: nothing."""
    fit: ModelFit | None
    """Whether there is memory for it; null: it takes none here, or it cannot be loaded at all."""

    @classmethod
    def of(cls, seen: SurveyedModel, gateway: ProviderGateway) -> Self:
        """Show a model that was looked at."""
        key = seen.entry.key
        memory = next((model for model in gateway.memory.loaded() if model.key == key), None)
        return cls(
            **seen.entry.model_dump(include=set(cls.model_fields)),
            present=seen.present,
            loaded=memory is not None and memory.state == "ready",
            memory=memory,
            fit=seen.fit,
        )


class WarmRequest(Contract):
    """What a model is warmed up for."""

    flow: FlowName = "challenge"
    """It reads what the prompts of this flow begin with."""


class AddModelRequest(Contract):
    """A model of a hub that becomes one of this lab's."""

    source: Annotated[
        str,
        Field(
            json_schema_extra={"pattern": _SOURCE}, examples=["hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF"]
        ),
    ]
    """Its repository: `hf:OWNER/REPO[@REVISION][#FILE]`; without a file, one is chosen."""
    key: Annotated[str, Field(json_schema_extra={"pattern": _KEY})] | None = None
    """Its key here; null: made of the file's name."""
    replace: StrictBool = False
    """Whether there may be a model of this key already."""
