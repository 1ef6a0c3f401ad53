"""Which models there are: `models.toml` with the operator's entries merged over it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import Field

from agent_lab.config import load_settings
from agent_lab.contracts import Contract
from agent_lab.errors import UnknownCapabilityError, UnknownModelError
from agent_lab.providers.registries.registry_file import MODEL_FILE_TABLES, load_entries

Capability = Literal["chat", "stream", "tools", "json_schema", "vision", "reasoning"]


class CostProfile(Contract):
    """US dollars per million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    """Thinking included."""
    cache_read: float | None = Field(None, ge=0)
    """Of tokens that the provider found computed; None: as `input`."""
    cache_write: float | None = Field(None, ge=0)
    """Of tokens that it stored; None: as `input`."""


class ModelEntry(Contract):
    """One model: what it is, where it comes from, what it takes."""

    key: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    family: str = ""
    """Models of one family share training data: a judge should be of another one."""
    provider: str
    """Where it lives: an entry of `[providers]`."""
    model: str = ""
    """Its name at its host; empty: the first one that the host says it serves."""
    engine: str = ""
    """What executes a local model."""
    file: str = Field("", pattern=r"^[\w.-]*$")
    """File name of the weights below MODEL_CACHE_DIR."""
    bytes: int = Field(0, ge=0)
    sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    sources: tuple[str, ...] = ()
    context_window: int = Field(gt=0)
    """Tokens of prompt and answer together that the model was made for."""
    max_output_tokens: int | None = Field(None, gt=0)
    """Tokens that an answer can have at most, thinking included; None: only the window bounds."""
    reasoning_allowance: int = Field(0, ge=0)
    """Tokens that the model may think beyond `max_tokens`, which bounds the text that it writes.

    A host counts thinking against its own limit: without an allowance, nothing is left to say.
    """
    default_strategy: str = "optimized"
    capabilities: tuple[Capability, ...] = ("chat",)
    cost_profile: CostProfile | None = None
    """None: the cost of a call is unknown."""
    min_vram_gb: float = Field(0.0, ge=0)
    """Memory in GB (10^9 bytes) that it takes at the most for one chat of 8192 tokens."""
    parameters_b: float = Field(0.0, ge=0)
    """Billions of parameters; 0: unknown."""
    active_parameters_b: float = Field(0.0, ge=0)
    """Those of them that work on each token, where only some do; 0: all, or unknown."""
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes of the languages that it was made for; empty: unknown."""
    note: str = ""
    """What it is good for, in one short sentence."""
    licence: str = ""
    """Its name, and what must be passed on with the weights."""
    unsupported_params: tuple[str, ...] = ()
    """Request parameters that this model refuses; they are dropped and listed."""
    options: dict[str, Any] = Field(default_factory=dict)
    """What only this entry's provider understands."""


class ModelRegistry:
    """Model entries by key.

    Args:
        entries: The entries, in the order in which they are listed.
    """

    def __init__(self, entries: Iterable[ModelEntry]) -> None:
        self._entries = {entry.key: entry for entry in entries}

    @classmethod
    def load(cls, operator_file: Path | None = None) -> Self:
        """Load the shipped entries with the operator's file merged over them."""
        entries = load_entries(
            "models.toml", operator_file, MODEL_FILE_TABLES, "models", "key", ModelEntry
        )
        return cls(entries.values())

    def get(self, key: str) -> ModelEntry:
        """Return the entry of `key`.

        Raises:
            UnknownModelError: No entry has this key; the message lists the near ones.
        """
        if key not in self._entries:
            raise UnknownModelError(key, list(self._entries), "agent-lab models list")
        return self._entries[key]

    def all(self) -> list[ModelEntry]:
        """Every entry, in file order."""
        return list(self._entries.values())

    def add(self, entry: ModelEntry) -> None:
        """Add an entry, in the place of one that has its key."""
        self._entries[entry.key] = entry


def get_model(key: str) -> ModelEntry:
    """Return a model of the configured registry.

    Raises:
        UnknownModelError: No entry has this key.
    """
    return _configured().get(key)


def list_models() -> list[ModelEntry]:
    """Every model of the configured registry, in file order."""
    return _configured().all()


def supports_task(key: str, task: str) -> bool:
    """Whether a model can do what a task asks of it.

    Args:
        key: The model key.
        task: One of the capabilities that entries list: `chat`, `tools`, `vision`, …

    Raises:
        UnknownModelError: No entry has this key.
        UnknownCapabilityError: No entry could list such a capability.
    """
    if task not in get_args(Capability):
        raise UnknownCapabilityError(task, get_args(Capability))
    return task in get_model(key).capabilities


def _configured() -> ModelRegistry:
    return ModelRegistry.load(load_settings().operator_models)
