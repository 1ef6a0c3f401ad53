"""What a run is compared with: votes of its best single member, for as many tokens.

A debate that does not beat such votes was not worth its tokens (J. Huang et al., "Large Language
Models Cannot Self-Correct Reasoning Yet", 2023). One run proves nothing of that: the lift, with its
interval, comes from evaluations.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf

from agent_lab.contracts import BESIDE, Turn
from agent_lab.contracts.baseline import Baseline
from agent_lab.deliberation.answers.reading import read_answer
from agent_lab.errors import AgentLabError
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import MOST_SAMPLES
from agent_lab.orchestrator.agent_state import AgentState
from agent_lab.orchestrator.flow_metrics import total_usage
from agent_lab.orchestrator.outcome import FlowOutcome
from agent_lab.orchestrator.poll import labels_of
from agent_lab.orchestrator.prompts import ANSWER_INPUT, wanted_kind
from agent_lab.orchestrator.run_context import KnownModel, RunContext, Subflows

FLOW = "self_consistency"
PREFIX = f"{BESIDE}baseline."
"""Of the paths of its turns and steps; no node can be called so."""


async def with_baseline(
    outcome: FlowOutcome, plan: FlowPlan, run: RunContext, subflows: Subflows
) -> FlowOutcome:
    """Spend as many tokens as a flow has taken on votes of its best single member.

    What goes wrong here is the baseline's affair: the run has its answer.

    Args:
        outcome: What came of the flow.
        plan: The flow.
        run: The run's surroundings.
        subflows: Runs the flow that votes.
    """
    if outcome.state is None or outcome.error is not None:
        return outcome
    spent = [turn for turn in run.recorder.turns if not turn.path.startswith(PREFIX)]
    model, why = best_member(spent, run.known)
    tokens = sum(turn.prompt_tokens + turn.completion_tokens for turn in spent)
    if not tokens:  # of a limit, 0 would say that there is none
        nothing = "No tokens were counted that votes could take."
        return _compared(outcome, Baseline(flow=FLOW, model=model, error=nothing))
    wish = str(plan.values.get(ANSWER_INPUT, "auto"))
    inputs = {"samples": MOST_SAMPLES - 1, "tokens": tokens, "stop": "none", "answer": wish}
    alone = replace(
        run,
        prefix=PREFIX,
        request=run.request.model_copy(update={"models": {}, "model": model or None}),
    )
    try:
        votes = await subflows.run_subflow(FLOW, inputs, outcome.state, alone)
    except AgentLabError as error:
        return _compared(outcome, Baseline(flow=FLOW, model=model, error=error.message))
    taken = [turn for turn in run.recorder.turns if turn.path.startswith(PREFIX)]
    samples = votes.outputs.get("samples")
    found = Baseline(
        flow=FLOW,
        model=model,
        why_this_model=why,
        output=votes.output,
        winner=votes.outputs.get("winner"),
        agrees=_agree(outcome, votes, wish, outcome.state),
        samples=samples if isinstance(samples, int) else None,
        stop_reason=votes.stop_reason,
        degraded=votes.degraded,
        error=None if votes.error is None else votes.error.message,
        usage=total_usage(taken),
        run_usage=total_usage(spent),
    )
    return _compared(outcome, found)


def _compared(outcome: FlowOutcome, baseline: Baseline) -> FlowOutcome:
    return outcome._replace(baseline=baseline.model_dump(mode="json"))


def best_member(turns: Sequence[Turn], known: Mapping[str, KnownModel]) -> tuple[str, str]:
    """The model that is most likely to do best alone, and why it was chosen.

    Without evaluations that is the largest; of one whose size nobody tells, it is taken to be
    large, as those of hosts are.

    Args:
        turns: Of the run.
        known: What is known of models.
    """
    asked = Counter(turn.model_resolved for turn in turns if turn.model_resolved)
    if not asked:
        return "", "nobody has spoken"
    if len(asked) == 1:
        return next(iter(asked)), "the only model of the run"

    def size(model: str) -> float:
        return (known[model].parameters_b if model in known else 0.0) or inf

    best = max(asked, key=lambda model: (size(model), asked[model]))
    largest = [model for model in asked if size(model) == size(best)]
    return best, "the largest model" if len(largest) == 1 else "of the largest, asked most often"


def _agree(outcome: FlowOutcome, votes: FlowOutcome, wish: str, state: AgentState) -> bool | None:
    """Whether both give the same answer; None: that cannot be said of free answers."""
    kind = wanted_kind(wish, state)
    labels = labels_of(kind, state)
    own = read_answer(outcome.output, kind, options=labels).key
    other = read_answer(votes.output, kind, options=labels).key
    return None if own is None or other is None else own == other
