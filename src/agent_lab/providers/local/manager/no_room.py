"""Says why a model does not fit, and what would free enough. Pure."""

from collections.abc import Sequence

from agent_lab.contracts import LoadedModel, ModelFit
from agent_lab.errors import NotEnoughVramError
from agent_lab.providers.registries.model_registry import ModelEntry


def never_fits(entry: ModelEntry, fit: ModelFit, window: int | None) -> NotEnoughVramError:
    """The error of a model that does not fit, whatever is unloaded.

    Args:
        entry: The model.
        fit: What it needs, and what there is.
        window: A shorter window, in tokens, with which it would fit; None: there is none.
    """
    if fit.need_gb > fit.limit_gb:
        reason = f"local models may take {fit.limit_gb:.2f} GB in all"
        ways = [f"MAX_VRAM_USAGE_GB={_up(fit.need_gb)}, if the machine has as much"]
    else:
        reason = f"{fit.spare_gb:.2f} GB are free: other programs take the rest"
        ways = ["End other programs"]
    if window is not None:
        ways.insert(0, f"AGENT_LAB_LOCAL_CONTEXT={window} makes it fit")
    return _error(
        entry,
        fit,
        (),
        reason,
        f"{'; or '.join(ways)}; or a smaller one: agent-lab models recommend",
    )


def no_room_in_time(
    entry: ModelEntry, fit: ModelFit, loaded: Sequence[LoadedModel]
) -> NotEnoughVramError:
    """The error of a model that waited for others to go until its time was over.

    Args:
        entry: The model.
        fit: What it needs, and what there is.
        loaded: The models that take the memory.
    """
    takers = ", ".join(
        f"`{model.key}` ({model.need_gb:.2f} GB, {_why_it_stays(model)})" for model in loaded
    )
    missing = fit.need_gb - fit.spare_gb
    return _error(
        entry,
        fit,
        loaded,
        f"{fit.spare_gb:.2f} GB were free until its time was over: {takers or 'others wait, too'}",
        f"Allow more time, or {_up(fit.limit_gb + max(0.0, missing))} GB (MAX_VRAM_USAGE_GB), so "
        "that all fit at once.",
    )


def _error(
    entry: ModelEntry, fit: ModelFit, loaded: Sequence[LoadedModel], reason: str, hint: str
) -> NotEnoughVramError:
    return NotEnoughVramError(
        f"`{entry.key}` needs {fit.need_gb:.2f} GB of memory, and {reason}.",
        hint=hint,
        details={
            "model": entry.key,
            "need_gb": fit.need_gb,
            "limit_gb": fit.limit_gb,
            "spare_gb": fit.spare_gb,
            "loaded": {model.key: model.need_gb for model in loaded},
        },
    )


def _why_it_stays(model: LoadedModel) -> str:
    if model.state != "ready":
        return model.state
    if model.in_use:
        return calls(model.in_use)
    return "held by a debate" if model.held else "idle"


def calls(number: int) -> str:
    """So many calls, in words."""
    return f"{number} call{'' if number == 1 else 's'}"


def _up(gb: float) -> str:
    """GB, rounded up to a tenth."""
    return f"{-(-gb * 10 // 1) / 10:g}"
