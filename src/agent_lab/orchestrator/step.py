"""One pass of one node: its place, its events, what it changes, and what follows."""

import asyncio
import logging
from dataclasses import replace
from typing import Any, Literal

from agent_lab.contracts import ErrorInfo, JsonObject
from agent_lab.contracts import Step as StepRecord
from agent_lab.errors import CapacityError, ConfigurationError, ProviderError, ValidationError
from agent_lab.flows.conditions import AnyCondition, holds
from agent_lab.flows.course import Course
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import NodeConfig
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate, updated
from agent_lab.orchestrator.condition_values import condition_values
from agent_lab.orchestrator.node_types import NodeFunction
from agent_lab.orchestrator.outcome import hard_stop
from agent_lab.orchestrator.routers import ROUTERS
from agent_lab.orchestrator.run_context import Place, RunContext, Subflows
from agent_lab.orchestrator.run_recorder import UNDECIDED

logger = logging.getLogger(__name__)

LONGEST_VALUE = 500
"""Characters of a value in the record; the whole text stands in the prompts that used it."""
_DECLARED = frozenset(StateUpdate.__annotations__)


class Step:
    """Takes the passes of one node.

    Args:
        config: The node.
        plan: Its flow.
        course: The ways through the flow.
        work: What the node does.
        subflows: Runs flows within the node.
    """

    def __init__(
        self,
        config: NodeConfig,
        plan: FlowPlan,
        course: Course,
        work: NodeFunction,
        subflows: Subflows,
    ) -> None:
        self._config = config
        self._course = course
        self._work = work
        self._subflows = subflows
        loops = course.loops_of(config.id)
        self._round_loop = next((loop.id for loop in loops if loop.counts == "round"), None)
        self._retry_loop = next((loop.id for loop in loops if loop.counts == "retry"), None)
        # In rounds within a retry, each pass is a visit: the same retry has several of them.
        self._retries_are_visits = bool(loops) and loops[0].counts != "retry"
        self._is_in_loop = bool(loops)
        # Only a loop or a condition asks what the state will be.
        self._looks_ahead = bool(loops) or any(e.condition for e in plan.edges_from(config.id))

    async def take(
        self, state: AgentState, run: RunContext
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Do the node's work.

        Returns:
            What changes in the state, and the nodes that follow.

        Raises:
            ConfigurationError: The node returned what no node may change.
        """
        node_id, started_at = self._config.id, run.now()
        run = replace(run, place=self._place(state), subflows=self._subflows)
        await run.recorder.record("STEP_STARTED", {"stepName": run.prefix + node_id})
        work = await self._done(state, run)
        _refuse_undeclared(node_id, work)
        update: dict[str, Any] = {**work, "visits": {node_id: run.place.visit + 1}}
        after = updated(state, update) if self._looks_ahead else state
        move = self._course.move(
            node_id,
            state["routes"],
            state["rounds"],
            self._condition(after, run),
            hard_stop(after) if self._is_in_loop else "",
        )
        is_news = await run.recorder.record_step(
            StepRecord(
                node_id=node_id,
                path=run.prefix + node_id,
                visit=run.place.visit,
                retry=run.place.retry,
                started_at=started_at,
                seconds=(run.now() - started_at).total_seconds(),
                status=_status(node_id, work),
                output=self._told(work),
                values={name: _short(value) for name, value in work.get("values", {}).items()},
                vote=_vote(node_id, work),
                next=move.taken,
            )
        )
        if move.pause_s and is_news:  # the pause of an earlier execution is over
            await run.sleep(_at_most(move.pause_s, run))
        if self._course.joins or self._course.has_loops:
            stops = {**work.get("stops", {}), **move.stops}
            update |= {"routes": move.routes, "rounds": move.rounds, "stops": stops}
        return update, move.targets

    async def _done(self, state: AgentState, run: RunContext) -> StateUpdate:
        """The node's work; what it could not do is its failure.

        A node that raised would cancel its parallel siblings, already paid. A wrong installation
        and a full disk do end the run: no other node could do better.
        """
        try:
            return await self._work(state, run)
        except (ProviderError, CapacityError, ValidationError) as error:
            logger.warning("The node `%s` failed: %s", self._config.id, error.message)
            return {"failures": {self._config.id: ErrorInfo.of(error)}}

    def _place(self, state: AgentState) -> Place:
        rounds, visits = state["rounds"], state["visits"].get(self._config.id, 0)
        retry = rounds.get(self._retry_loop, 0) if self._retry_loop else 0
        return Place(
            round=rounds.get(self._round_loop, 0) + 1 if self._round_loop else 1,
            visit=visits - (retry > 0 and not self._retries_are_visits),
            retry=retry,
        )

    def _told(self, work: StateUpdate) -> str:
        """The text of a node that asks no model; a turn's text is in the turn."""
        if self._config.id in work.get("models", {}):
            return ""
        return work.get("outputs", {}).get(self._config.id, "")

    def _condition(self, after: AgentState, run: RunContext) -> Any:
        """Whether a condition is true after the node's pass; values are found where one asks."""
        known: list[dict[str, Any]] = []

        def is_true(condition: AnyCondition) -> bool:
            if not known:
                known.append(condition_values(after, run.place.round))
            return holds(condition, known[0], lambda name: self._routed(name, after, run))

        return is_true

    def _routed(self, name: str, after: AgentState, run: RunContext) -> str:
        """What a router says; it says it once, whatever a second execution would make of it."""
        key = run.place.key(run.prefix + self._config.id, f"router:{name}")
        known = run.recorder.decided(key)
        if known is UNDECIDED:
            known = ROUTERS.get(name)(after)
            run.recorder.decide(key, known)
        return str(known)


def _at_most(pause_s: float, run: RunContext) -> float:
    """A pause that does not outlast the run's time."""
    if run.deadline is None:
        return pause_s
    return max(0.0, min(pause_s, run.deadline - asyncio.get_running_loop().time()))


def _status(node_id: str, work: StateUpdate) -> Literal["ok", "failed", "skipped"]:
    failure = work.get("failures", {}).get(node_id)
    if failure is None:
        return "ok"
    return "skipped" if failure.code == "not_asked" else "failed"


def _vote(node_id: str, work: StateUpdate) -> JsonObject | None:
    """What the node has counted in this pass."""
    votes = work.get("votes", {}).get(node_id)
    return votes[-1].model_dump(mode="json", exclude_defaults=True) if votes else None


def _refuse_undeclared(node_id: str, update: StateUpdate) -> None:
    undeclared = sorted(set(update) - _DECLARED)
    if undeclared:
        raise ConfigurationError(
            f"Node `{node_id}` returned `{undeclared[0]}`, which no node may change; "
            f"nodes may return {', '.join(f'`{key}`' for key in sorted(_DECLARED))}."
        )


def _short(value: Any) -> Any:
    is_long = isinstance(value, str) and len(value) > LONGEST_VALUE
    return value[:LONGEST_VALUE] + "…" if is_long else value
