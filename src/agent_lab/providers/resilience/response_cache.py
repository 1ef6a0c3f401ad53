"""The answer cache: what was answered is not asked again, and what is asked at once is asked once.

In memory, for one process. Where there is no room, what was not used for longest goes first.
"""

import asyncio
import json
import sys
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import NamedTuple

from agent_lab.contracts import JsonObject, Timings
from agent_lab.providers.base import ProviderAnswer, ProviderCall, TokenCounts

WITHOUT_EFFECT = frozenset({"streamed", "run_id", "deadline"})
"""The fields of a call that change nothing about its answer; every other one is in the key."""


class CacheKey(NamedTuple):
    """What an answer is the answer to."""

    model: str
    """The model's key."""
    digest: str


class CacheLimits(NamedTuple):
    """How much is kept, and for how long."""

    entries: int
    """Answers; 0: none is kept."""
    bytes: int
    """Of memory that they may take; 0: none is kept."""
    ttl_s: float = 0.0
    """Seconds after which an answer is asked for anew; 0: never."""


class CacheUse(NamedTuple):
    """How much is kept, and how much it helped."""

    entries: int
    bytes: int
    hits: int
    """Calls that were answered by the cache."""
    misses: int
    """Calls that it could have answered, but had no answer to."""
    waits: int
    """Calls that waited while another asked the same."""


class _Stored(NamedTuple):
    answer: ProviderAnswer
    size: int
    at: float


class _Question:
    """A question that is being asked."""

    __slots__ = ("callers", "lock", "unshared")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        """Held by the one who asks."""
        self.callers = 0
        self.unshared = False
        """It was answered, but by nothing that can be kept."""


def cache_key(identity: str, call: ProviderCall, sample: int) -> CacheKey:
    """The key of a call's answer: a digest of everything that can change the answer.

    Args:
        identity: Of the model, as `Target` has it.
        call: As it would be made.
        sample: Which draw of the same prompt it is.
    """
    parts: JsonObject = {
        name: part for name, part in call._asdict().items() if name not in WITHOUT_EFFECT
    }
    params = dict(call.params)
    if params.get("temperature") == 0:
        params.pop("seed", None)  # nothing is drawn, and every run has a seed of its own
    parts |= {
        "model": identity,
        "messages": [dict(message) for message in call.messages],
        "params": params,
        "sample": sample,
    }
    # Nothing is sorted: an answer has its fields in the order of the schema's properties.
    text = json.dumps(parts)
    return CacheKey(call.model.key, sha256(text.encode()).hexdigest())


def size_of(key: CacheKey, answer: ProviderAnswer) -> int:
    """Bytes of memory that the texts of an answer and its key take."""
    return sum(map(sys.getsizeof, (key.digest, answer.text, answer.reasoning)))


class ResponseCache:
    """The answers of one gateway.

    Args:
        limits: How much is kept.
        now: The clock, in seconds; it never goes back.
    """

    def __init__(self, limits: CacheLimits, now: Callable[[], float]) -> None:
        self.limits = limits
        self._now = now
        self._stored: OrderedDict[CacheKey, _Stored] = OrderedDict()
        self._asked: dict[CacheKey, _Question] = {}
        self._bytes = self._hits = self._misses = self._waits = 0

    @property
    def enabled(self) -> bool:
        """Whether anything is kept at all."""
        return self.limits.entries > 0 and self.limits.bytes > 0

    @asynccontextmanager
    async def asking(self, key: CacheKey) -> AsyncIterator[ProviderAnswer | None]:
        """Enter with the answer to a call, or with None: then it is the caller's turn to ask.

        Whoever asks stores the answer before leaving. Others with the same key wait for that, each
        no longer than its own deadline lets it. If who asks fails or is cancelled, the next in line
        asks, and only that one. If there was an answer that cannot be kept, the others do not wait
        for each other any more.
        """
        answer = self._find(key)
        if answer is not None:
            self._hits += 1
            yield answer
            return
        question = self._asked.setdefault(key, _Question())
        question.callers += 1
        self._waits += question.lock.locked()
        try:
            async with question.lock:
                answer = self._find(key)
                if answer is None and not question.unshared:
                    self._misses += 1
                    yield None
                    question.unshared = key not in self._stored
                    return
            self._hits += answer is not None
            self._misses += answer is None
            yield answer
        finally:
            question.callers -= 1
            if not question.callers:
                del self._asked[key]

    def put(self, key: CacheKey, answer: ProviderAnswer) -> None:
        """Keep an answer, without what it took; one that is larger than all there is room for goes.

        Args:
            key: What it is the answer to.
            answer: A whole one.
        """
        bare = answer._replace(tokens=TokenCounts(), timings=Timings(), model_warm=None, rate=None)
        size = size_of(key, bare)
        self._drop(key)
        if not self.enabled or size > self.limits.bytes:
            return
        self._stored[key] = _Stored(bare, size, self._now())
        self._bytes += size
        while len(self._stored) > self.limits.entries or self._bytes > self.limits.bytes:
            self._drop(next(iter(self._stored)))

    def clear(self, model: str | None = None) -> int:
        """Forget the answers of a model, or all of them; return how many there were."""
        self._drop_expired()
        gone = [key for key in self._stored if model is None or key.model == model]
        for key in gone:
            self._drop(key)
        return len(gone)

    def use(self) -> CacheUse:
        """How much is kept now, and how much it helped so far."""
        self._drop_expired()
        return CacheUse(len(self._stored), self._bytes, self._hits, self._misses, self._waits)

    def _find(self, key: CacheKey) -> ProviderAnswer | None:
        stored = self._stored.get(key)
        if stored is None:
            return None
        if self._is_expired(stored):
            self._drop(key)
            return None
        self._stored.move_to_end(key)
        return stored.answer

    def _is_expired(self, stored: _Stored) -> bool:
        return 0 < self.limits.ttl_s <= self._now() - stored.at

    def _drop_expired(self) -> None:
        for key in [key for key, stored in self._stored.items() if self._is_expired(stored)]:
            self._drop(key)

    def _drop(self, key: CacheKey) -> None:
        stored = self._stored.pop(key, None)
        if stored is not None:
            self._bytes -= stored.size
