"""Looks in the answer cache before an answer is sought, and keeps what was found."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from agent_lab.providers.answer_search import AnswerSearch, Terms
from agent_lab.providers.base import Delta, ProviderAnswer
from agent_lab.providers.call_builder import BuiltCall
from agent_lab.providers.one_attempt import Found
from agent_lab.providers.resilience.response_cache import CacheKey, ResponseCache, cache_key
from agent_lab.providers.targets import Target

FindFallbacks: TypeAlias = Callable[[], Awaitable[Sequence[Target]]]


class CachedSearch:
    """The search for one answer that may have been given before.

    A stored answer costs nothing, so no breaker, limit or budget is asked; where text may go and
    which models may answer was decided before.

    Args:
        cache: Where answers are kept.
        search: Finds an answer if none is there.
        terms: What is asked.
    """

    def __init__(self, cache: ResponseCache, search: AnswerSearch, terms: Terms) -> None:
        self._cache = cache
        self._search = search
        self._terms = terms

    async def first_answer(self, asked: Target, fallbacks: FindFallbacks) -> Found:
        """Return the stored answer of the model that is meant, else seek one.

        Args:
            asked: The model that is meant. A stored answer of a fallback is no answer of it.
            fallbacks: As of `AnswerSearch.first_answer`.

        Raises:
            AgentLabError: As of `AnswerSearch.first_answer`.
        """
        built = self._terms.build(asked)
        key = self._key(asked, built)
        if key is None:
            return await self._sought(asked, built, None, fallbacks)
        async with self._cache.asking(key) as stored:
            if stored is None:
                asked.metrics.cache_miss()
                return await self._sought(asked, built, key, fallbacks)
        asked.metrics.cache_hit()
        self._show(stored)
        return Found(asked, built, stored, cost_usd=0.0, queue=0.0, cached=True)

    async def _sought(
        self,
        asked: Target,
        built: BuiltCall,
        key: CacheKey | None,
        fallbacks: FindFallbacks,
    ) -> Found:
        """Seek an answer, and keep it under the key of the model that gave it.

        One that a limit has cut is not kept: the window of a loaded model is not in the key.
        """
        found = await self._search.first_answer(asked, built, fallbacks)
        if found.built is not built:
            key = self._key(found.target, found.built)
        if key is not None and found.answer.finish_reason == "stop":
            self._cache.put(key, found.answer)
        return found

    def _key(self, target: Target, built: BuiltCall) -> CacheKey | None:
        """Under which key an answer is kept; None: it is not kept.

        A model that is not told its temperature draws as its host likes, so by default none of its
        answers is kept.
        """
        request, params = self._terms.request, built.call.params
        drawn = params.get("temperature") != 0
        if request.cache == "off" or (request.cache == "default" and drawn):
            return None
        if not (self._cache.enabled and target.identity):
            return None
        return cache_key(target.identity, built.call, request.sample)

    def _show(self, answer: ProviderAnswer) -> None:
        """Show a stored answer to who reads along: the thinking, then the text."""
        if self._terms.emit is None:
            return
        if answer.reasoning:
            self._terms.emit(Delta(answer.reasoning, reasoning=True))
        self._terms.emit(Delta(answer.text))
