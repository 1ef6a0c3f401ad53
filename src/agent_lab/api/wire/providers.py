"""Providers as an operator sees them: where they are, what they may be asked, how they fare."""

from datetime import UTC, datetime, timedelta
from typing import Literal, Self

from agent_lab.contracts import Contract
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.providers.registries.provider_registry import ProviderEntry, RateLimits
from agent_lab.providers.resilience.circuit_breaker import BreakerState, Transition

State = Literal["closed", "open", "half_open"]


class BreakerView(Contract):
    """A circuit breaker."""

    state: State
    """`open`: it is left alone; `half_open`: one call finds out whether it works again."""
    seconds_left: float
    """Until the next call is let through; 0: it is."""
    failures: int
    """In a row."""
    reason: str
    """Code of the last failure."""

    @classmethod
    def of(cls, breaker: BreakerState) -> Self:
        """Show a breaker."""
        return cls(**breaker._asdict())


class TransitionView(Contract):
    """A change of a breaker's state."""

    at: datetime
    model: str
    """`*`: the provider's own breaker."""
    before: State
    after: State
    reason: str

    @classmethod
    def of(cls, transition: Transition, now: float) -> Self:
        """Show a change; `now` is the breakers' clock, which knows no date."""
        ago = timedelta(seconds=now - transition.at)
        return cls(
            at=datetime.now(UTC) - ago,
            model=transition.model,
            before=transition.before,
            after=transition.after,
            reason=transition.reason,
        )


class LimitUse(Contract):
    """How much of the limits is used."""

    waiting: int
    """Calls that wait for their turn or for room."""
    in_flight: int
    requests_used: int
    """In the last 60 s."""
    tokens_used: int
    """In the last 60 s, what calls in flight may use included."""
    parked_s: float
    """Seconds for which the host asked to be left alone; 0: none."""


class ProviderView(Contract):
    """One provider."""

    name: str
    api: str
    address: str | None
    """Where calls go, moved by its variable if that is set; null: nowhere else."""
    is_local: bool
    """Whether its text stays on this machine."""
    key_variable: str | None
    """The variable that holds its key; null: it has none."""
    limits: RateLimits
    use: LimitUse
    breaker: BreakerView
    models: dict[str, BreakerView]
    """The breaker of each model that was called, by model key."""
    transitions: tuple[TransitionView, ...]
    """The latest changes of its breakers, oldest first."""

    @classmethod
    async def of(cls, entry: ProviderEntry, gateway: ProviderGateway, now: float) -> Self:
        """Show a provider as it is now."""
        breakers = {m: BreakerView.of(b) for m, b in gateway.breakers.states(entry.name).items()}
        provider = gateway.targets.provider(entry.name)
        use = await gateway.targets.limiter(entry.name).status()
        return cls(
            name=entry.name,
            api=entry.api,
            address=provider.address,
            is_local=provider.is_local,
            key_variable=entry.api_key_env,
            limits=entry.limits,
            use=LimitUse(**use._asdict()),
            breaker=breakers.pop("*"),
            models=breakers,
            transitions=tuple(
                TransitionView.of(t, now) for t in gateway.transitions if t.provider == entry.name
            ),
        )
