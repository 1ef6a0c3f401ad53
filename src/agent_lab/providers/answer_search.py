"""Gets one answer in spite of faults: tries again, moves to a fallback, writes down every try."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from agent_lab.contracts import Attempt, GenerationRequest
from agent_lab.errors import AgentLabError, AllProvidersFailedError, ProviderTimeoutError
from agent_lab.observability.metrics import GatewayMetrics
from agent_lab.providers.base import Delta, Emit
from agent_lab.providers.call_builder import BuiltCall
from agent_lab.providers.one_attempt import Found, OneAttempt
from agent_lab.providers.registries.model_registry import ModelEntry
from agent_lab.providers.registries.strategy_registry import Strategy
from agent_lab.providers.resilience.budget import BudgetKeeper
from agent_lab.providers.resilience.circuit_breaker import Breakers
from agent_lab.providers.resilience.retry_policy import pause_before, reaction_to
from agent_lab.providers.targets import Target

logger = logging.getLogger(__name__)


class Resilience(NamedTuple):
    """What every request of one gateway shares."""

    breakers: Breakers
    metrics: GatewayMetrics
    max_attempts: int = 3
    """At one model."""
    draw: Callable[[], float] = random.random  # noqa: S311 - jitter is no secret
    """For the jitter of pauses."""


class Terms(NamedTuple):
    """On which terms one answer is sought."""

    request: GenerationRequest
    strategy: Strategy
    build: Callable[[Target], BuiltCall]
    budgets: Sequence[BudgetKeeper]
    deadline: float
    """Seconds on the event loop's clock."""
    emit: Emit | None
    """None: nobody reads along."""


class _AskAgain(Exception):  # noqa: N818 - no error: the next step of a search
    def __init__(self, pause: float) -> None:
        super().__init__()
        self.pause = pause


class AnswerSearch:
    """The search for one answer.

    Args:
        shared: Breakers, metrics, and how patient the gateway is.
        terms: What is asked, and within which bounds.
    """

    def __init__(self, shared: Resilience, terms: Terms) -> None:
        self._shared = shared
        self._terms = terms
        self._shown = False
        self.attempts: list[Attempt] = []

    async def first_answer(
        self,
        asked: Target,
        built: BuiltCall,
        fallbacks: Callable[[], Awaitable[Sequence[Target]]],
    ) -> Found:
        """Ask one model after the other, until one answers.

        Args:
            asked: The model that is meant.
            built: The call of it.
            fallbacks: Finds those that may answer instead; called when it failed, not before.

        Raises:
            AllProvidersFailedError: None of several did.
            AgentLabError: The only one failed, or failed in a way that another could not mend.
        """
        try:
            return await self._persist(asked, built)
        except AgentLabError as error:
            failures = [(asked, error)]
        for target in await fallbacks():
            if not self._may_follow(target, *failures[-1]):
                continue
            if not self._may_begin_anew():
                break
            try:
                found = await self._persist(target, self._terms.build(target))
            except AgentLabError as error:
                failures.append((target, error))
            else:
                self._note_fallback(failures, target)
                return found
        raise self._failed(failures)

    def list_attempts(self, error: AgentLabError) -> None:
        """Put every try into an error's details."""
        error.details["attempts"] = [attempt.model_dump() for attempt in self.attempts]

    async def _persist(self, target: Target, built: BuiltCall) -> Found:
        """Ask one model, again and again while that may help and there is time."""
        tries, pause = 1, 0.0
        while True:
            try:
                return await self._once(target, built, tries, pause)
            except _AskAgain as again:
                pause = again.pause
            target.metrics.retried()
            tries += 1
            await asyncio.sleep(pause)

    async def _once(self, target: Target, built: BuiltCall, tries: int, pause: float) -> Found:
        """One attempt; whatever happens is written down, and the breakers are told."""
        started, terms = time.perf_counter(), self._terms
        emit = None if terms.emit is None else self._show
        admission, again = None, None
        try:
            admission = self._shared.breakers.admit(target.entry.provider, target.entry.key)
            attempt = OneAttempt(target, built, terms.budgets, terms.deadline, emit)
            found = await attempt.run()
            admission.settle(None, alive=True)
        except asyncio.CancelledError:
            self._note_stopped(target, started, pause)
            raise
        except AgentLabError as error:
            again = self._pause_before_next(tries, error)
            if admission is not None:
                # A call counts once, however often it was tried: one glitch opens no breaker.
                reaction = reaction_to(error)
                blamed = reaction.blames if again is None else None
                admission.settle(
                    blamed, alive=reaction.alive, trips=reaction.trips, reason=error.code
                )
            self._note_failed(target, error, started, pause)
            if again is not None:
                raise _AskAgain(again) from error
            raise
        finally:
            if admission is not None:
                admission.settle(None, alive=False)
        self._note_ok(target, found, started, pause)
        return found

    def _show(self, delta: Delta) -> None:
        self._shown = True
        if self._terms.emit is not None:
            self._terms.emit(delta)

    def _pause_before_next(self, tries: int, error: AgentLabError) -> float | None:
        """Seconds until the same model is asked again; None: it is not."""
        if tries >= self._shared.max_attempts or not reaction_to(error).retry:
            return None
        pause = pause_before(tries, error, self._shared.draw)
        if pause >= self._terms.deadline - asyncio.get_running_loop().time():
            return None
        return pause if self._may_begin_anew() else None

    def _may_begin_anew(self) -> bool:
        """Whether the answer may begin anew, now that a part of it was perhaps shown."""
        if not self._shown:
            return True
        if self._terms.request.midstream == "fail" or self._terms.emit is None:
            return False
        self._terms.emit(Delta("", restarted=True))
        self._shown = False
        return True

    def _may_follow(self, target: Target, failed: Target, error: AgentLabError) -> bool:
        """Whether a fallback could mend what went wrong."""
        fallback = reaction_to(error).fallback
        if fallback == "larger_window":
            return target.entry.context_window > failed.entry.context_window
        if fallback == "if_configured":
            return self._terms.strategy.fallback_when_filtered
        return fallback == "always"

    def _note_ok(self, target: Target, found: Found, started: float, pause: float) -> None:
        tokens = found.answer.tokens
        read, written = (tokens.prompt, tokens.completion) if tokens else (0, 0)
        target.metrics.answered(read, written, found.cost_usd)
        self._note(target, "ok", started, pause)

    def _note_failed(
        self, target: Target, error: AgentLabError, started: float, pause: float
    ) -> None:
        timeout = isinstance(error, ProviderTimeoutError)
        target.metrics.failed("timeout" if timeout else "error", error.code)
        self._note(target, error.code, started, pause, error)
        logger.info("`%s` failed: %s", target.entry.key, error.message)

    def _note_stopped(self, target: Target, started: float, pause: float) -> None:
        if asyncio.get_running_loop().time() >= self._terms.deadline:
            logger.info("`%s` failed: the time of the call was over", target.entry.key)
            target.metrics.failed("timeout", ProviderTimeoutError.code)
            self._note(target, ProviderTimeoutError.code, started, pause)
        else:
            target.metrics.failed("cancelled", "")
            self._note(target, "cancelled", started, pause)

    def _note(
        self,
        target: Target,
        outcome: str,
        started: float,
        pause: float,
        error: AgentLabError | None = None,
    ) -> None:
        self.attempts.append(
            Attempt(
                model_key=target.entry.key,
                provider=target.entry.provider,
                outcome=outcome,
                seconds=time.perf_counter() - started,
                error="" if error is None else error.message,
                status_code=getattr(error, "status_code", None),
                waited=pause,
            )
        )

    def _note_fallback(self, failures: Sequence[tuple[Target, AgentLabError]], to: Target) -> None:
        meant, error = failures[0]
        labels = (meant.entry.key, to.entry.key, error.code)
        self._shared.metrics.fallbacks.labels(*labels).inc()
        logger.warning("`%s` answers for `%s`: %s", to.entry.key, meant.entry.key, error.message)

    def _failed(self, failures: Sequence[tuple[Target, AgentLabError]]) -> AgentLabError:
        target, error = failures[-1]
        if len(failures) > 1:
            told = ", ".join(f"`{t.entry.key}` ({e.code})" for t, e in failures)
            last, error = (
                error,
                AllProvidersFailedError(
                    f"None of {len(failures)} models answered: {told}. The last: {error.message}",
                    provider=target.entry.provider,
                    model=failures[0][0].entry.key,
                    hint=error.hint,
                ),
            )
            error.__cause__ = last
        self.list_attempts(error)
        return error


def out_of_time(entry: ModelEntry, strategy: Strategy, seconds: float) -> ProviderTimeoutError:
    """The error of a search that its deadline ended.

    Args:
        entry: The model that was asked.
        strategy: How it was asked.
        seconds: How long the search was allowed to take.
    """
    return ProviderTimeoutError(
        f"`{entry.key}` did not finish within {seconds:g} s.",
        provider=entry.provider,
        model=entry.key,
        hint=f"Raise `timeout_s` of the strategy `{strategy.name}`, or ask for fewer tokens "
        "(--max-tokens).",
        details={"phase": "total"},
    )
