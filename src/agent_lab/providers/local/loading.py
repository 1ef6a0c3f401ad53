"""How a model is loaded, and what memory it then takes."""

from typing import NamedTuple


class LoadOptions(NamedTuple):
    """How a model is loaded."""

    context: int
    """Tokens of prompt and answer that each slot holds."""
    slots: int
    """Chats that it answers at the same time."""
    threads: int
    """Processor threads that it uses."""


class MemoryNeed(NamedTuple):
    """What a loaded model takes at the most, in bytes."""

    weights: int
    kv_cache: int
    """Keys and values of all tokens of all slots."""
    prompt_cache: int
    """Those of earlier prompts, kept in case they come again."""
    work: int
    """Intermediate results, the vocabulary, and what the engine takes for itself."""

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self)
