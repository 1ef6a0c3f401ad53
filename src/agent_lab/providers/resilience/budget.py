"""Bounds what a run may cost: each call is refused before it is made if its worst case is more."""

from agent_lab.errors import BudgetExceededError

_ROUNDING = 1e-9
_TOO_DEAR = "ask for fewer tokens (max_tokens), or raise the budget"


class BudgetKeeper:
    """What is left of one budget; calls at the same time each hold their worst case.

    Args:
        cost_usd: What may be spent, in US dollars.
        allow_unpriced: Whether models whose price is unknown may answer, as if they were free.
    """

    def __init__(self, cost_usd: float, *, allow_unpriced: bool = False) -> None:
        self._cost_usd = cost_usd
        self._allow_unpriced = allow_unpriced
        self._held = 0.0
        self.spent = 0.0
        """US dollars."""

    def hold(self, model: str, worst_usd: float | None) -> float:
        """Keep back what a call can cost at the most.

        Args:
            model: The key of the model that will bill.
            worst_usd: US dollars; None: its price is unknown.

        Returns:
            What is held, for `settle`.

        Raises:
            BudgetExceededError: It is more than what is left, or unknown and not allowed.
        """
        if worst_usd is None:
            self._refuse_unpriced(model)
            return 0.0
        left = self._cost_usd - self.spent - self._held
        if worst_usd > left + _ROUNDING * self._cost_usd:
            raise BudgetExceededError(
                f"The call to `{model}` could cost {worst_usd:.6f} USD; of its budget of "
                f"{self._cost_usd:g} USD, {max(0.0, left):.6f} are left.",
                hint=_TOO_DEAR,
                details={"model": model, "worst_usd": worst_usd, "left_usd": left},
            )
        self._held += worst_usd
        return worst_usd

    def settle(self, held: float, cost_usd: float) -> None:
        """Give back what was held, and note what the call did cost, in US dollars."""
        self._held -= held
        self.spent += cost_usd

    def _refuse_unpriced(self, model: str) -> None:
        if not self._allow_unpriced:
            raise BudgetExceededError(
                f"`{model}` has no known price, so a budget of {self._cost_usd:g} USD cannot be "
                "kept.",
                hint=f'cost_profile = {{ input = …, output = … }} for [models."{model}"], or '
                "allow_unpriced",
                details={"model": model, "worst_usd": None},
            )
