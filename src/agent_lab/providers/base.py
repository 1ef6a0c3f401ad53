"""What a provider is: something that answers one call, and says what it took."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, Self

from agent_lab.config import Settings
from agent_lab.contracts import Message, Timings, Usage
from agent_lab.plugins import Registry
from agent_lab.providers.registries.model_registry import ModelEntry


class ProviderCall(NamedTuple):
    """One call, with everything decided: a provider adds nothing of its own."""

    model: ModelEntry
    messages: tuple[Message, ...]
    params: Mapping[str, Any]
    """What is to be sent, of max_tokens, temperature, top_p, top_k, seed, stop, response_schema."""
    role: str = ""


class Delta(NamedTuple):
    """A piece of an answer, as it comes."""

    text: str
    reasoning: bool = False


Emit = Callable[[Delta], None]


class ProviderAnswer(NamedTuple):
    """A complete answer; prices, attempts and the total time are the gateway's to add."""

    text: str
    finish_reason: str
    usage: Usage
    timings: Timings = Timings()
    reasoning: str = ""
    model_warm: bool | None = None
    source: str = ""
    """None given: the provider's name."""
    dropped_params: tuple[str, ...] = ()


class Provider(ABC):
    """Answers calls to the models of one kind of host.

    A provider classifies what goes wrong as one of our errors; whether a call is repeated,
    moved to another model or given up is the gateway's decision alone.
    """

    is_local: ClassVar[bool] = False
    """Whether the text of a call stays on this machine."""

    @classmethod
    @abstractmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Build the provider; nothing is loaded or connected yet."""

    @abstractmethod
    async def generate(self, call: ProviderCall, emit: Emit) -> ProviderAnswer:
        """Answer one call, emitting the text as it comes.

        Being cancelled stops the work behind the call, too.

        Raises:
            ProviderError: Whatever went wrong, classified.
        """

    async def check(self, model: ModelEntry) -> None:  # noqa: B027 - most have nothing to check
        """Find out, at no cost, whether a model can be asked.

        Raises:
            ConfigurationError: It cannot; the hint is the way out.
        """

    async def warm(self, model: ModelEntry) -> None:  # noqa: B027 - most have nothing to load
        """Load a model, so that its first call need not.

        Raises:
            ConfigurationError: Its weights are not here.
            ProviderError: It cannot be loaded.
        """

    def loaded(self) -> tuple[str, ...]:
        """Keys of the models that are in memory."""
        return ()

    async def aclose(self) -> None:  # noqa: B027 - most providers hold nothing
        """Free what the provider holds: models, connections."""


PROVIDERS: Registry[type[Provider]] = Registry(
    "provider", ("agent_lab.providers.local",), "_provider", "agent_lab.providers"
)


def provider(name: str) -> Callable[[type[Provider]], type[Provider]]:
    """Decorator: makes a class the provider of the registry entries that name it."""
    return PROVIDERS.register(name)
