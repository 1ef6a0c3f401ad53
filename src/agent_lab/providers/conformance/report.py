"""Every check, and what came of all of them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from typing_extensions import override

from agent_lab.errors import ConfigurationError
from agent_lab.providers.conformance.answers import ANSWER_CHECKS
from agent_lab.providers.conformance.calls import CALL_CHECKS
from agent_lab.providers.conformance.cancelling import CANCELLING_CHECKS
from agent_lab.providers.conformance.failures import FAILURE_CHECKS
from agent_lab.providers.conformance.lifecycle import LIFECYCLE_CHECKS
from agent_lab.providers.conformance.subject import Subject
from agent_lab.providers.conformance.verdicts import (
    Check,
    NonConformanceError,
    NotApplicableError,
)

CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        **ANSWER_CHECKS,
        **CALL_CHECKS,
        **CANCELLING_CHECKS,
        **FAILURE_CHECKS,
        **LIFECYCLE_CHECKS,
    }
)
"""By the rule that each states."""


class Report(NamedTuple):
    """What came of all checks."""

    passed: tuple[str, ...]
    failed: Mapping[str, str]
    """What was expected and what came, for each check."""
    not_applicable: Mapping[str, str]
    """Why, for each check."""

    @property
    def conforms(self) -> bool:
        """Whether nothing failed."""
        return not self.failed

    @override
    def __str__(self) -> str:
        lines = [f"passed          {name}" for name in self.passed]
        lines += [f"not applicable  {name}: {why}" for name, why in self.not_applicable.items()]
        lines += [f"FAILED          {name}: {what}" for name, what in self.failed.items()]
        counts = len(self.passed), len(self.not_applicable), len(self.failed)
        return "\n".join([*lines, "{} passed, {} not applicable, {} failed".format(*counts)])


async def check_provider(subject: Subject) -> Report:
    """Run every check on a provider; none keeps the next ones from running.

    Raises:
        ConfigurationError: `exempt` names a check that there is not.
    """
    if unknown := sorted(set(subject.exempt) - set(CHECKS)):
        raise ConfigurationError(
            f"There is no check `{unknown[0]}`.", hint="agent_lab.providers.conformance.CHECKS"
        )
    passed: list[str] = []
    failed: dict[str, str] = {}
    not_applicable: dict[str, str] = {}
    for name, check in CHECKS.items():
        try:
            await check(subject)
        except NotApplicableError as reason:
            not_applicable[name] = str(reason)
        except NonConformanceError as error:
            failed[name] = str(error)
        else:
            passed.append(name)
    return Report(tuple(passed), failed, not_applicable)
