"""A role's turn: builds its prompt, asks the gateway, records what was said.

The turn never raises for what a provider did: a failed turn is a turn with an error, and what
follows decides. (A node that raises would cancel its parallel siblings, already paid.)
"""

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
    Language,
    Message,
    Turn,
)
from agent_lab.deliberation.context import fence
from agent_lab.errors import AgentLabError, TruncatedAnswerError
from agent_lab.flows.graph_configs import FlowConfig, NodeConfig
from agent_lab.flows.prompt_templates import format_prompt_template, in_language, placeholders
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate, failures_of
from agent_lab.orchestrator.run_context import NodeFunction, RunContext, node, wished_model
from agent_lab.orchestrator.run_recorder import message_id

logger = logging.getLogger(__name__)

OUTPUT = "_output"
MISSING: dict[Language, str] = {
    "en": "({name} gave no answer.)",
    "es": "({name} no dio respuesta.)",
}


@node("execution")
def execution_node(config: NodeConfig, flow: FlowConfig) -> NodeFunction:
    """Make the node of one role."""

    async def take_turn(state: AgentState, run: RunContext) -> StateUpdate:
        visits = {config.id: state["visits"].get(config.id, 0) + 1}
        lost = _lost_ground(config, flow, state)
        if lost is not None:
            return {"failures": {config.id: lost}, "visits": visits}
        turn = await _Speaker(config, flow, state, run).speak()
        if turn.error is not None:
            return {"failures": {config.id: turn.error}, "visits": visits}
        return {
            "outputs": {config.id: turn.text},
            "failures": {config.id: None},
            "visits": visits,
            "models": {config.id: turn.model_resolved},
            "degraded": {config.id: _moved(turn)},
        }

    return take_turn


class _Speaker:
    """One turn of one role."""

    def __init__(
        self, config: NodeConfig, flow: FlowConfig, state: AgentState, run: RunContext
    ) -> None:
        self._config = config
        self._run = run
        self._visit = state["visits"].get(config.id, 0)
        self._message_id = message_id(config.id, self._visit, retry=0)
        self._request = _request(config, flow, state, run)

    async def speak(self) -> Turn:
        """Ask, stream and record; what the provider did wrong becomes the turn's error."""
        run, started_at = self._run, self._run.now()
        await run.recorder.record("TEXT_MESSAGE_START", self._start())
        outcome: Mapping[str, Any]
        try:
            outcome = _succeeded(await self._answer())
        except AgentLabError as error:
            logger.info("The turn of `%s` failed: %s", self._config.speaker, error.message)
            outcome = _failed(error)
        turn = Turn(
            node_id=self._config.id,
            path=self._config.id,
            role=self._config.speaker,
            round=self._visit + 1,
            visit=self._visit,
            model_key=self._request.model_key,
            messages=self._request.messages,
            sampling=_sampling(self._request),
            started_at=started_at,
            seconds=(run.now() - started_at).total_seconds(),
            **outcome,
        )
        await run.recorder.record_turn(turn)
        return turn

    async def _answer(self) -> GenerationResult:
        stream = self._run.gateway.stream(self._request, budget=self._run.budget)
        async with aclosing(stream) as chunks:
            async for chunk in chunks:
                if chunk.result is not None:
                    return chunk.result
                if chunk.restarted:  # a second start voids what was shown after the first
                    await self._run.recorder.record("TEXT_MESSAGE_START", self._start())
                    continue
                self._run.recorder.publish_delta(
                    self._message_id, chunk.text, reasoning=chunk.reasoning
                )
        raise TruncatedAnswerError("The gateway ended its stream without a result.")

    def _start(self) -> JsonObject:
        return {
            "messageId": self._message_id,
            "role": "assistant",
            "name": self._config.speaker,
            "metadata": {
                "node": self._config.id,
                "visit": self._visit,
                "model": self._request.model_key,
                "messages": [message.model_dump() for message in self._request.messages],
            },
        }


def _request(
    config: NodeConfig, flow: FlowConfig, state: AgentState, run: RunContext
) -> GenerationRequest:
    """What a role is asked: the caller's wishes before the flow's, the flow's before defaults."""
    wish = run.request
    return GenerationRequest(
        model_key=wished_model(config, wish),
        strategy=wish.strategy or config.strategy,
        max_tokens=wish.max_tokens or config.max_tokens,
        temperature=config.temperature if wish.temperature is None else wish.temperature,
        seed=run.seed,
        stop=config.stop,
        messages=_messages(config, flow, state, run.secret),
        constraints=Constraints(distinct_from=_others_models(config, flow, state, run)),
        data_policy=_strictest(flow.data_policy, wish.data_policy),
        midstream="restart",
        role=config.speaker,
    )


def _others_models(
    config: NodeConfig, flow: FlowConfig, state: AgentState, run: RunContext
) -> tuple[str, ...]:
    """Models that this role may not fall back to: those of roles that are meant to differ."""
    own = _meant(config, run)
    others: set[str] = set()
    for other in flow.nodes:
        if _meant(other, run) != own:
            others |= {_meant(other, run), state["models"].get(other.id, "")}
    return tuple(sorted(others - {own, ""}))


def _meant(node: NodeConfig, run: RunContext) -> str:
    wish = wished_model(node, run.request)
    return run.models.get(wish, wish or "")


def _strictest(*policies: DataPolicy | None) -> DataPolicy | None:
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


def _messages(
    config: NodeConfig, flow: FlowConfig, state: AgentState, secret: bytes
) -> tuple[Message, ...]:
    """The shared head, then this role's own part; rebuilt for each turn, never appended to."""
    lang = state["lang"]
    values = {
        "user_input": state["user_input"],
        "lang": lang,
        "request_id": state["request_id"],
        "flow_type": state["flow_type"],
        "round": str(state["visits"].get(config.id, 0) + 1),
    }
    for other in flow.nodes:
        missing = MISSING[lang].format(name=other.name or other.id)
        text = state["outputs"].get(other.id, missing)
        values[other.id + OUTPUT] = fence(other.id + OUTPUT, text, secret)
    template = in_language(config.prompt_template, lang)
    own_part = format_prompt_template(template, values)
    system = in_language(flow.system_prompt, lang)
    return (
        *((Message(role="system", content=system),) if system else ()),
        Message(role="user", content=f"{state['head']}\n\n{own_part}".rstrip()),
    )


def _lost_ground(config: NodeConfig, flow: FlowConfig, state: AgentState) -> ErrorInfo | None:
    """Why this role has nothing to work on: every text that it asks for failed to come."""
    template = in_language(config.prompt_template, state["lang"])
    asked = {name.removesuffix(OUTPUT) for name in placeholders(template) if name.endswith(OUTPUT)}
    failures = failures_of(state)
    failed = asked & set(failures)
    if not failed or asked & set(state["outputs"]):
        return None
    first = next(n.id for n in flow.nodes if n.id in failed)
    cause = failures[first]
    if cause.code == "not_asked":
        return cause
    return ErrorInfo(code="not_asked", message=f"`{first}` gave nothing to work on.")


def _succeeded(result: GenerationResult) -> dict[str, Any]:
    usage = result.usage
    return {
        "status": "ok",
        "text": result.text,
        "reasoning": result.reasoning,
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
        "error": described.model_copy(update={"details": details}),
    }


def _sampling(request: GenerationRequest) -> JsonObject:
    names = ("max_tokens", "temperature", "seed", "stop")
    values = {name: getattr(request, name) for name in names}
    return {name: value for name, value in values.items() if value not in (None, ())}
