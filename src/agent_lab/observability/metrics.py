"""What Prometheus can ask for: one registry a lab, labels with few values, never an id of a run."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 300, 600)
"""Bounds of the buckets: the client's own end at 10 s, where a language model begins."""

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
STATES = {"closed": 0, "half_open": 1, "open": 2}
_WHO = ("provider", "model")
_MEANING = {
    "requests": "Attempts to get an answer of a model.",
    "tokens": "Tokens read and written.",
    "cost": "US dollars, where the price is known.",
    "first_token": "From the start of an attempt to the first piece of a streamed answer.",
    "retries": "Attempts at a model that had failed.",
    "fallbacks": "Answers by another model than the one that was asked.",
    "limit_wait": "Waits for our own limits of a provider.",
    "cache_hits": "Calls that were answered by the answer cache.",
    "cache_misses": "Calls that the answer cache could have answered, but had no answer to.",
    "breaker_state": "0 closed, 1 half open, 2 open; model `*` is the provider's own breaker.",
    "breaker_transitions": "Changes of a breaker's state.",
}


class GatewayMetrics:
    """The figures of one gateway."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "lab_llm_requests",
            _MEANING["requests"],
            (*_WHO, "outcome", "error_type"),
            registry=registry,
        )
        self.tokens = Counter(
            "lab_llm_tokens", _MEANING["tokens"], (*_WHO, "direction"), registry=registry
        )
        self.cost = Counter("lab_llm_cost_usd", _MEANING["cost"], _WHO, registry=registry)
        self.first_token = Histogram(
            "lab_llm_time_to_first_token_seconds",
            _MEANING["first_token"],
            _WHO,
            buckets=SECONDS,
            registry=registry,
        )
        self.retries = Counter("lab_retries", _MEANING["retries"], _WHO, registry=registry)
        self.fallbacks = Counter(
            "lab_fallbacks", _MEANING["fallbacks"], ("from", "to", "reason"), registry=registry
        )
        self.limit_wait = Histogram(
            "lab_ratelimit_wait_seconds",
            _MEANING["limit_wait"],
            ("provider",),
            buckets=SECONDS,
            registry=registry,
        )
        self.cache_hits = Counter("lab_cache_hits", _MEANING["cache_hits"], _WHO, registry=registry)
        self.cache_misses = Counter(
            "lab_cache_misses", _MEANING["cache_misses"], _WHO, registry=registry
        )
        self.breaker_state = Gauge(
            "lab_breaker_state", _MEANING["breaker_state"], _WHO, registry=registry
        )
        self.breaker_transitions = Counter(
            "lab_breaker_transitions",
            _MEANING["breaker_transitions"],
            (*_WHO, "state"),
            registry=registry,
        )

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)


class ModelMetrics:
    """The figures of one model, looked up once: a label costs more than a count.

    Args:
        metrics: The gateway's.
        provider: The provider's name.
        model: The model's key.
    """

    def __init__(self, metrics: GatewayMetrics, provider: str, model: str) -> None:
        self._metrics = metrics
        self._who = (provider, model)
        self._ok = metrics.requests.labels(provider, model, "ok", "")
        self._read = metrics.tokens.labels(provider, model, "input")
        self._written = metrics.tokens.labels(provider, model, "output")
        self._cost = metrics.cost.labels(provider, model)
        self._first_token = metrics.first_token.labels(provider, model)
        self._wait = metrics.limit_wait.labels(provider)
        self._hits = metrics.cache_hits.labels(provider, model)
        self._misses = metrics.cache_misses.labels(provider, model)

    def answered(self, read: int, written: int, cost_usd: float | None) -> None:
        """Count an answer: tokens, and US dollars if they are known."""
        self._ok.inc()
        self._read.inc(read)
        self._written.inc(written)
        if cost_usd:
            self._cost.inc(cost_usd)

    def failed(self, outcome: str, error_type: str) -> None:
        """Count an attempt without an answer: `error`, `timeout` or `cancelled`."""
        self._metrics.requests.labels(*self._who, outcome, error_type).inc()

    def first_token_after(self, seconds: float) -> None:
        """Note the time to the first piece of an answer."""
        self._first_token.observe(seconds)

    def waited(self, seconds: float) -> None:
        """Note a wait for a limit."""
        self._wait.observe(seconds)

    def cache_hit(self) -> None:
        """Count an answer of the cache."""
        self._hits.inc()

    def cache_miss(self) -> None:
        """Count an answer that the cache did not have."""
        self._misses.inc()

    def retried(self) -> None:
        """Count one more attempt at this model."""
        self._metrics.retries.labels(*self._who).inc()
