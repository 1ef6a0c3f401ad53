"""Makes checks of rules: each gets a provider of its own, and says which rule was broken."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from agent_lab.providers.conformance.bench import Bench, benched
from agent_lab.providers.conformance.subject import Subject
from agent_lab.providers.conformance.verdicts import (
    BreachError,
    Check,
    NonConformanceError,
    NotApplicableError,
    described,
)

Rule: TypeAlias = Callable[[Bench], Awaitable[None]]
"""Tries out one rule; its docstring says it in a sentence, its name in short."""


def checks_of(*rules: Rule) -> Mapping[str, Check]:
    """The checks of some rules, by name."""
    return {rule.__name__: _check_of(rule) for rule in rules}


def _check_of(rule: Rule) -> Check:
    said = " ".join((rule.__doc__ or rule.__name__).split())

    async def check(subject: Subject) -> None:
        if rule.__name__ in subject.exempt:
            raise NotApplicableError(subject.exempt[rule.__name__])
        try:
            async with benched(subject) as bench:
                await rule(bench)
        except NotApplicableError:
            raise
        except BreachError as breach:
            raise NonConformanceError(said, breach.wanted, breach.came) from None
        except Exception as error:
            raise NonConformanceError(said, "an answer", described(error)) from error

    check.__name__ = check.__qualname__ = rule.__name__
    check.__doc__ = said
    return check
