"""Which models may answer: constraints, where text may go, what fallbacks must do. Pure."""

from agent_lab.contracts import Constraints, GenerationRequest
from agent_lab.errors import InvalidRequestError
from agent_lab.providers.registries.model_registry import ModelEntry


def excluded_by(constraints: Constraints, entry: ModelEntry) -> str:
    """Why a model does not keep the constraints; empty: it does."""
    if constraints.vram_gb is not None and entry.min_vram_gb > constraints.vram_gb:
        return f"it needs {entry.min_vram_gb:g} GB, more than the {constraints.vram_gb:g} allowed"
    if entry.key in constraints.distinct_from:
        return "it may not be chosen (distinct_from)"
    return ""


def stays_here(request: GenerationRequest, *, asked_is_local: bool, default_is_local: bool) -> bool:
    """Whether the text of a request must stay on this machine.

    Args:
        request: Its own wish goes before everything else.
        asked_is_local: Whether the model that was asked runs here; a remote one that was named
            says that the text may go.
        default_is_local: Whether the configured provider is on this machine.
    """
    if request.data_policy is not None:
        return request.data_policy == "local"
    return asked_is_local and default_is_local


def unfit_instead(
    entry: ModelEntry,
    asked: ModelEntry,
    request: GenerationRequest,
    *,
    is_local: bool,
    must_stay: bool,
) -> str:
    """Why a model cannot answer instead of the one that was asked; empty: it can.

    Args:
        entry: The fallback.
        asked: The model that failed.
        request: What was asked.
        is_local: Whether the fallback runs on this machine.
        must_stay: Whether the text must stay there.
    """
    if entry.key == asked.key:
        return "it is the one that was asked"
    if must_stay and not is_local:
        return "the text may not leave this machine (data_policy)"
    lost = {"json_schema"} & set(asked.capabilities) - set(entry.capabilities)
    if request.response_schema is not None and lost:
        return "it cannot be held to a schema"
    return excluded_by(request.constraints, entry)


def refuse(entry: ModelEntry, reason: str) -> None:
    """Refuse a model that was asked for, if there is a reason.

    Raises:
        InvalidRequestError: There is one.
    """
    if reason:
        raise InvalidRequestError(f"`{entry.key}` cannot answer: {reason}.")
