"""Bounds what a run may take: each call is refused before it is made if its worst case is more."""

from collections.abc import Callable
from typing import Any, NamedTuple

from agent_lab.errors import BudgetExceededError

_ROUNDING = 1e-9
_LESS = "ask for fewer tokens (max_tokens), or raise the budget"


class Held(NamedTuple):
    """What is kept back for one call."""

    usd: float
    tokens: int
    outer: "Held | None" = None
    """What the budget around this one keeps back."""


NOTHING = Held(0.0, 0)


class BudgetKeeper:
    """What is left of one budget; calls at the same time each hold their worst case.

    Args:
        cost_usd: US dollars that may be spent; None: any.
        allow_unpriced: Whether models whose price is unknown may answer, as if they were free.
        calls: How many calls may be made; None: any.
        tokens: How many tokens may be read and written; None: any.
        expired: Whether the time is over.
        within: The budget around this one, which every call must fit, too.
        flow: The flow within the run whose budget it is; empty: the run's.
    """

    def __init__(
        self,
        cost_usd: float | None = None,
        *,
        allow_unpriced: bool = False,
        calls: int | None = None,
        tokens: int | None = None,
        expired: Callable[[], bool] = lambda: False,
        within: "BudgetKeeper | None" = None,
        flow: str = "",
    ) -> None:
        self._cost_usd = cost_usd
        self._allow_unpriced = allow_unpriced
        self._calls = calls
        self._tokens = tokens
        self._expired = expired
        self._within = within
        self._flow = flow
        self._whose = f"flow `{flow}`" if flow else "run"
        self._held = NOTHING
        self.spent = 0.0
        """US dollars."""
        self._used_tokens = 0

    def hold(self, model: str, worst_usd: float | None, worst_tokens: int = 0) -> Held:
        """Keep back what a call can take at the most.

        Args:
            model: The key of the model that will bill.
            worst_usd: US dollars; None: its price is unknown.
            worst_tokens: Tokens that it can read and write.

        Returns:
            What is held, for `settle`.

        Raises:
            BudgetExceededError: It is more than what is left, or unknown and not allowed;
                `details["limit"]` says which limit: `seconds`, `calls`, `tokens`, `cost_usd`.
        """
        if self._expired():
            message = f"The time of the {self._whose} is over."
            raise self._refused("seconds", model, message, "raise the budget's seconds")
        if self._calls is not None and self._calls < 1:
            message = f"The {self._whose} has made all its calls."
            raise self._refused("calls", model, message, "allow more calls")
        self._check_tokens(model, worst_tokens)
        usd = self._checked_cost(model, worst_usd)
        around = self._within
        outer = None if around is None else around.hold(model, worst_usd, worst_tokens)
        held = Held(usd, worst_tokens, outer)
        self._held = Held(self._held.usd + held.usd, self._held.tokens + held.tokens)
        if self._calls is not None:
            self._calls -= 1
        return held

    def settle(self, held: Held, cost_usd: float, tokens: int = 0) -> None:
        """Give back what was held, and note what the call did take.

        Args:
            held: What `hold` returned.
            cost_usd: US dollars.
            tokens: Tokens read and written.
        """
        self._held = Held(self._held.usd - held.usd, self._held.tokens - held.tokens)
        self.spent += cost_usd
        self._used_tokens += tokens
        if self._within is not None and held.outer is not None:
            self._within.settle(held.outer, cost_usd, tokens)

    def charge(self, cost_usd: float, *, calls: int, tokens: int) -> None:
        """Note calls that an earlier execution of the same run has made.

        Args:
            cost_usd: US dollars.
            calls: How many there were.
            tokens: Tokens read and written.
        """
        self.spent += cost_usd
        self._used_tokens += tokens
        if self._calls is not None:
            self._calls -= calls
        if self._within is not None:
            self._within.charge(cost_usd, calls=calls, tokens=tokens)

    def _check_tokens(self, model: str, worst: int) -> None:
        if self._tokens is None:
            return
        left = self._tokens - self._used_tokens - self._held.tokens
        if worst > left:
            message = (
                f"The call to `{model}` could take {worst} tokens; of the {self._whose}'s "
                f"{self._tokens}, {max(0, left)} are left."
            )
            raise self._refused(
                "tokens", model, message, _LESS, worst_tokens=worst, left_tokens=left
            )

    def _checked_cost(self, model: str, worst: float | None) -> float:
        if self._cost_usd is None:
            return 0.0
        if worst is None:
            self._refuse_unpriced(model)
            return 0.0
        left = self._cost_usd - self.spent - self._held.usd
        if worst > left + _ROUNDING * self._cost_usd:
            message = (
                f"The call to `{model}` could cost {worst:.6f} USD; of its budget of "
                f"{self._cost_usd:g} USD, {max(0.0, left):.6f} are left."
            )
            raise self._refused("cost_usd", model, message, _LESS, worst_usd=worst, left_usd=left)
        return worst

    def _refuse_unpriced(self, model: str) -> None:
        if not self._allow_unpriced:
            message = (
                f"`{model}` has no known price, so a budget of {self._cost_usd:g} USD cannot be "
                "kept."
            )
            hint = (
                f'cost_profile = {{ input = …, output = … }} for [models."{model}"], or '
                "allow_unpriced"
            )
            raise self._refused("cost_usd", model, message, hint, worst_usd=None)

    def _refused(
        self, limit: str, model: str, message: str, hint: str, **details: Any
    ) -> BudgetExceededError:
        whose = {"flow": self._flow} if self._flow else {}
        return BudgetExceededError(
            message, hint=hint, details={"limit": limit, "model": model, **whose, **details}
        )
