"""Makes a provider's call out of a request: messages, parameters, limits. Pure."""

from collections.abc import Iterable
from typing import Any

from agent_lab.contracts import GenerationRequest, Message
from agent_lab.errors import InvalidRequestError
from agent_lab.providers.base import ProviderCall
from agent_lab.providers.registries.model_registry import ModelEntry
from agent_lab.providers.registries.strategy_registry import Strategy

CHARACTERS_PER_TOKEN = 3.5
"""For estimates before a call; what it really took is the provider's to say."""


def build_call(
    request: GenerationRequest, entry: ModelEntry, strategy: Strategy, max_tokens: int | None
) -> tuple[ProviderCall, tuple[str, ...]]:
    """Decide everything about a call: the request's wish, else the default, else the strategy's.

    Args:
        request: What is asked.
        entry: The model that answers.
        strategy: How it is asked.
        max_tokens: The configured longest answer, in tokens; None: the strategy's.

    Returns:
        The call, and the parameters that were dropped since the model does not take them.

    Raises:
        InvalidRequestError: The prompt is empty, or the call could cost more than its budget.
    """
    longest = request.max_tokens or max_tokens or strategy.limits.max_tokens
    wanted = {
        **strategy.sampling.model_dump(),
        "max_tokens": min(longest, request.constraints.max_tokens or longest),
        **_given(request, ("temperature", "top_p", "top_k", "seed", "response_schema")),
    }
    if request.stop:
        wanted["stop"] = list(request.stop)
    params = {name: v for name, v in wanted.items() if name not in entry.unsupported_params}
    dropped = tuple(sorted(set(wanted) - set(params)))
    if request.context.tools:
        dropped += ("tools",)
    call = ProviderCall(entry, _messages(request), params, request.role)
    _check_budget(call, wanted["max_tokens"], request.constraints.cost_budget_usd)
    return call, dropped


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


def _messages(request: GenerationRequest) -> tuple[Message, ...]:
    if request.messages:
        return request.messages
    if not request.prompt.strip():
        raise InvalidRequestError("The `prompt` is empty.", hint='agent-lab ask "Your question"')
    system = request.context.system
    head = (Message(role="system", content=system),) if system else ()
    return (*head, *request.context.history, Message(role="user", content=request.prompt))


def _check_budget(call: ProviderCall, max_tokens: int, budget_usd: float | None) -> None:
    if budget_usd is None:
        return
    characters = sum(len(message.content) for message in call.messages)
    worst = call.model.cost_usd(round(characters / CHARACTERS_PER_TOKEN), max_tokens)
    if worst is None:
        raise InvalidRequestError(
            f"`{call.model.key}` has no price, so a budget of {budget_usd} USD cannot be kept.",
            hint=f'cost_profile = {{ input = …, output = … }} for [models."{call.model.key}"]',
        )
    if worst > budget_usd:
        raise InvalidRequestError(
            f"The call to `{call.model.key}` could cost {worst:.6f} USD; its budget is "
            f"{budget_usd} USD.",
            hint="ask for fewer tokens (max_tokens), or raise cost_budget_usd",
        )


def _given(request: GenerationRequest, names: Iterable[str]) -> dict[str, Any]:
    values = {name: getattr(request, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}
