"""Which model answers when nobody names one."""

from collections.abc import Callable, Iterable

from agent_lab.errors import ConfigurationError, WeightsMissingError
from agent_lab.providers.registries.model_registry import ModelEntry

DEMO_MODEL = "qwen2.5-coder-1.5b"


def choose_default(
    entries: Iterable[ModelEntry], present: Callable[[ModelEntry], bool], memory_gb: float
) -> ModelEntry:
    """Choose among the local models whose weights are here.

    The demo model if it is one of them, else the largest that fits.

    Args:
        entries: Every model of the registry.
        present: Whether the weights of a model are on this machine.
        memory_gb: Memory that a model may take.

    Raises:
        WeightsMissingError: No local model is here; the hint is the pull command.
    """
    here = [entry for entry in entries if entry.provider == "local" and present(entry)]
    for entry in here:
        if entry.key == DEMO_MODEL:
            return entry
    fitting = [entry for entry in here if entry.min_vram_gb <= memory_gb]
    if not fitting:
        raise WeightsMissingError(
            "No local model is on this machine.",
            hint=f"agent-lab models pull {DEMO_MODEL}",
            details={"model": DEMO_MODEL},
        )
    return max(fitting, key=lambda entry: entry.bytes)


def first_of(provider: str, entries: Iterable[ModelEntry]) -> ModelEntry:
    """Choose the first model of a provider.

    Raises:
        ConfigurationError: It has none.
    """
    for entry in entries:
        if entry.provider == provider:
            return entry
    raise ConfigurationError(
        f"DEFAULT_PROVIDER is `{provider}`, which has no model in models.toml.",
        hint="agent-lab models list shows providers and models",
    )
