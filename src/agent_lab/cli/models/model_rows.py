"""What is known of a model, as `--json` shows it, and its fit in words."""

from typing import TYPE_CHECKING

from agent_lab.errors import AgentLabError, MissingDependencyError, WeightsCorruptError

if TYPE_CHECKING:
    from agent_lab.contracts import JsonObject, ModelFit
    from agent_lab.providers.model_survey import SurveyedModel
    from agent_lab.providers.provider_gateway import ProviderGateway

FITS = {"now": "now", "after_unload": "after unload", "never": "no"}
_PROBLEMS: dict[type[AgentLabError], str] = {
    WeightsCorruptError: "damaged",
    MissingDependencyError: "no engine",
}


def model_row(gateway: "ProviderGateway", seen: "SurveyedModel") -> "JsonObject":
    """Everything that is known of a model without asking it."""
    entry = seen.entry
    local = entry.provider == "local"
    return {
        **entry.model_dump(mode="json"),
        "present": seen.present,
        "path": str(gateway.weights.path(entry)) if local else None,
        "missing": _missing(gateway, seen),
        "key_variable": gateway.targets.hosts.get(entry.provider).api_key_env,
        "fit": seen.fit and seen.fit.model_dump(mode="json"),
        "fit_problem": seen.problem and seen.problem.message,
    }


def fits_word(seen: "SurveyedModel") -> str:
    """Whether a model fits, in one word or two; empty: it takes no memory here."""
    if seen.fit is not None:
        return FITS[seen.fit.fits]
    return "" if seen.problem is None else _PROBLEMS.get(type(seen.problem), "unknown")


def fit_told(fit: "ModelFit", window: int) -> str:
    """Whether a model fits, in a sentence.

    Args:
        fit: What it needs, and what there is.
        window: Tokens that each of its slots would hold.
    """
    memory = (
        f"needs {fit.need_gb:.2f} GB; {fit.spare_gb:.2f} GB are free of the {fit.limit_gb:.2f} GB "
        "that local models may take"
    )
    slots = f", {slots_told(fit.slots, window)}" if fit.slots else ""
    return f"{FITS[fit.fits]}{slots}; {memory}"


def slots_told(slots: int, window: int) -> str:
    """How many calls a model answers at the same time, and what each may hold."""
    return f"{slots} {'slot' if slots == 1 else 'slots'} of {window} tokens"


def _missing(gateway: "ProviderGateway", seen: "SurveyedModel") -> str:
    """What has to be there before a model can be asked; empty: nothing."""
    if seen.present:
        return ""
    if seen.entry.provider == "local":
        return "weights"
    return "host" if gateway.targets.provider(seen.entry.provider).is_local else "key"
