"""A local model in memory, as a provider shows it."""

from agent_lab.contracts import LoadedModel


def loaded_model(key: str) -> LoadedModel:
    """One that is ready, and that nobody uses."""
    return LoadedModel(
        key=key,
        state="ready",
        need_gb=1.0,
        context=8192,
        slots=1,
        in_use=0,
        held=False,
        pinned=False,
        idle_s=0.0,
    )
