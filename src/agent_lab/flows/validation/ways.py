"""Rules of the graph: ways, circles, loops, joins."""

from collections.abc import Iterator

from agent_lab.flows.conditions import Routed, leaves, variables
from agent_lab.flows.course import Course
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import EdgeConfig, LoopConfig
from agent_lab.flows.names import owners
from agent_lab.flows.validation.faults import Fault, Subject, quoted


def ways(subject: Subject) -> Iterator[Fault]:
    """Every node can be reached, and no edges make a circle."""
    plan, course = subject.plan, subject.course
    reached = course.reached_from(*course.entries)
    for node_id in dict.fromkeys(subject.written(n.id) for n in plan.nodes if n.id not in reached):
        reason = f"`{node_id}` cannot be reached from `{plan.entry_point}`."
        fix = (
            f'Add an edge to it, such as {{"source": "{plan.entry_point}", "target": "{node_id}"}}.'
        )
        yield Fault(code="unreachable", node=node_id, field="edges", reason=reason, fix=fix)
    for circle in circles(course, plan):
        reason = f"Edges make a circle of {quoted(circle)}, with nothing that bounds it."
        fix = (
            "Take the edge back out, and add to `loops` "
            f'{{"id": "rounds", "first": "{circle[0]}", "last": "{circle[-1]}", "max_rounds": 3, '
            '"until": CONDITION}.'
        )
        node = subject.written(circle[0])
        yield Fault(code="unbounded_loop", node=node, field="edges", reason=reason, fix=fix)


def circles(course: Course, plan: FlowPlan) -> list[list[str]]:
    """The sets of nodes that edges lead round in, each in the order of the flow."""
    place = {node.id: index for index, node in enumerate(plan.nodes)}
    left = set(place) - set(course.order)  # all others are on no circle, and behind none
    found: list[list[str]] = []
    for start in reversed(_by_end(left, place, course)):
        # What leads to the start, and lies on no circle that was found, the start leads to, too.
        together = [start] if start in left else []
        left.discard(start)
        for node_id in together:  # grows as it is walked
            before = [i for i in course.before(node_id) if i in left]
            left -= set(before)
            together += before
        if len(together) > 1 or (together and start in course.after(start)):
            found.append(sorted(together, key=place.__getitem__))
    return sorted(found, key=lambda circle: place[circle[0]])


def _by_end(nodes: set[str], place: dict[str, int], course: Course) -> list[str]:
    """Nodes in the order in which a walk into the depth leaves them (S. R. Kosaraju, 1978)."""
    left, ended = set(nodes), list[str]()
    for start in sorted(nodes, key=place.__getitem__):
        path = [(start, iter(course.after(start)))] if start in left else []
        left.discard(start)
        while path:
            after = next((i for i in path[-1][1] if i in left), None)
            if after is None:
                ended.append(path.pop()[0])
            else:
                left.remove(after)
                path.append((after, iter(course.after(after))))
    return ended


def loops(subject: Subject) -> Iterator[Fault]:
    """A loop has one way in and one way out, and something that can end it."""
    names: set[str] = set()
    bodies: list[tuple[LoopConfig, frozenset[str]]] = []
    owner = owners(subject.plan, subject.catalogue.kinds)
    for index, loop in enumerate(subject.plan.loops):
        field = f"loops[{index}]"
        if loop.id in names:
            reason = f"Two loops are called `{loop.id}`; ids must differ."
            fix = "Give one of them another id."
            yield Fault(code="duplicate_loop", field=field, reason=reason, fix=fix)
        names.add(loop.id)
        body = subject.course.body(loop)
        if not {*subject.course.begins(loop), loop.last} <= body:
            yield _broken(subject, loop, field)
            continue
        yield from _crossings(subject, loop, body, field)
        yield from _idle_rule(subject, loop, body, field, owner)
        for other, other_body in bodies:
            if body & other_body and not (body <= other_body or other_body <= body):
                reason = f"The loops `{other.id}` and `{loop.id}` overlap."
                fix = "Put one wholly into the other."
                node = subject.written(loop.first)
                yield Fault(code="broken_loop", node=node, field=field, reason=reason, fix=fix)
        bodies.append((loop, body))


def _broken(subject: Subject, loop: LoopConfig, field: str) -> Fault:
    """A loop whose last node does not follow its first one."""
    reason = f"No edges lead from `{loop.first}` to `{loop.last}`."
    fix = "Exchange `first` and `last`, or add the edges."
    if loop.last in subject.plan.groups:
        reason = f"`{loop.last}` is a group, and a loop ends with one node."
        fix = "End with a node behind the group."
    return Fault(code="broken_loop", node=loop.first, field=field, reason=reason, fix=fix)


def _crossings(
    subject: Subject, loop: LoopConfig, body: frozenset[str], field: str
) -> Iterator[Fault]:
    told: set[str] = set()
    for edge in subject.plan.edges:
        fault = _crossing(subject, edge, loop, body, field)
        if fault is not None and fault.reason not in told:
            told.add(fault.reason)
            yield fault


def _crossing(
    subject: Subject, edge: EdgeConfig, loop: LoopConfig, body: frozenset[str], field: str
) -> Fault | None:
    firsts = subject.course.begins(loop)
    enters = edge.target in body and edge.source not in body and edge.target not in firsts
    leaves_it = edge.source in body and edge.target not in body and edge.source != loop.last
    if not (enters or leaves_it):
        return None
    source, target = subject.written(edge.source), subject.written(edge.target)
    verb, only, way = ("enters", "first", "in") if enters else ("leaves", "last", "out")
    reason = f"The edge `{source}` → `{target}` {verb} the loop `{loop.id}`."
    fix = f"Only `{getattr(loop, only)}` can be its way {way}."
    node = target if enters else source
    return Fault(code="broken_loop", node=node, field=field, reason=reason, fix=fix)


def _idle_rule(
    subject: Subject,
    loop: LoopConfig,
    body: frozenset[str],
    field: str,
    owner: dict[str, str],
) -> Iterator[Fault]:
    """A stop rule that reads nothing which the loop changes says the same in every round."""
    if loop.until is None or any(isinstance(leaf, Routed) for leaf in leaves(loop.until)):
        return  # what a router reads, it alone knows
    fixed = set(subject.plan.values) | {"user_input", "lang", "request_id", "flow_type"}
    read = variables(loop.until)
    if read and all(name in fixed or owner.get(name, loop.last) not in body for name in read):
        reason = f"`until` of the loop `{loop.id}` reads nothing that its nodes change."
        fix = f"It ends by `max_rounds` only; read a value of {quoted(sorted(body))}."
        yield Fault(
            code="idle_stop_rule",
            severity="warning",
            node=subject.written(loop.last),
            field=f"{field}.until",
            reason=reason,
            fix=fix,
        )


def ends(subject: Subject) -> Iterator[Fault]:
    """Branches that run at the same time meet again, or the flow says whose text counts."""
    plan, course = subject.plan, subject.course
    if plan.output:
        return
    last = [node.id for node in plan.nodes if not course.after(node.id)]
    beside = course.beside(last)
    apart = list(dict.fromkeys(subject.written(i) for i in last if i in beside))
    if beside:
        who = quoted(apart) if len(apart) > 1 else f"The members of `{apart[0]}`"
        reason = f"{who} run at the same time and nothing joins them."
        fix = 'Add a node with an edge from each, or name the answer: "output": ["NODE", …].'
        yield Fault(
            code="missing_join",
            severity="warning",
            node=apart[0],
            field="edges",
            reason=reason,
            fix=fix,
        )
