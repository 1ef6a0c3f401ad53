"""Rules of names: what prompts, conditions and named outputs may ask for."""

import re
from collections.abc import Iterator, Mapping

from agent_lab.flows.conditions import AnyCondition, Comparison, Routed, leaves, variables
from agent_lab.flows.graph_configs import NodeConfig
from agent_lab.flows.names import (
    OF_RUN,
    OUTPUT,
    condition_names,
    own_prompt_names,
    owners,
    prompt_names,
)
from agent_lab.flows.prompt_templates import LocalizedText, placeholders
from agent_lab.flows.validation.faults import Fault, Subject, near

# What other template languages would evaluate, and this one leaves as it is; not doubled braces.
_LOOKS_LIKE_A_NAME = re.compile(
    r"\{\{|\}\}|\{([A-Za-z_]\w*(?:[.\[!:][^{}\n\"' ]{1,60})|[A-Z]\w*)\}"
)
_OLD_NAMES = frozenset({"input", "prompt", "question", "task"})
"""What other tools call the task."""


def taken(subject: Subject) -> Iterator[Fault]:
    """No input, value or node has a name that already means something else."""
    plan = subject.plan
    of_nodes = owners(plan, subject.catalogue.kinds)
    known = OF_RUN | set(of_nodes) | {f"{alias}{OUTPUT}" for alias in plan.aliases}
    found = [("", f"inputs.{name}", name) for name in plan.inputs if name in known]
    for node in plan.nodes:
        written = subject.written(node.id)
        found += [(written, f"values.{name}", name) for name in node.values if name in known]
    found += [(subject.written(i), "id", name) for name, i in of_nodes.items() if name in OF_RUN]
    for node_id, field, name in dict.fromkeys(found):
        reason = f"`{name}` already means something in prompts and conditions."
        fix = "Give it another name." if field != "id" else "Give the node another id."
        yield Fault(code="taken_name", node=node_id, field=field, reason=reason, fix=fix)


def prompts(subject: Subject) -> Iterator[Fault]:
    """A prompt asks only for names that somebody gives."""
    seen: set[tuple[str, str, str]] = set()
    shared = prompt_names(subject.plan, subject.catalogue.kinds)
    for node in subject.plan.nodes:
        own = own_prompt_names(node, subject.catalogue.kinds)
        name = subject.written(node.id)
        for field, text in templates(node):
            for asked in sorted(placeholders(text) - own - shared):
                if (name, field, asked) not in seen:
                    seen.add((name, field, asked))
                    reason = f"Nothing is called `{{{asked}}}`."
                    fix = near(asked, shared | own)
                    if asked in _OLD_NAMES:
                        fix = "Did you mean `user_input`?"
                    yield Fault(code="unknown_name", node=name, field=field, reason=reason, fix=fix)
            for literal in _literals(text):
                if (name, field, literal) not in seen:
                    seen.add((name, field, literal))
                    fix = "Names are small letters, digits and `_`; double the braces to mean them."
                    yield _literal(literal, name, field, fix)
    for field, text in _texts("system_prompt", subject.flow.system_prompt):
        for asked in sorted(placeholders(text) & shared):
            fix = "Ask for it in the prompts of the nodes."
            yield _literal(asked, "", field, fix)


def _literals(text: str) -> list[str]:
    found = [match[1] for match in _LOOKS_LIKE_A_NAME.finditer(text) if match[1]]
    return list(dict.fromkeys(found))


def _literal(text: str, node: str, field: str, fix: str) -> Fault:
    reason = f"`{{{text}}}` is not filled in: it stays as it is."
    return Fault(
        code="literal_braces", severity="warning", node=node, field=field, reason=reason, fix=fix
    )


def conditions(subject: Subject) -> Iterator[Fault]:
    """A condition reads only what there is, and asks only routers that there are."""
    flow, routers = subject.flow, subject.catalogue.routers
    known = condition_names(subject.plan, subject.catalogue.kinds)
    for index, edge in enumerate(flow.edges):
        if edge.condition is not None:
            field = f"edges[{index}].condition"
            yield from _condition(edge.condition, known, routers, field, edge.source)
    for index, loop in enumerate(flow.loops):
        if loop.until is not None:
            field = f"loops[{index}].until"
            yield from _condition(loop.until, known, routers, field, loop.last)
    for name, source in flow.outputs.items():
        if source not in known:
            reason = f"The named output `{name}` is `{source}`, which is no value."
            yield Fault(
                code="unknown_name",
                field=f"outputs.{name}",
                reason=reason,
                fix=near(source, known),
            )


def _condition(
    condition: AnyCondition,
    known: frozenset[str],
    routers: Mapping[str, tuple[str, ...]],
    field: str,
    node: str,
) -> Iterator[Fault]:
    for name in sorted(variables(condition) - known):
        reason = f"The condition reads `{name}`, which is no value."
        fix = near(name, known)
        yield Fault(code="unknown_name", node=node, field=field, reason=reason, fix=fix)
    for leaf in leaves(condition):
        if not isinstance(leaf, Routed):
            yield from _constant(leaf, field, node)
        elif leaf.router not in routers:
            reason = f"There is no router `{leaf.router}`."
            fix = near(leaf.router, routers)
            yield Fault(code="unknown_router", node=node, field=field, reason=reason, fix=fix)
        elif leaf.to not in routers[leaf.router]:
            reason = f"The router `{leaf.router}` never says `{leaf.to}`."
            fix = near(leaf.to, routers[leaf.router])
            yield Fault(code="unknown_route", node=node, field=field, reason=reason, fix=fix)


def _constant(leaf: Comparison, field: str, node: str) -> Iterator[Fault]:
    if not variables(leaf):
        reason = "The condition compares two constants: it always says the same."
        fix = 'Read a value: {"var": "NAME"}.'
        yield Fault(
            code="constant_condition",
            severity="warning",
            node=node,
            field=field,
            reason=reason,
            fix=fix,
        )


def templates(node: NodeConfig) -> list[tuple[str, str]]:
    """A node's prompt in each language, with the field that holds it."""
    return _texts("prompt_template", node.prompt_template)


def _texts(field: str, text: LocalizedText) -> list[tuple[str, str]]:
    if isinstance(text, str):
        return [(field, text)]
    return [(f"{field}.{language}", words) for language, words in text.items()]
