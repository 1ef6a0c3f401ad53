"""What a check can come to."""

from collections.abc import Awaitable, Callable
from reprlib import Repr
from typing import TypeAlias
from unittest import SkipTest

from agent_lab.providers.conformance.subject import Subject

Check: TypeAlias = Callable[[Subject], Awaitable[None]]
"""Raises NonConformanceError, or NotApplicableError; its docstring is the rule."""

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 160


class NonConformanceError(AssertionError):
    """A provider breaks a rule.

    Args:
        rule: The rule, a sentence.
        wanted: What was expected.
        came: What came instead.
    """

    def __init__(self, rule: str, wanted: str, came: str) -> None:
        super().__init__(f"{rule} Expected: {wanted}. Came: {came}.")
        self.rule = rule
        self.wanted = wanted
        self.came = came


class NotApplicableError(SkipTest):
    """A subject cannot play a check; pytest and unittest count that as skipped."""


class BreachError(Exception):
    """What a check found; it becomes a NonConformanceError where the rule is known.

    Args:
        wanted: What was expected.
        came: What came instead.
    """

    def __init__(self, wanted: str, came: str) -> None:
        super().__init__(wanted, came)
        self.wanted = wanted
        self.came = came


def expect(holds: bool, wanted: str, came: str) -> None:
    """Go on if something holds.

    Raises:
        BreachError: It does not.
    """
    if not holds:
        raise BreachError(wanted, came)


def shown(value: object) -> str:
    """A value as messages show it; a long text without its middle."""
    return _SHORT.repr(value)


def described(error: BaseException) -> str:
    """An error as messages show it."""
    return f"{type(error).__name__} ({error})"
