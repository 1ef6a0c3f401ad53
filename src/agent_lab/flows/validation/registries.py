"""Rules of the registries: every model and strategy that a flow names exists."""

from collections.abc import Iterator

from agent_lab.flows.validation.faults import Fault, Subject, near


def registry_keys(subject: Subject) -> Iterator[Fault]:
    """Models and strategies are known; where nobody looked at the registries, nothing is said."""
    models, strategies = subject.catalogue.models, subject.catalogue.strategies
    seen: set[tuple[str, str]] = set()
    for name, field, key in _models(subject):
        if models is not None and key not in models and (name, key) not in seen:
            seen.add((name, key))
            reason = f"The model `{key}` is unknown."
            fix = f"{near(key, models)} `agent-lab models list` shows them."
            yield Fault(code="unknown_model", node=name, field=field, reason=reason, fix=fix)
    for node in subject.plan.nodes:
        wanted, name = node.strategy, subject.written(node.id)
        if not wanted or strategies is None or wanted in strategies:
            continue
        if (name, wanted) not in seen:
            seen.add((name, wanted))
            reason = f"The strategy `{wanted}` is unknown."
            yield Fault(
                code="unknown_strategy",
                node=name,
                field="strategy",
                reason=reason,
                fix=near(wanted, strategies),
            )


def _models(subject: Subject) -> Iterator[tuple[str, str, str]]:
    for node in subject.plan.nodes:
        if node.model:
            yield subject.written(node.id), "model", node.model
        kind = subject.catalogue.kinds.get(node.type)
        options = kind.options_or_none(node.config) if kind else None
        for key in options.judges() if options else ():
            if key:
                yield subject.written(node.id), "config.checks", key
