"""What was asked for, or set up, does not exist."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import ClassVar

from agent_lab.errors.base import AgentLabError


class ConfigurationError(AgentLabError):
    """Something that was asked for, or set up, is wrong or missing."""

    code = "configuration_error"
    http_status = 400
    exit_code = 4


class UnknownNameError(ConfigurationError):
    """A name that no registry holds; the message lists the near ones, or all of few.

    Args:
        name: The name as it was given.
        known: Every name that would have been right.
        where: What adds or lists names of this kind, as the hint.
    """

    code = "unknown_name"
    exit_code = 2
    kind: ClassVar[str] = "name"

    def __init__(self, name: str, known: Sequence[str], where: str = "") -> None:
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        lead = "did you mean" if near else "known are"
        names = ", ".join(f"`{n}`" for n in near or sorted(known)) or "none"
        details = {"name": name, "near": near, "known": sorted(known)}
        said = f"Unknown {self.kind} `{name}`; {lead} {names}."
        super().__init__(said, hint=where, details=details)


class UnknownModelError(UnknownNameError):
    """No registry entry has this model key."""

    code = "unknown_model"
    kind = "model"


class UnknownStrategyError(UnknownNameError):
    """No registry entry has this strategy name."""

    code = "unknown_strategy"
    kind = "strategy"


class UnknownFlowError(UnknownNameError):
    """No flow has this name."""

    code = "unknown_flow"
    kind = "flow"


class UnknownRoleError(UnknownNameError):
    """The flow has no role of this name."""

    code = "unknown_role"
    kind = "role"


class UnknownCapabilityError(UnknownNameError):
    """No model could have a capability of this name."""

    code = "unknown_capability"
    kind = "capability"


class UnknownProviderError(UnknownNameError):
    """No registry entry has this provider name."""

    code = "unknown_provider"
    kind = "provider"


class UnknownPluginError(UnknownNameError):
    """No provider or node type has this name, here or in an installed package."""

    code = "unknown_plugin"
    kind = "plugin"


class MissingDependencyError(ConfigurationError):
    """An optional package is not installed; the hint is the pip command that installs it."""

    code = "missing_dependency"
    http_status = 503


class WeightsMissingError(ConfigurationError):
    """The weights of a local model are not on this machine; the hint is the pull command."""

    code = "weights_missing"
    http_status = 503


class WeightsCorruptError(ConfigurationError):
    """A weights file is not the file that its registry entry names by sha256."""

    code = "weights_corrupt"
    http_status = 503


class MissingKeyError(ConfigurationError):
    """The key of a remote provider is not set; the hint names its variable."""

    code = "missing_key"
    http_status = 503
