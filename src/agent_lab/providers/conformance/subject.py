"""What is checked: a provider, one of its models, and what the kit cannot find out."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from agent_lab.errors import ProviderError
from agent_lab.providers.base import Provider
from agent_lab.providers.registries.model_registry import ModelEntry

Make: TypeAlias = Callable[[], Provider]
"""Makes a new provider; called in a running event loop."""

_NOTHING: Mapping[Any, Any] = MappingProxyType({})


class Subject(NamedTuple):
    """A provider under test."""

    make: Make
    """A provider whose host works."""
    model: ModelEntry
    """One of its models, that can be asked."""
    prompt: str = "Count from one to ten, in words."
    """Something that is answered in more than one word."""
    params: Mapping[str, Any] = MappingProxyType({"max_tokens": 32})
    """What calls send, as in `ProviderCall`; without what the model does not take."""
    endless_prompt: str | None = "Tell a long story."
    """Something whose answer only `max_tokens` ends; None: the host cannot go on."""
    streams: bool = True
    """Whether an answer comes in pieces; False: all of it at its end."""
    echoes: bool = False
    """Whether an answer has the words of the last message in it."""
    long_prompt: str | None = None
    """A prompt over the model's window; None: the host does not say that it is too long."""
    failing: Mapping[type[ProviderError], Make] = _NOTHING
    """Providers whose host fails in this way at its first call, and answers the next one."""
    thinking: Make | None = None
    """One whose host thinks before it answers."""
    empty: Make | None = None
    """One whose host answers with no text."""
    unready: Make | None = None
    """One whose model cannot be asked: it lacks its key, its weights."""
    asked: Callable[[], int] | None = None
    """How many calls the hosts of all these providers have got so far."""
    exempt: Mapping[str, str] = _NOTHING
    """Checks that cannot be played, each with the reason."""
    patience_s: float = 60.0
    """Seconds after which a call counts as hung: much more than any takes on a busy machine."""
