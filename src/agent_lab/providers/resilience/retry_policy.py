"""What the gateway does about each kind of error: rows of data, and when to try again."""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from agent_lab.errors import (
    AgentLabError,
    BudgetExceededError,
    CircuitOpenError,
    ConfigurationError,
    ContentFilteredError,
    ContextLengthError,
    ModelNotServedError,
    NotEnoughVramError,
    OverloadedError,
    ProviderAuthError,
    ProviderError,
    ProviderOverloadedError,
    ProviderRateLimitError,
    ProviderRequestError,
    ProviderSpendCapError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RequestOverLimitError,
    TruncatedAnswerError,
)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0

Fallback = Literal["never", "always", "larger_window", "if_configured"]


class Reaction(NamedTuple):
    """What follows from an error of one kind."""

    retry: bool = False
    """Whether the same model is asked again."""
    fallback: Fallback = "never"
    """Whether another one is asked."""
    blames: Literal["provider", "model"] | None = None
    """Whose circuit breaker counts it: only what is the provider's fault."""
    trips: bool = False
    """Whether that breaker opens at once: more calls would fail in the same way."""
    alive: bool = False
    """Whether it shows that the provider works: it refused this call, and would take others."""
    billed: bool = False
    """Whether the provider may bill the call all the same: its worst case counts as spent."""


# The most precise class of an error that has a row is the one that counts.
REACTIONS: Mapping[type[AgentLabError], Reaction] = {
    ProviderAuthError: Reaction(fallback="always", blames="provider", trips=True),
    ProviderSpendCapError: Reaction(fallback="always", blames="provider", trips=True),
    ProviderUnavailableError: Reaction(retry=True, fallback="always", blames="provider"),
    ProviderOverloadedError: Reaction(retry=True, fallback="always", blames="model"),
    ModelNotServedError: Reaction(fallback="always", blames="model"),
    # The host works; that the text is empty or cut may be the question's doing.
    TruncatedAnswerError: Reaction(fallback="always", alive=True, billed=True),
    # The limiter waits as long as the host asks for: no breaker is needed.
    ProviderRateLimitError: Reaction(retry=True, fallback="always"),
    # Asked again it would most likely be as slow, and what was generated is paid for.
    ProviderTimeoutError: Reaction(fallback="always", blames="model", billed=True),
    ContentFilteredError: Reaction(fallback="if_configured", alive=True, billed=True),
    ContextLengthError: Reaction(fallback="larger_window", alive=True),
    ProviderRequestError: Reaction(alive=True),
    ProviderError: Reaction(fallback="always", blames="model", billed=True),
    CircuitOpenError: Reaction(fallback="always"),
    OverloadedError: Reaction(fallback="always"),
    NotEnoughVramError: Reaction(fallback="always"),
    RequestOverLimitError: Reaction(fallback="always"),
    BudgetExceededError: Reaction(),
    # What is not set up stands in nobody's way when it is only a fallback.
    ConfigurationError: Reaction(fallback="always"),
    AgentLabError: Reaction(),
}
NO_CONNECTION = Reaction(retry=True, fallback="always", blames="provider")
STOPPED = Reaction(billed=True)
"""Of a call that was cancelled, or whose time was over: nobody is at fault."""


def reaction_to(error: AgentLabError) -> Reaction:
    """What follows from an error."""
    if isinstance(error, ProviderTimeoutError):
        phase = error.details.get("phase")
        if phase == "connect":
            return NO_CONNECTION
        if phase == "total":
            return STOPPED
    found = next(REACTIONS[cls] for cls in type(error).__mro__ if cls in REACTIONS)
    if isinstance(error, ProviderError) and error.retry_advised is False:
        return found._replace(retry=False)
    return found


def pause_before(tries: int, error: AgentLabError, draw: Callable[[], float]) -> float:
    """Seconds to wait before a model is asked again: exponential, with full jitter.

    Every time between none and the whole pause is as likely, so that many callers who failed
    together do not come back together (Brooker, "Exponential Backoff And Jitter", 2015). What
    the provider asks for is the least.

    Args:
        tries: How often it was asked.
        error: How it failed the last time.
        draw: A random number from 0 to 1.
    """
    pause = draw() * min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (tries - 1))
    named = error.retry_after if isinstance(error, ProviderError) else None
    return max(pause, named or 0.0)
