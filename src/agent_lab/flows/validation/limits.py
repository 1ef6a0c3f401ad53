"""Rules of limits: what the worst case of a run does not fit into."""

from collections.abc import Iterator

from agent_lab.flows.validation.faults import Fault, Subject, quoted
from agent_lab.flows.worst_case import WorstCase


def budget(subject: Subject, worst: WorstCase) -> Iterator[Fault]:
    """The flow's own budget has room for the worst case; else it may end before its end."""
    needs = (
        ("calls", "calls", worst.calls),
        ("tokens", "tokens", worst.tokens),
        ("cost_usd", "US dollars", worst.cost_usd),
    )
    for limit, unit, need in needs:
        allowed = getattr(subject.flow.budget, limit, None)
        if allowed is None or (need is not None and need <= allowed):
            continue
        wanted, given = (f"{n:g}" if isinstance(n, float) else n for n in (need, allowed))
        reason = f"The worst case takes {wanted} {unit}; the flow's budget allows {given}."
        fix = "It then ends with the best answer so far."
        if need is None:
            reason = f"The price of {quoted(worst.unpriced)} is unknown; a budget of money is set."
            fix = "Models without a price are refused then: give `cost_profile` of the model."
        if need is not None or worst.unpriced:  # else nobody is here who would answer
            yield Fault(
                code="over_budget",
                severity="warning",
                field=f"budget.{limit}",
                reason=reason,
                fix=fix,
            )


def windows(subject: Subject, worst: WorstCase) -> Iterator[Fault]:
    """The model's window has room for the longest prompt and the longest answer."""
    models = subject.catalogue.models or {}
    told: set[tuple[str, str]] = set()
    for cost in worst.nodes:
        node, key = subject.written(cost.node.partition(".")[0]), cost.model or ""
        window = models[key].context_window if key in models else None
        each = (cost.prompt_tokens + cost.completion_tokens) // max(1, cost.calls)
        if window is None or each <= window or (node, key) in told:
            continue
        told.add((node, key))
        reason = f"A call can take {each} tokens; `{key}` has room for {window}."
        fix = "Lower `max_tokens` of the nodes whose text it reads, or name another model."
        yield Fault(
            code="over_window",
            severity="warning",
            node=node,
            field="prompt_template",
            reason=reason,
            fix=fix,
        )
