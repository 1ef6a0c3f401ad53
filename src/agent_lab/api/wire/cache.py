"""The answer cache as an operator sees it."""

from typing import Self

from agent_lab.contracts import Contract
from agent_lab.providers.resilience.response_cache import ResponseCache


class CacheView(Contract):
    """The answers that this process keeps, and what they were good for since it began."""

    entries: int
    """Answers."""
    bytes: int
    """Memory that their texts take."""
    max_entries: int
    """0: nothing is kept."""
    max_bytes: int
    """0: nothing is kept."""
    ttl_s: float
    """Seconds after which an answer is asked for anew; 0: never."""
    hits: int
    """Calls that were answered by the cache."""
    misses: int
    """Calls that it could have answered, but had no answer to."""
    waits: int
    """Calls that waited while another asked the same."""

    @classmethod
    def of(cls, cache: ResponseCache) -> Self:
        """Show a cache as it is now."""
        limits = cache.limits
        return cls(
            **cache.use()._asdict(),
            max_entries=limits.entries,
            max_bytes=limits.bytes,
            ttl_s=limits.ttl_s,
        )


class CacheCleared(Contract):
    """What became of the answers that were kept."""

    dropped: int
    """How many were forgotten."""
