"""Leaves alone, for a while, a provider or a model that failed too often."""

import math
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, NamedTuple

from agent_lab.errors import CircuitOpenError

State = Literal["closed", "open", "half_open"]
Outcome = Literal["ok", "failed", "neither"]
PROVIDERS_OWN = "*"
"""Stands for the provider itself where a model is named."""

_PROBE_WAIT_S = 1.0
"""How long a call should wait while another tests the provider; nobody knows how long that is."""


class BreakerPolicy(NamedTuple):
    """When a breaker opens, and for how long."""

    max_failures: int = 3
    """Failures in a row that open it."""
    timeout_s: float = 60.0
    """Seconds for which it stays open; outcomes older than these do not count either."""
    error_rate: float = 0.5
    """The share of failed calls that opens it, of the last ones."""
    window: int = 20
    """How many calls the last ones are."""
    min_calls: int = 10
    """With fewer of them the share says nothing."""


class Transition(NamedTuple):
    """A breaker changed its state."""

    provider: str
    model: str
    """`*`: the provider's own breaker."""
    before: State
    after: State
    reason: str
    at: float
    """Seconds on the breaker's clock."""


class BreakerState(NamedTuple):
    """A breaker, as an operator sees it."""

    state: State
    seconds_left: float
    """Until a call is allowed."""
    failures: int
    """Failures in a row."""
    reason: str
    """Why it opened, or what failed last."""


class Permit:
    """Leave to make a call; void once the breaker changed its state."""

    __slots__ = ()


class CircuitBreaker:
    """One breaker: closed, open after too many failures, half-open while one call tests it.

    Args:
        policy: When it opens, and for how long.
        now: The clock, in seconds; it never goes back.
        on_transition: Told of each change: the state before, the state after, and why.
    """

    def __init__(
        self,
        policy: BreakerPolicy,
        now: Callable[[], float],
        on_transition: Callable[[State, State, str], None],
    ) -> None:
        self._policy = policy
        self._now = now
        self._on_transition = on_transition
        self._state: State = "closed"
        # One object for every call of an epoch: a closed breaker costs a call no allocation.
        self._permit = Permit()
        self._probing = False
        self._open_until = 0.0
        self._failures = 0
        self._reason = ""
        self._times: deque[float] = deque(maxlen=policy.window)
        self._failed: deque[bool] = deque(maxlen=policy.window)

    @property
    def state(self) -> State:
        """The state now; a breaker whose time is up becomes half-open when it is looked at."""
        if self._state == "open" and self._now() >= self._open_until:
            self._move("half_open", f"{self._policy.timeout_s:g} s have passed")
        return self._state

    @property
    def seconds_left(self) -> float:
        """Seconds until the next probe is allowed; 0 when a call is.

        While another call is the probe, a guess: nobody knows when that ends.
        """
        state = self.state
        if state == "open":
            return max(0.0, self._open_until - self._now())
        return _PROBE_WAIT_S if self._probing else 0.0

    def snapshot(self) -> BreakerState:
        """The breaker as an operator sees it."""
        return BreakerState(self.state, self.seconds_left, self._failures, self._reason)

    def acquire(self) -> Permit | None:
        """Ask for leave to make a call.

        Returns:
            None if no call is allowed now. Every permit is to be recorded.
        """
        if self._state == "closed":
            return self._permit
        if self.state == "open" or self._probing:
            return None
        self._probing = True
        self._permit = Permit()
        return self._permit

    def record(
        self, permit: Permit, outcome: Outcome, *, trips: bool = False, reason: str = ""
    ) -> None:
        """Say how a call ended.

        Args:
            permit: The call's; one of before the latest transition changes nothing.
            outcome: `neither`: the call says nothing of the host, as when it was cancelled.
            trips: This failure opens the breaker at once.
            reason: What failed.
        """
        if permit is not self._permit:
            return
        if outcome == "failed":
            self._record_failure(trips, reason)
        elif self._state == "half_open":
            if outcome == "ok":
                self._close("the probe was answered")
            else:
                self._renew_permit()
        elif outcome == "ok":
            self._failures = 0
            self._times.append(self._now())
            self._failed.append(False)

    def reset(self) -> None:
        """Close it, and let nothing count that is still under way."""
        self._reason = ""
        self._close("reset")

    def _record_failure(self, trips: bool, reason: str) -> None:
        self._reason = reason
        self._failures += 1
        self._times.append(self._now())
        self._failed.append(True)
        cause = self._cause(trips)
        if cause:
            self._reason = f"{cause}: {reason}" if reason else cause
            self._open_until = self._now() + self._policy.timeout_s
            self._move("open", self._reason)

    def _cause(self, trips: bool) -> str:
        """Why the failure that was just counted opens the breaker; empty: it does not."""
        if self._state == "half_open":
            return "the probe failed"
        if trips:
            return "a failure that would come again"
        if self._failures >= self._policy.max_failures:
            return f"{self._failures} failures in a row"
        self._forget_old()
        calls, failed = len(self._failed), sum(self._failed)
        if calls >= self._policy.min_calls and failed / calls >= self._policy.error_rate:
            return f"{failed} of the last {calls} calls failed"
        return ""

    def _forget_old(self) -> None:
        oldest = self._now() - self._policy.timeout_s
        while self._times and self._times[0] < oldest:
            self._times.popleft()
            self._failed.popleft()

    def _close(self, reason: str) -> None:
        self._failures = 0
        self._times.clear()
        self._failed.clear()
        self._move("closed", reason)

    def _move(self, after: State, reason: str) -> None:
        before, self._state = self._state, after
        self._renew_permit()
        if before != after:
            self._on_transition(before, after, reason)

    def _renew_permit(self) -> None:
        self._permit = Permit()
        self._probing = False


class Admission:
    """Leave for one call, of its provider's breaker and its model's; always to be settled."""

    __slots__ = ("_model", "_model_permit", "_provider", "_provider_permit", "_settled")

    def __init__(
        self,
        provider: CircuitBreaker,
        provider_permit: Permit,
        model: CircuitBreaker,
        model_permit: Permit,
    ) -> None:
        self._provider = provider
        self._provider_permit = provider_permit
        self._model = model
        self._model_permit = model_permit
        self._settled = False

    def settle(
        self,
        blamed: Literal["provider", "model"] | None,
        *,
        alive: bool,
        trips: bool = False,
        reason: str = "",
    ) -> None:
        """Say how the call ended; only the first time counts, so a `finally` may say it again.

        Args:
            blamed: Whose failure it was; None: nobody's.
            alive: Without blame: whether the host answered, a success or not. If it did not
                (a cancelled call, our own limit), the call says nothing of it.
            trips: The failure opens the blamed one's breaker at once.
            reason: What failed.
        """
        if self._settled:
            return
        self._settled = True
        if blamed == "provider":
            self._provider.record(self._provider_permit, "failed", trips=trips, reason=reason)
            self._model.record(self._model_permit, "neither")
        elif blamed == "model":
            self._provider.record(self._provider_permit, "ok")
            self._model.record(self._model_permit, "failed", trips=trips, reason=reason)
        else:
            outcome: Outcome = "ok" if alive else "neither"
            self._provider.record(self._provider_permit, outcome)
            self._model.record(self._model_permit, outcome)


class Breakers:
    """The breakers of all providers: one for each, and inside it one for each of its models.

    Args:
        policy: The rule of all of them.
        now: The clock, in seconds; it never goes back.
        on_transition: Told of each change of each breaker.
    """

    def __init__(
        self,
        policy: BreakerPolicy,
        now: Callable[[], float],
        on_transition: Callable[[Transition], None],
    ) -> None:
        self._policy = policy
        self._now = now
        self._on_transition = on_transition
        self._of: dict[str, dict[str, CircuitBreaker]] = {}

    def admit(self, provider: str, model: str) -> Admission:
        """Ask for leave to call a model of a provider.

        Raises:
            CircuitOpenError: The provider, or this model of it, is left alone.
        """
        outer = self._breaker(provider, PROVIDERS_OWN)
        outer_permit = outer.acquire()
        if outer_permit is None:
            raise _refusal(provider, PROVIDERS_OWN, outer.snapshot())
        inner = self._breaker(provider, model)
        inner_permit = inner.acquire()
        if inner_permit is None:
            outer.record(outer_permit, "neither")
            raise _refusal(provider, model, inner.snapshot())
        return Admission(outer, outer_permit, inner, inner_permit)

    def states(self, provider: str) -> Mapping[str, BreakerState]:
        """The provider's breaker, as `*`, and that of each model that was called."""
        self._breaker(provider, PROVIDERS_OWN)
        return {model: breaker.snapshot() for model, breaker in self._of[provider].items()}

    def reset(self, provider: str) -> None:
        """Close the provider's breaker and those of its models."""
        for breaker in self._of.get(provider, {}).values():
            breaker.reset()

    def _breaker(self, provider: str, model: str) -> CircuitBreaker:
        try:
            return self._of[provider][model]
        except KeyError:
            breaker = CircuitBreaker(
                self._policy, self._now, partial(self._report, provider, model)
            )
            self._of.setdefault(provider, {})[model] = breaker
            return breaker

    def _report(self, provider: str, model: str, before: State, after: State, reason: str) -> None:
        self._on_transition(Transition(provider, model, before, after, reason, self._now()))


def _refusal(provider: str, model: str, breaker: BreakerState) -> CircuitOpenError:
    whole = model == PROVIDERS_OWN
    subject = f"Provider `{provider}`" if whole else f"Model `{model}` of provider `{provider}`"
    why = breaker.reason.rstrip(".")
    probed = ", while another call tests it" if breaker.state == "half_open" else ""
    return CircuitOpenError(
        f"{subject} is left alone for {math.ceil(breaker.seconds_left)} s{probed}: {why}.",
        hint=f"`POST /api/providers/{provider}/reset` lets calls through at once.",
        details={"provider": provider, "model": model, "retry_after": breaker.seconds_left},
    )
