"""One try to get an answer: within its budgets, within the limits, and settled with both."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

from agent_lab.errors import (
    AgentLabError,
    ProviderError,
    ProviderRateLimitError,
    TruncatedAnswerError,
)
from agent_lab.providers.base import Delta, Emit, ProviderAnswer, TokenCounts
from agent_lab.providers.call_builder import BuiltCall
from agent_lab.providers.resilience.budget import NOTHING, BudgetKeeper, Held
from agent_lab.providers.resilience.retry_policy import reaction_to
from agent_lab.providers.targets import Target

logger = logging.getLogger(__name__)


class Found(NamedTuple):
    """An answer, and who gave it."""

    target: Target
    built: BuiltCall
    answer: ProviderAnswer
    cost_usd: float | None
    """None: the price is unknown, or the provider did not count."""
    queue: float
    """Seconds that it waited for our own limits."""
    cached: bool = False
    """Nobody was asked: it is an answer of before."""


class OneAttempt:
    """One call of one model.

    Args:
        target: The model.
        built: The call.
        budgets: Each must have room for the worst case.
        deadline: When waiting for a limit is of no use any more; seconds on the loop's clock.
        emit: Shown the answer as it comes; None: nobody reads along.
    """

    def __init__(
        self,
        target: Target,
        built: BuiltCall,
        budgets: Sequence[BudgetKeeper],
        deadline: float,
        emit: Emit | None,
    ) -> None:
        self._target = target
        self._built = built
        self._budgets = budgets
        self._deadline = deadline
        self._emit = emit
        self._sent = False
        self._readers_fault: Exception | None = None

    async def run(self) -> Found:
        """Hold what the call can cost, make it, and settle what it did cost.

        Raises:
            BudgetExceededError: It could cost more than one of the budgets has left.
            OverloadedError: A limit leaves no room before the deadline.
            ProviderError: The provider failed.
        """
        prices, built = self._target.prices, self._built
        worst = prices.worst(built.prompt_tokens, built.max_tokens) if prices else None
        most = built.prompt_tokens + built.max_tokens
        held: list[Held] = []
        taken = Held(worst or 0.0, most)
        try:
            for budget in self._budgets:
                held.append(budget.hold(self._target.entry.key, worst, most))
            found = await self._limited()
            taken = _taken(found, otherwise=taken)
        except AgentLabError as error:
            taken = taken if reaction_to(error).billed else NOTHING
            raise
        finally:
            taken = taken if self._sent else NOTHING
            for budget, amount in zip(self._budgets, held, strict=False):
                budget.settle(amount, taken.usd, taken.tokens)
        return found

    async def _limited(self) -> Found:
        """Wait until the limits allow the call, and tell them what it took."""
        target, built, waiting = self._target, self._built, time.perf_counter()
        estimate = built.prompt_tokens + built.max_tokens
        reservation = await target.limiter.admit(estimate, self._deadline)
        queue = time.perf_counter() - waiting
        target.metrics.waited(queue)
        used: int | None = estimate
        try:
            answer = await self._asked()
            tokens = answer.tokens
            used = tokens.prompt + tokens.completion if tokens else estimate
        except ProviderError as error:
            used = estimate if reaction_to(error).billed else None
            if isinstance(error, ProviderRateLimitError) and error.retry_after is not None:
                await target.limiter.park(error.retry_after)
            raise
        finally:
            await target.limiter.settle(reservation, used)
        if answer.rate is not None:
            await target.limiter.learn(answer.rate)
        cost = target.prices.cost(tokens) if target.prices and tokens else None
        return Found(target, built, answer, cost, queue)

    async def _asked(self) -> ProviderAnswer:
        """Call the provider, in a span of its own if somebody looks at spans."""
        tracer, call = self._target.tracer, self._built.call
        if tracer is None:
            return await self._called()
        entry = self._target.entry
        with tracer.chat(entry.provider, entry.key, call.params, streamed=call.streamed) as span:
            answer = await self._called()
            span.set_attribute("gen_ai.response.finish_reasons", (answer.finish_reason,))
            tokens = answer.tokens or TokenCounts()
            span.set_attribute("gen_ai.usage.input_tokens", tokens.prompt)
            span.set_attribute("gen_ai.usage.output_tokens", tokens.completion)
            span.set_attribute("gen_ai.usage.cache_read.input_tokens", tokens.cached)
            span.set_attribute("gen_ai.usage.cache_write.input_tokens", tokens.cache_write)
            return answer

    async def _called(self) -> ProviderAnswer:
        """Call the provider; an answer without text is none."""
        target, self._sent = self._target, True
        try:
            call = self._built.call._replace(deadline=self._deadline)
            answer = await target.provider.generate(call, self._timed())
        except (AgentLabError, asyncio.CancelledError):
            raise
        except Exception as error:
            logger.exception("The provider `%s` has a fault", target.entry.provider)
            raise ProviderError(
                f"The provider `{target.entry.provider}` has a fault: {type(error).__name__}.",
                provider=target.entry.provider,
                model=target.entry.key,
                hint="agent_lab.providers.conformance says what a provider must do.",
            ) from error
        if self._readers_fault is not None:
            raise self._readers_fault
        if not answer.text.strip():
            raise _without_text(target, answer)
        return answer

    def _timed(self) -> Emit:
        """What the provider shows the answer to; the first piece is timed.

        What the reader raises is kept from the provider, which would take it for its own or the
        host's fault, and raised once the answer, paid for by then, is settled.
        """
        emit, begun, first = self._emit, time.perf_counter(), True
        if emit is None:
            return _silent

        def show(delta: Delta) -> None:
            nonlocal first
            if first:
                self._target.metrics.first_token_after(time.perf_counter() - begun)
                first = False
            if self._readers_fault is None:
                try:
                    emit(delta)
                except Exception as fault:  # noqa: BLE001 - raised again in `_called`
                    self._readers_fault = fault

        return show


def _taken(found: Found, *, otherwise: Held) -> Held:
    """What a call did take, as far as anybody counted."""
    tokens, cost = found.answer.tokens, found.cost_usd
    return Held(
        otherwise.usd if cost is None else cost,
        tokens.prompt + tokens.completion if tokens else otherwise.tokens,
    )


def _silent(delta: Delta) -> None:
    """Nobody reads along."""


def _without_text(target: Target, answer: ProviderAnswer) -> TruncatedAnswerError:
    thought = (
        "It thought until its limit; allow more tokens (max_tokens, or reasoning_allowance of "
        "its entry)."
    )
    return TruncatedAnswerError(
        f"`{target.entry.key}` answered without any text (finish reason `{answer.finish_reason}`).",
        provider=target.entry.provider,
        model=target.entry.key,
        hint=thought if answer.finish_reason == "length" else "",
    )
