"""What a provider is: something that answers one call, and says what it took."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from math import inf
from typing import Any, ClassVar, NamedTuple, Self

from agent_lab.config import Settings
from agent_lab.contracts import LoadedModel, Message, ModelFit, ModelTraffic, Timings
from agent_lab.plugins import Registry
from agent_lab.providers.registries.model_registry import ModelEntry
from agent_lab.providers.registries.provider_registry import ProviderEntry


class ProviderCall(NamedTuple):
    """One call, with everything decided: a provider adds nothing of its own."""

    model: ModelEntry
    messages: tuple[Message, ...]
    params: Mapping[str, Any]
    """What is to be sent, of max_tokens, temperature, top_p, top_k, seed, stop, response_schema."""
    role: str = ""
    streamed: bool = True
    """Whether somebody reads along; if not, a host may be asked for the whole answer at once."""
    run_id: str = ""
    """The run that asks; empty: none."""
    deadline: float = inf
    """When nobody waits any more: seconds on the event loop's clock."""


class Delta(NamedTuple):
    """A piece of an answer, as it comes."""

    text: str
    reasoning: bool = False
    restarted: bool = False
    """What came before this is void: the answer begins anew. The gateway's word, no provider's."""


Emit = Callable[[Delta], None]


class TokenCounts(NamedTuple):
    """The tokens of one call, as the provider counted them."""

    prompt: int = 0
    """All tokens of the prompt."""
    cached: int = 0
    """Those of the prompt that it found computed."""
    cache_write: int = 0
    """Those of the prompt that it stored for later ones."""
    completion: int = 0
    """All generated tokens."""
    reasoning: int = 0
    """Those of them that were thought, not said."""


class RateReport(NamedTuple):
    """What a host says of its own limits, at one moment."""

    at: float
    """When it said so: seconds on the event loop's clock."""
    requests_remaining: int | None = None
    requests_reset_s: float | None = None
    """Seconds until all requests are there again."""
    tokens_remaining: int | None = None
    tokens_reset_s: float | None = None


class ProviderAnswer(NamedTuple):
    """A complete answer; prices, attempts and the total time are the gateway's to add."""

    text: str
    finish_reason: str
    tokens: TokenCounts | None
    """None: the provider did not count."""
    timings: Timings = Timings()
    reasoning: str = ""
    model_warm: bool | None = None
    source: str = ""
    """None given: the provider's name."""
    dropped_params: tuple[str, ...] = ()
    rate: RateReport | None = None


class Provider(ABC):
    """Answers calls to the models of one kind of host.

    A provider classifies what goes wrong as one of our errors; whether a call is repeated,
    moved to another model or given up is the gateway's decision alone.
    """

    version: ClassVar[int] = 1
    """Raised when the same call is answered otherwise than before: it is in the key of answers."""
    is_local: bool = False
    """Whether the text of a call stays on this machine."""
    address: str | None = None
    """Where calls go; None: nowhere else."""

    @classmethod
    @abstractmethod
    def from_settings(cls, settings: Settings, entry: ProviderEntry) -> Self:
        """Build the provider of one registry entry; nothing is loaded or connected yet."""

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
            NotEnoughVramError: It would never fit into the memory that models may take.
        """

    def ready(self, model: ModelEntry) -> bool:
        """Whether a model can be asked now, as far as is known without asking anybody."""
        return True

    async def served_models(self) -> tuple[str, ...] | None:
        """Ask the host which models it serves, under their names there.

        None: it did not answer, or is nobody who can be asked.
        """
        return None

    async def load(self, model: ModelEntry) -> None:  # noqa: B027 - most have nothing to load
        """Load a model, so that its first call need not; it stays if nobody uses it.

        Raises:
            ConfigurationError: Its weights are not here.
            NotEnoughVramError: There is no room for it.
            ProviderError: It cannot be loaded.
        """

    async def warm(self, model: ModelEntry, head: tuple[Message, ...] = ()) -> None:
        """Load a model, and have it read what prompts will begin with.

        Args:
            model: Which.
            head: The messages that they begin with.

        Raises:
            AgentLabError: As of `load`.
        """
        await self.load(model)

    async def unload(self, model: ModelEntry) -> None:  # noqa: B027 - most have nothing to unload
        """Free a model's memory; one that is not loaded is no error.

        Raises:
            ModelInUseError: It is answering calls.
        """

    async def fit(self, model: ModelEntry) -> ModelFit | None:
        """Whether there is memory for a model; None: it takes none of this process's.

        Raises:
            ConfigurationError: Its file is damaged, or its engine is not installed.
        """
        return None

    def loaded(self) -> tuple[LoadedModel, ...]:
        """The models that take memory."""
        return ()

    def traffic(self) -> tuple[ModelTraffic, ...]:
        """How often models were loaded and unloaded."""
        return ()

    async def aclose(self) -> None:  # noqa: B027 - most providers hold nothing
        """Free what the provider holds: models, connections."""


PROVIDERS: Registry[type[Provider]] = Registry(
    "provider",
    ("agent_lab.providers.local", "agent_lab.providers.remote"),
    "_provider",
    "agent_lab.providers",
)


def provider(name: str) -> Callable[[type[Provider]], type[Provider]]:
    """Decorator: makes a class the provider of the registry entries that name it."""
    return PROVIDERS.register(name)
