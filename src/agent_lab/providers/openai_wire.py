"""Reads answers in the form of OpenAI's chat completions: hosts send it, llama.cpp does, too."""

from collections.abc import Callable, Mapping
from typing import Any

from agent_lab.providers.base import Delta, TokenCounts
from agent_lab.providers.gathering import GatheredText
from agent_lab.providers.thinking import ThinkSplitter

REASONING_FIELDS = ("reasoning_content", "reasoning")
"""Where hosts put what a model thinks: DeepSeek, vLLM and llama.cpp; Ollama and OpenRouter."""


class ChatAnswer(GatheredText):
    """Gathers one answer, whole or in chunks.

    Args:
        emit: As in `GatheredText`.
    """

    def __init__(self, emit: Callable[[Delta], None]) -> None:
        super().__init__(emit)
        self._splitter = ThinkSplitter()
        self._usage: Mapping[str, Any] | None = None
        self.finish_reason = ""
        self.refusal = ""

    def take_chunk(self, chunk: Mapping[str, Any]) -> bool:
        """Take one chunk of a stream; true if it had a piece of the answer."""
        self._usage = chunk.get("usage") or self._usage
        came = False
        for choice in chunk.get("choices") or ():
            came = self._take_message(choice.get("delta") or {}) or came
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
        return came

    def take_whole(self, body: Mapping[str, Any]) -> None:
        """Take an answer that came at once."""
        self._usage = body.get("usage") or self._usage
        choice = body["choices"][0]
        self._take_message(choice["message"])
        self.finish_reason = choice.get("finish_reason") or ""

    def end(self) -> None:
        """Show what was held back until it was clear what it is."""
        for delta in self._splitter.end():
            self.add(delta)

    @property
    def tokens(self) -> TokenCounts | None:
        """What the host counted; None: it did not say."""
        usage = self._usage
        if not usage:
            return None
        read = usage.get("prompt_tokens_details") or {}
        written = usage.get("completion_tokens_details") or {}
        return TokenCounts(
            prompt=usage.get("prompt_tokens") or 0,
            cached=read.get("cached_tokens") or 0,
            cache_write=read.get("cache_write_tokens") or 0,
            completion=usage.get("completion_tokens") or 0,
            reasoning=written.get("reasoning_tokens") or 0,
        )

    def _take_message(self, message: Mapping[str, Any]) -> bool:
        came = False
        for field in REASONING_FIELDS:
            if thought := message.get(field):
                self.add(Delta(thought, reasoning=True))
                came = True
                break  # some hosts send the same thought under both names
        if content := message.get("content"):
            for delta in self._splitter.feed(content):
                self.add(delta)
            came = True
        if refusal := message.get("refusal"):
            self.refusal += refusal
            came = True
        return came
