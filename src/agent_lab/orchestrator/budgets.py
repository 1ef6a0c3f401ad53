"""The budgets of a run: the caller's, the flow's, and those of flows within it."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agent_lab.contracts import Budget, FlowBudget
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.providers.resilience.budget import BudgetKeeper

LIMITS = ("calls", "tokens", "seconds", "cost_usd")


def bounded(plan: FlowPlan, run: RunContext) -> RunContext:
    """The surroundings of a run with a keeper of its budget, where the flow or the caller set one.

    The clock of its seconds begins now, or goes on where an earlier execution has stopped it.
    """
    if run.budget is not None:
        return run
    return _kept(budget_of(plan.budget, run.request.budget), run, begun_s_ago=run.elapsed_s)


def bounded_within(plan: FlowPlan, run: RunContext) -> RunContext:
    """The surroundings of a flow within a run: its own budget inside that of the run."""
    caller = run.request.budget
    unpriced = caller is not None and caller.allow_unpriced
    limits = budget_of(plan.budget, Budget(allow_unpriced=unpriced))
    return _kept(limits, run, flow=plan.name)


def budget_of(flow: FlowBudget | None, caller: Budget | None) -> Budget:
    """The lower of two limits, each by itself."""
    limits: Mapping[str, Any] = {
        name: min(
            (v for v in (getattr(flow, name, None), getattr(caller, name, None)) if v is not None),
            default=None,
        )
        for name in LIMITS
    }
    return Budget(**limits, allow_unpriced=caller is not None and caller.allow_unpriced)


def _kept(limits: Budget, run: RunContext, flow: str = "", begun_s_ago: float = 0.0) -> RunContext:
    if all(getattr(limits, name) is None for name in LIMITS):
        return run
    clock = asyncio.get_running_loop().time
    ends = None if limits.seconds is None else clock() + limits.seconds - begun_s_ago
    keeper = BudgetKeeper(
        limits.cost_usd,
        allow_unpriced=limits.allow_unpriced,
        calls=limits.calls,
        tokens=limits.tokens,
        expired=lambda: ends is not None and clock() >= ends,
        within=run.budget,
        flow=flow,
    )
    if ends is None or (run.deadline is not None and run.deadline <= ends):
        return replace(run, budget=keeper)
    return replace(run, budget=keeper, deadline=ends, deadline_of=flow)
