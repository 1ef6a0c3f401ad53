"""Makes a provider's call out of a request: messages, parameters, limits. Pure."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from agent_lab.contracts import GenerationRequest, Message
from agent_lab.errors import InvalidRequestError
from agent_lab.providers.base import ProviderCall
from agent_lab.providers.registries.model_registry import ModelEntry
from agent_lab.providers.registries.provider_registry import ProviderEntry
from agent_lab.providers.registries.strategy_registry import Strategy

BYTES_PER_TOKEN = 3.5
"""For estimates before a call; what it really took is the provider's to say."""


_OPTIONAL = ("temperature", "top_p", "top_k", "seed", "response_schema")


class BuiltCall(NamedTuple):
    """A call, and what is known of it before it is made."""

    call: ProviderCall
    dropped: tuple[str, ...]
    """Parameters that the model does not take."""
    prompt_tokens: int
    """Estimated."""
    max_tokens: int
    """That the answer can have, thinking included."""


def build_call(
    request: GenerationRequest,
    entry: ModelEntry,
    refused: frozenset[str],
    strategy: Strategy,
    max_tokens: int | None,
    *,
    streamed: bool = True,
) -> BuiltCall:
    """Decide everything about a call: the request's wish, else the default, else the strategy's.

    Args:
        request: What is asked.
        entry: The model that answers.
        refused: What it does not take: `refused_params`.
        strategy: How it is asked.
        max_tokens: The configured longest answer, in tokens; None: the strategy's.
        streamed: Whether somebody reads along.

    Raises:
        InvalidRequestError: The prompt is empty.
    """
    longest = _longest(
        request, entry, request.max_tokens or max_tokens or strategy.limits.max_tokens
    )
    wanted: dict[str, Any] = {**strategy.sampling.as_params, "max_tokens": longest}
    for name in _OPTIONAL:
        value = getattr(request, name)
        if value is not None:
            wanted[name] = value
    if request.stop:
        wanted["stop"] = list(request.stop)
    dropped = [name for name in wanted if name in refused]
    for name in dropped:
        del wanted[name]
    messages = _messages(request)
    call = ProviderCall(entry, messages, wanted, request.role, streamed, request.run_id)
    tools = ("tools",) if request.context.tools else ()
    return BuiltCall(call, (*sorted(dropped), *tools), estimated_tokens(messages), longest)


def refused_params(entry: ModelEntry, host: ProviderEntry) -> frozenset[str]:
    """The parameters that a model does not take, or its host does not."""
    schema = () if "json_schema" in entry.capabilities else ("response_schema",)
    return frozenset((*entry.unsupported_params, *host.unsupported_params, *schema))


def estimated_tokens(messages: Iterable[Message]) -> int:
    """About how many tokens some messages have; by bytes: other scripts take more a letter."""
    return round(sum(len(m.content.encode()) for m in messages) / BYTES_PER_TOKEN)


def seconds_left(request: GenerationRequest, strategy: Strategy, now: float) -> float:
    """How long a call may take: the least of strategy, latency budget and deadline, in seconds.

    Args:
        request: What is asked.
        strategy: How it is asked.
        now: Seconds on the clock of the request's deadline.
    """
    limits = [strategy.limits.timeout_s, request.constraints.latency_budget_s]
    if request.deadline is not None:
        limits.append(request.deadline - now)
    return max(0.0, min(limit for limit in limits if limit is not None))


def _longest(request: GenerationRequest, entry: ModelEntry, wished: int) -> int:
    """The answer's limit as the host counts: what is thought counts there, too."""
    bounds = (request.constraints.max_tokens, entry.max_output_tokens)
    return min((wished + entry.reasoning_allowance, *(b for b in bounds if b is not None)))


def _messages(request: GenerationRequest) -> tuple[Message, ...]:
    if request.messages:
        return request.messages
    if not request.prompt.strip():
        raise InvalidRequestError("The `prompt` is empty.", hint='agent-lab ask "Your question"')
    system = request.context.system
    head = (Message(role="system", content=system),) if system else ()
    return (*head, *request.context.history, Message(role="user", content=request.prompt))
