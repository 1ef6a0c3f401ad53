"""How models are sampled and bounded: `strategies.toml` with the operator's merged over it."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import Field

from agent_lab.contracts import Contract
from agent_lab.errors import UnknownStrategyError
from agent_lab.providers.registries.registry_file import load_entries


class Sampling(Contract):
    """How the next token is drawn."""

    temperature: float = Field(ge=0, le=2)
    top_p: float = Field(gt=0, le=1)
    top_k: int = Field(ge=0)
    """0: all tokens."""

    @cached_property
    def as_params(self) -> dict[str, float]:
        """The parameters of a call."""
        return self.model_dump()


class Limits(Contract):
    """When an answer is cut."""

    max_tokens: int = Field(gt=0)
    timeout_s: float = Field(gt=0)


class Strategy(Contract):
    """A named way of asking a model."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str = ""
    sampling: Sampling
    limits: Limits
    fallbacks: tuple[str, ...] = ()
    """Model keys to try, in this order, when the model that was asked fails."""
    fallback_when_filtered: bool = False
    """Whether a fallback is also asked what a provider withheld by its content policy."""


class StrategyRegistry:
    """Strategies by name.

    Args:
        strategies: The strategies, in the order in which they are listed.
    """

    def __init__(self, strategies: Iterable[Strategy]) -> None:
        self._strategies = {strategy.name: strategy for strategy in strategies}

    @classmethod
    def load(cls, operator_file: Path | None = None) -> Self:
        """Load the shipped strategies with the operator's file merged over them."""
        entries = load_entries(
            "strategies.toml", operator_file, ("strategies",), "strategies", "name", Strategy
        )
        return cls(entries.values())

    def get(self, name: str) -> Strategy:
        """Return the strategy called `name`.

        Raises:
            UnknownStrategyError: There is none; the message lists the near ones.
        """
        if name not in self._strategies:
            raise UnknownStrategyError(
                name,
                list(self._strategies),
                f"agent-lab run … --strategy {next(iter(self._strategies))}",
            )
        return self._strategies[name]

    def all(self) -> list[Strategy]:
        """Every strategy, in file order."""
        return list(self._strategies.values())
