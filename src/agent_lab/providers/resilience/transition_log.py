"""Notes the changes of circuit breakers: in the log, in the metrics, and in memory."""

import logging
from collections import deque
from collections.abc import Iterator

from agent_lab.observability.metrics import STATES, GatewayMetrics
from agent_lab.providers.resilience.circuit_breaker import PROVIDERS_OWN, Transition

logger = logging.getLogger(__name__)

REMEMBERED = 100


class TransitionLog:
    """The latest changes of the breakers of one gateway.

    Args:
        metrics: Where they are counted, too.
    """

    def __init__(self, metrics: GatewayMetrics) -> None:
        self._metrics = metrics
        self._latest: deque[Transition] = deque(maxlen=REMEMBERED)

    def __iter__(self) -> Iterator[Transition]:
        """The latest changes, oldest first."""
        return iter(self._latest)

    def note(self, transition: Transition) -> None:
        """Note a change."""
        provider, model, before, after, reason, _ = transition
        self._latest.append(transition)
        self._metrics.breaker_state.labels(provider, model).set(STATES[after])
        self._metrics.breaker_transitions.labels(provider, model, after).inc()
        whose = f"`{provider}`" if model == PROVIDERS_OWN else f"`{model}` of `{provider}`"
        logger.warning("The breaker of %s is %s, was %s: %s", whose, after, before, reason)
