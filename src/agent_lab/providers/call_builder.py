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
    host: ProviderEntry,
    strategy: Strategy,
    max_tokens: int | None,
    *,
    streamed: bool = True,
) -> BuiltCall:
    """Decide everything about a call: the request's wish, else the default, else the strategy's.

    Args:
        request: What is asked.
        entry: The model that answers.
        host: Where it lives.
        strategy: How it is asked.
        max_tokens: The configured longest answer, in tokens; None: the strategy's.
        streamed: Whether somebody reads along.

    Raises:
        InvalidRequestError: The prompt is empty.
    """
    longest = _longest(
        request, entry, request.max_tokens or max_tokens or strategy.limits.max_tokens
    )
    wanted = {
        **strategy.sampling.as_params,
        "max_tokens": longest,
        **_given(request, ("temperature", "top_p", "top_k", "seed", "response_schema")),
    }
    if request.stop:
        wanted["stop"] = list(request.stop)
    refused = {*entry.unsupported_params, *host.unsupported_params}
    if "json_schema" not in entry.capabilities:
        refused.add("response_schema")
    params = {name: value for name, value in wanted.items() if name not in refused}
    dropped = tuple(sorted(set(wanted) - set(params)))
    if request.context.tools:
        dropped += ("tools",)
    messages = _messages(request)
    call = ProviderCall(entry, messages, params, request.role, streamed)
    return BuiltCall(call, dropped, estimated_tokens(messages), longest)


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


def _given(request: GenerationRequest, names: Iterable[str]) -> dict[str, Any]:
    values = {name: getattr(request, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}
