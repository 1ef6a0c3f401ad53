"""One call of one role: asks the gateway, shows the answer as it comes, records what was said.

A turn never raises for what a provider did: a failed turn is a turn with an error, and what
follows decides. (A node that raises would cancel its parallel siblings, already paid.)
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from agent_lab.contracts import (
    Constraints,
    DataPolicy,
    ErrorInfo,
    GenerationRequest,
    GenerationResult,
    JsonObject,
    Message,
    Turn,
)
from agent_lab.deliberation.context import unfenced
from agent_lab.errors import (
    AgentLabError,
    CapacityError,
    ConfigurationError,
    ProviderError,
    ProviderTimeoutError,
    TruncatedAnswerError,
    ValidationError,
)
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import MOST_SAMPLES, NodeConfig
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate
from agent_lab.orchestrator.run_context import SEEDS, RunContext, wished_model
from agent_lab.orchestrator.run_recorder import AskedTurn
from agent_lab.providers.resilience.budget import BudgetKeeper

logger = logging.getLogger(__name__)

_CLOCK_STEP_S = 0.001
"""A timer may ring a little early, by the clock that it is set by."""
NEVER_ASKED = ("circuit_open", "budget_exceeded", "overloaded", "request_over_limit")
"""Outcomes of attempts that did not reach a provider."""


async def take_turn(
    config: NodeConfig,
    plan: FlowPlan,
    state: AgentState,
    run: RunContext,
    messages: tuple[Message, ...],
    *,
    path: str = "",
    sample: int = 0,
    schema: JsonObject | None = None,
) -> Turn:
    """Ask for one turn and record it.

    Args:
        config: Who speaks, and how it is asked.
        plan: The flow.
        state: The run so far.
        run: The run's surroundings.
        messages: What is sent.
        path: The turn's path, where it is not the node's id.
        sample: Which draw of the same prompt it is, where there are several.
        schema: JSON Schema of the answer; a model that cannot be held to it is asked without.
    """
    place = run.place
    asked = AskedTurn(
        node_id=config.id,
        path=run.prefix + (path or config.id),
        role=config.speaker,
        round=place.round,
        sample=sample,
        visit=place.visit,
        retry=place.retry,
        request=_request(config, plan, state, run, messages, schema, sample),
        started_at=run.now(),
    )
    return await _Speaker(run, asked).speak()


async def ask_person(config: NodeConfig, run: RunContext, messages: tuple[Message, ...]) -> Turn:
    """Ask a person, and wait for what they say.

    Args:
        config: Who speaks.
        run: The run's surroundings.
        messages: What they are shown.

    Raises:
        RunWaitingError: Nothing is left to do before they have spoken.
    """
    place = run.place
    asked = AskedTurn(
        node_id=config.id,
        path=run.prefix + config.id,
        role=config.speaker,
        round=place.round,
        sample=0,
        visit=place.visit,
        retry=place.retry,
        request=GenerationRequest(messages=messages, role=config.speaker),
        started_at=run.now(),
    )
    return await run.recorder.ask_person(asked)


def said(config: NodeConfig, turn: Turn) -> StateUpdate:
    """What a turn changes in the state."""
    if turn.error is not None:
        return {"failures": {config.id: turn.error}}
    return {
        "outputs": {config.id: unfenced(turn.text)},
        "failures": {config.id: None},
        "models": {config.id: turn.model_resolved},
        "degraded": {config.id: _moved(turn)},
    }


def whole_characters(text: str) -> str:
    """The text with `?` for each half of a character, and no NUL: no database can hold these."""
    if text.isascii():
        return text.replace("\0", "")
    return text.encode(errors="replace").decode().replace("\0", "")


class _Speaker:
    """One turn of one role."""

    def __init__(self, run: RunContext, asked: AskedTurn) -> None:
        self._run = run
        self._asked = asked

    async def speak(self) -> Turn:
        """Ask, stream and record; what the provider did wrong becomes the turn's error."""
        run, asked = self._run, self._asked
        known = await run.recorder.begin_turn(asked)
        if known is not None:
            _charge(run.budget, known)
            return known
        try:
            return await self._answer()
        except (ProviderError, CapacityError, ConfigurationError, ValidationError) as error:
            logger.info("The turn of `%s` failed: %s", asked.role, error.message)
            if isinstance(error, ProviderTimeoutError) and self._time_is_over():
                error.details["limit"] = "seconds"  # of a budget: see `hard_stop`
                if run.deadline_of:
                    error.details["flow"] = run.deadline_of
            return await self._ended(_failed(error))

    async def _answer(self) -> Turn:
        recorder, name = self._run.recorder, self._asked.message_id
        stream = self._run.gateway.stream(self._asked.request, budget=self._run.budget)
        async with aclosing(stream) as chunks:
            async for chunk in chunks:
                if chunk.result is not None:
                    if not unfenced(chunk.result.text).strip():
                        raise TruncatedAnswerError("The answer holds nothing but copied marks.")
                    # In here: what is paid for is recorded before anything can cancel this.
                    return await self._ended(succeeded(chunk.result))
                if chunk.restarted:  # a second start voids what was shown after the first
                    await recorder.restart_turn(self._asked)
                    continue
                recorder.publish_delta(name, chunk.text, reasoning=chunk.reasoning)
        raise TruncatedAnswerError("The gateway ended its stream without a result.")

    async def _ended(self, outcome: Mapping[str, Any]) -> Turn:
        turn = self._asked.ended(self._run.now(), outcome)
        await self._run.recorder.record_turn(turn)
        return turn

    def _time_is_over(self) -> bool:
        deadline = self._run.deadline
        now = asyncio.get_running_loop().time()
        return deadline is not None and now >= deadline - _CLOCK_STEP_S


def _charge(budget: BudgetKeeper | None, turn: Turn) -> None:
    """Take from a budget what a turn of an earlier execution took."""
    if budget is not None:
        calls = sum(attempt.outcome not in NEVER_ASKED for attempt in turn.attempts)
        tokens = turn.prompt_tokens + turn.completion_tokens
        budget.charge(turn.cost_usd or 0.0, calls=calls, tokens=tokens)


def _request(
    config: NodeConfig,
    plan: FlowPlan,
    state: AgentState,
    run: RunContext,
    messages: tuple[Message, ...],
    schema: JsonObject | None,
    sample: int,
) -> GenerationRequest:
    """What a role is asked: the caller's wishes before the flow's, the flow's before defaults."""
    wish = run.request
    # Members of a group may have the same prompt and the same model: each draws for itself.
    draw = plan.place_in_group(config.id) * MOST_SAMPLES + sample
    return GenerationRequest(
        model_key=wished_model(config, wish),
        strategy=wish.strategy or config.strategy,
        max_tokens=wish.max_tokens or config.max_tokens,
        temperature=config.temperature if wish.temperature is None else wish.temperature,
        top_p=config.top_p,
        top_k=config.top_k,
        task_type=state["task_type"] or None,
        seed=(run.seed + draw) % SEEDS,
        sample=draw,
        stop=config.stop,
        response_schema=schema,
        messages=messages,
        constraints=Constraints(distinct_from=_others_models(config, plan, state, run)),
        deadline=run.deadline,
        data_policy=strictest(plan.data_policy, wish.data_policy),
        cache=wish.cache,
        midstream="restart",
        role=config.speaker,
        run_id=state["request_id"],
    )


def _others_models(
    config: NodeConfig, plan: FlowPlan, state: AgentState, run: RunContext
) -> tuple[str, ...]:
    """Models that this role may not fall back to: those of roles that are meant to differ."""
    if not (run.request.models or plan.names_models):
        return ()  # one model for all: nobody is meant to differ
    own = _meant(config, run)
    others: set[str] = set()
    for other in (node for node in plan.nodes if node.is_role):
        meant = _meant(other, run)
        if meant != own:
            others |= {meant, state["models"].get(other.id, "")}
    return tuple(sorted(others - {own, ""}))


def _meant(node: NodeConfig, run: RunContext) -> str:
    wish = wished_model(node, run.request)
    return run.models.get(wish, wish or "")


def strictest(*policies: DataPolicy | None) -> DataPolicy | None:
    """The one of some data policies that allows least; None: nobody has one."""
    given = [policy for policy in policies if policy is not None]
    return "local" if "local" in given else next(iter(given), None)


def _moved(turn: Turn) -> str:
    """Why another model than the one that was meant gave the text; empty: it did not."""
    first = next(iter(turn.attempts), None)
    if first is None or first.model_key == turn.model_resolved:
        return ""
    return (
        f"`{turn.model_resolved}` answered as `{turn.role}` for `{first.model_key}`: {first.error}"
    )


def succeeded(result: GenerationResult) -> dict[str, Any]:
    """What a result says of the turn that it ends."""
    usage = result.usage
    return {
        "status": "ok",
        "text": whole_characters(result.text),
        "reasoning": whole_characters(result.reasoning),
        "finish_reason": result.finish_reason,
        "model_resolved": result.model_resolved,
        "strategy": result.strategy,
        "source": result.source,
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "completion_tokens": usage.completion_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "cost_usd": usage.cost_usd,
        "timings": result.timings,
        "cache_hit": result.cache_hit,
        "model_warm": result.model_warm,
        "attempts": result.attempts,
        "fallback_from": result.fallback_from,
        "dropped_params": result.dropped_params,
    }


def _failed(error: AgentLabError) -> dict[str, Any]:
    described = ErrorInfo.of(error)
    details = {name: value for name, value in error.details.items() if name != "attempts"}
    return {
        "status": "failed",
        "attempts": error.details.get("attempts", ()),
        "error": described.model_copy(
            update={"message": whole_characters(error.message), "details": details}
        ),
    }
