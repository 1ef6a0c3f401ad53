"""What came of a flow, from the state in which it ended."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from agent_lab.contracts import ErrorInfo, JsonObject
from agent_lab.deliberation.stop_rules.stop import PRECEDENCE, in_order
from agent_lab.flows.conditions import Value
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.orchestrator.agent_state import AgentState, failures_of
from agent_lab.orchestrator.condition_values import condition_values

HARD_STOPS = {"seconds": "wall_clock", "calls": "budget", "tokens": "budget", "cost_usd": "budget"}
"""Stop reason by the limit of a budget that refused a call, or cut one off."""
REFUSED_OR_CUT = ("budget_exceeded", "provider_timeout")


class FlowOutcome(NamedTuple):
    """What came of a flow."""

    output: str
    """The answer; empty when no node that could give it did."""
    state: AgentState | None
    degraded: tuple[str, ...] = ()
    """What went wrong on the way to an answer all the same."""
    error: ErrorInfo | None = None
    """Why there is no answer."""
    stop_reason: str = "completed"
    """Why the flow ended; `completed` where no rule stopped it."""
    outputs: Mapping[str, Value] = MappingProxyType({})
    """The flow's named outputs."""
    baseline: JsonObject | None = None
    """What it is compared with; None: with nothing."""


def outcome_of(plan: FlowPlan, state: AgentState) -> FlowOutcome:
    """Sum up how a flow has ended."""
    failures, outputs = failures_of(state), state["outputs"]
    asked = {i: error for i, error in failures.items() if error.code != "not_asked"}
    nodes = [i for name in plan.answer_nodes() for i in plan.members_of(name)]
    answers = [node_id for node_id in nodes if node_id in outputs]
    if not answers:
        nothing = ErrorInfo(code="no_answer", message=f"Flow `{plan.name}` gave no answer.")
        return FlowOutcome("", state, error=[nothing, *asked.values()][-1])
    degraded = [f"`{i}` failed: {error.message}" for i, error in asked.items()]
    degraded += [reason for reason in state["degraded"].values() if reason]
    better = nodes[: nodes.index(answers[0])]
    # One that ran and gave no text has failed, or could not decide.
    if any(node_id in failures or state["visits"].get(node_id) for node_id in better):
        degraded.append(f"The answer is the text of `{answers[0]}`.")
    values = condition_values(state)
    return FlowOutcome(
        outputs[answers[0]],
        state,
        tuple(degraded),
        stop_reason=_stop_reason(state),
        outputs={name: values.get(source) for name, source in plan.outputs.items()},
    )


def issues_of(outcome: FlowOutcome) -> tuple[JsonObject, ...]:
    """The ledger, as the run's record has it."""
    issues = () if outcome.state is None else outcome.state["issues"]
    return tuple(issue.model_dump(mode="json") for issue in issues)


def hard_stop(state: AgentState) -> str:
    """The stop reason of a budget that has refused or cut off a call; empty: none has."""
    stops = {limit_stop(error) for error in failures_of(state).values()}
    return next((stop for stop in PRECEDENCE if stop in stops), "")


def hard_stops_within(node_id: str, flow: str, outcome: FlowOutcome) -> dict[str, ErrorInfo | None]:
    """By path: the calls that a budget around the flow of a node has refused or cut off in it.

    None: no more. What the flow's own budget has stopped is that flow's affair.
    """
    failures = {} if outcome.state is None else outcome.state["failures"]
    return {
        f"{node_id}.{inner}": error if error is not None and _is_of_around(error, flow) else None
        for inner, error in failures.items()
    }


def seen_from_around(error: ErrorInfo, flow: str) -> ErrorInfo:
    """Why a flow within another one failed; that its own budget is used up ends no loop outside."""
    if not limit_stop(error) or _is_of_around(error, flow):
        return error
    details = {name: value for name, value in error.details.items() if name != "limit"}
    return error.model_copy(update={"details": details})


def _is_of_around(error: ErrorInfo, flow: str) -> bool:
    return bool(limit_stop(error)) and error.details.get("flow") != flow


def limit_stop(error: ErrorInfo) -> str:
    """The stop reason of a call that a budget refused or cut off; empty: none did."""
    limit = error.details.get("limit") if error.code in REFUSED_OR_CUT else None
    return HARD_STOPS.get(limit, "") if isinstance(limit, str) else ""


def _stop_reason(state: AgentState) -> str:
    fired = {hard_stop(state), *state["stops"].values()} - {"", "completed"}
    return next(iter(in_order(fired)), "completed")
