"""Rules of what runs before what: a text is there once the node that writes it has run."""

from collections.abc import Iterator
from typing import NamedTuple

from agent_lab.flows.graph_configs import NodeConfig
from agent_lab.flows.names import OF_RUN, OUTPUT, OUTPUTS
from agent_lab.flows.prompt_templates import placeholders
from agent_lab.flows.validation.faults import Fault, Subject
from agent_lab.flows.validation.names import templates


class Wish(NamedTuple):
    """A text that a node works on."""

    field: str
    name: str
    source: str
    """The node that writes it."""


def reading(subject: Subject) -> Iterator[Fault]:
    """A node works on a text only after the node that writes it: else it may not be there."""
    plan, course = subject.plan, subject.course
    wishes = {n.id: [*_of_prompt(subject, n), *_of_config(subject, n)] for n in plan.nodes}
    before = _before(subject) if any(wishes.values()) else {}
    bit = {node_id: 1 << place for place, node_id in enumerate(course.order)}
    told: set[tuple[str, str]] = set()
    for node in plan.nodes:
        name = subject.written(node.id)
        for wish in wishes[node.id]:
            if before[node.id] & bit[wish.source] or course.in_one_loop(node.id, wish.source):
                continue
            if (name, wish.name) in told:
                continue
            told.add((name, wish.name))
            writer = subject.written(wish.source)
            reason = f"`{wish.name}` is asked for, but `{writer}` need not have run by then."
            fix = f'Add the edge {{"source": "{writer}", "target": "{name}"}}.'
            if wish.source == node.id:
                fix = "A node has a text of its own only in a loop."
            yield Fault(code="missing_join", node=name, field=wish.field, reason=reason, fix=fix)


def _of_prompt(subject: Subject, node: NodeConfig) -> Iterator[Wish]:
    """The texts that a prompt asks for by the name of a node or a group."""
    plan, known, field = subject.plan, subject.plan_ids, "prompt_template"
    names = {name for _, text in templates(node) for name in placeholders(text)}
    for name in sorted(names - OF_RUN - set(node.values) - set(plan.values)):
        source = name.removesuffix(OUTPUT)
        source = plan.aliases.get(source, source)
        if name.endswith(OUTPUTS):
            members = plan.groups.get(name.removesuffix(OUTPUTS), ())
            yield from (Wish(field, f"{{{name}}}", i) for i in members)
        elif name.endswith(OUTPUT) and source in known:
            yield Wish(field, f"{{{name}}}", source)


def _of_config(subject: Subject, node: NodeConfig) -> Iterator[Wish]:
    """The texts of one node that `config` names; of several, one will do, and may come later."""
    kind = subject.catalogue.kinds.get(node.type)
    options = kind.options_or_none(node.config) if kind else None
    for field, names in options.nodes_named().items() if options else ():
        if isinstance(getattr(options, field, None), str):
            known = [name for name in names if name in subject.plan_ids]
            yield from (Wish(f"config.{field}", name, name) for name in known)


def _before(subject: Subject) -> dict[str, int]:
    """By node: the nodes from which a way leads to it, as bits in the course's order."""
    before: dict[str, int] = {}
    places = {node_id: place for place, node_id in enumerate(subject.course.order)}
    for node_id in subject.course.order:
        bits = 0
        for source in subject.course.before(node_id):
            bits |= before[source] | 1 << places[source]
        before[node_id] = bits
    return before
