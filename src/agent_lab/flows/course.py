"""Where a run goes after each node: edges, joins that survive a lost branch, loops. Pure.

Edges make no circle, so of every node it can be said whether it has run in this pass of its
loops, may still run, or cannot run any more (it is dead: no edge that was taken leads to it). A
join runs once no node before it may still run. That is dead-path elimination, as business process
engines do it (F. Leymann, D. Roller, "Production Workflow", 2000).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from agent_lab.flows.conditions import AnyCondition
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import EdgeConfig, LoopConfig

Routes = Mapping[str, tuple[str, ...] | None]
"""By node: which nodes follow it after its last pass; None or absent: not yet passed."""


class Move(NamedTuple):
    """What follows a node."""

    targets: tuple[str, ...]
    """Nodes to wake; a join among them decides itself whether its time has come."""
    taken: tuple[str, ...]
    """Those of them to which an edge, or a loop's way back, was taken."""
    routes: dict[str, tuple[str, ...] | None]
    rounds: dict[str, int]
    stops: dict[str, str]
    """By loop that has ended: why."""
    pause_s: float = 0.0


class Course:
    """The ways through one flow.

    Args:
        plan: A flow whose edges make no circle and whose loops are well formed.
    """

    def __init__(self, plan: FlowPlan) -> None:
        self.entries = plan.members_of(plan.entry_point)
        self._members_of = plan.members_of
        self._edges: dict[str, list[EdgeConfig]] = {n.id: [] for n in plan.nodes}
        self._before: dict[str, list[str]] = {n.id: [] for n in plan.nodes}
        for edge in plan.edges:
            if edge.source in self._edges and edge.target in self._before:
                self._edges[edge.source].append(edge)
                self._before[edge.target].append(edge.source)
        self._ways = {node_id: _ways(edges) for node_id, edges in self._edges.items()}
        self._loops = [(loop, self.body(loop)) for loop in plan.loops]
        # Inner loops first: they end before the loop around them.
        self._loops.sort(key=lambda pair: len(pair[1]))
        self.has_loops = bool(self._loops)
        self.joins = {i for i, before in self._before.items() if len(set(before)) > 1}

    def before(self, node_id: str) -> list[str]:
        """The nodes from which an edge leads to a node."""
        return list(dict.fromkeys(self._before[node_id]))

    def after(self, node_id: str) -> list[str]:
        """The nodes to which an edge leads from a node."""
        return list(dict.fromkeys(edge.target for edge in self._edges[node_id]))

    def reached_from(self, *starts: str) -> set[str]:
        """Some nodes, and all that can follow them without going back."""
        return _closure(set(starts), self.after)

    def leading_to(self, end: str) -> set[str]:
        """A node, and all that can come before it without going back."""
        return _closure({end}, self.before)

    def begins(self, loop: LoopConfig) -> tuple[str, ...]:
        """The nodes with which each round begins: one, or the members of a group."""
        return self._members_of(loop.first)

    def body(self, loop: LoopConfig) -> frozenset[str]:
        """The nodes that run again."""
        firsts = self.begins(loop)
        if not {*firsts, loop.last} <= set(self._edges):
            return frozenset()
        return frozenset(self.reached_from(*firsts) & self.leading_to(loop.last))

    def loops_of(self, node_id: str) -> list[LoopConfig]:
        """The loops that hold a node, the innermost first."""
        return [loop for loop, body in self._loops if node_id in body]

    def in_one_loop(self, one: str, other: str) -> bool:
        """Whether some loop holds both nodes."""
        return any(one in body and other in body for _, body in self._loops)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The nodes, each after all that lead to it; those of a circle, and behind it, lack."""
        waiting = {node_id: len(set(before)) for node_id, before in self._before.items()}
        order = [node_id for node_id, count in waiting.items() if not count]
        for node_id in order:  # grows as it is walked
            for after in self.after(node_id):
                waiting[after] -= 1
                if not waiting[after]:
                    order.append(after)
        return tuple(order)

    def beside(self, nodes: Iterable[str]) -> set[str]:
        """Those of some nodes that can run in the same pass as another one of them."""
        looked_at, found = set(nodes), set[str]()
        for begun in self._forks() if len(looked_at) > 1 else ():
            branch = self._branches(begun)
            both = looked_at & branch.keys()
            if len({branch[node_id] for node_id in both}) > 1:
                found |= both
            if found == looked_at:
                break
        return found

    def may_both_run(self, one: str, other: str) -> bool:
        """Whether two nodes can run in the same pass: a fork leads to both, by ways of their own.

        Of the ways that part behind a node only one is taken, unless it is a fork itself.
        """
        return self.beside((one, other)) == {one, other}

    def _forks(self) -> Iterator[tuple[str, ...]]:
        """The nodes that are begun at the same time, wherever a run takes several ways."""
        if len(self.entries) > 1:
            yield self.entries
        for ways in self._ways.values():
            yield from (way.targets for way in ways if len(way.targets) > 1)

    def _branches(self, begun: Iterable[str]) -> dict[str, str]:
        """By node that follows a fork: the node behind it through which all its ways lead.

        Two nodes of one branch do not both run because of this fork: where they part, a node may
        choose. Where branches meet, a new one begins.
        """
        heads = set(begun)
        reached = _closure(heads, self.after)
        branch: dict[str, str] = {}
        for node_id in sorted(reached & self._place.keys(), key=self._place.__getitem__):
            ways = {branch[i] for i in self._before[node_id] if i in branch}
            meets = node_id in heads or len(ways) != 1
            branch[node_id] = node_id if meets else ways.pop()
        return branch

    @cached_property
    def _place(self) -> dict[str, int]:
        return {node_id: index for index, node_id in enumerate(self.order)}

    def passes(self, node_id: str) -> int:
        """How often a node runs at the most."""
        passes = 1
        for loop in self.loops_of(node_id):
            passes *= loop.max_rounds if isinstance(loop.max_rounds, int) else 1
        return passes

    @cached_property
    def most_steps(self) -> int:
        """A bound of the steps that a run takes: passes, and joins that are woken too early."""
        passes = sum(self.passes(node_id) for node_id in self._edges)
        return 10 + passes * (2 + len(self.joins))

    def is_ready(self, node_id: str, routes: Routes) -> bool:
        """Whether a join's time has come: a branch has arrived, and none may still arrive."""
        if node_id not in self.joins:
            return True
        if routes.get(node_id) is not None:
            return False
        arrived, dead = False, set[str]()
        for source in self.before(node_id):
            taken = routes.get(source)
            if taken is None and not self._is_dead(source, routes, dead):
                return False
            arrived = arrived or node_id in (taken or ())
        return arrived

    def move(
        self,
        node_id: str,
        routes: Routes,
        rounds: Mapping[str, int],
        holds: Callable[[AnyCondition], bool],
        hard_stop: str = "",
    ) -> Move:
        """Decide what follows a node that has just run.

        Args:
            node_id: The node.
            routes: The ways that were taken before.
            rounds: By loop: how many of its rounds are complete.
            holds: Whether a condition is true now.
            hard_stop: Why no loop may begin another round; empty: nothing forbids it.
        """
        change = Move((), (), {}, {}, {})
        for index, (loop, body) in enumerate(self._loops):
            if node_id not in (loop.first, loop.last) or node_id not in body:
                continue
            done = rounds.get(loop.id, 0) + (node_id == loop.last)
            stop = _stop(loop, done, node_id, holds, hard_stop)
            if not stop and node_id == loop.last:
                return _back(loop, self.begins(loop), body, done, change)
            if stop:
                change.stops[loop.id] = stop
                # It may end in the midst of a loop within it, which then begins anew, too.
                inner = (other.id for other, part in self._loops[: index + 1] if part <= body)
                change.rounds.update(dict.fromkeys(inner, 0))
                change.routes[node_id] = ()
                node_id = loop.last  # its edges are those that leave the loop
        targets = self._taken(node_id, holds)
        change.routes[node_id] = targets
        return change._replace(targets=self._woken(node_id, targets), taken=targets)

    def _taken(self, node_id: str, holds: Callable[[AnyCondition], bool]) -> tuple[str, ...]:
        """The targets of the first way whose condition holds, else of the one without."""
        otherwise: tuple[str, ...] = ()
        for way in self._ways[node_id]:
            if way.condition is None:
                otherwise = way.targets
            elif holds(way.condition):
                return way.targets
        return otherwise

    def _woken(self, node_id: str, targets: tuple[str, ...]) -> tuple[str, ...]:
        """The targets, and the joins that may have waited for a branch that is lost now."""
        lost = [i for i in self.after(node_id) if i not in targets]
        joins = {i for node in lost for i in self.reached_from(node)} & self.joins
        return (*dict.fromkeys(targets), *sorted(joins - set(targets)))

    def _is_dead(self, node_id: str, routes: Routes, dead: set[str]) -> bool:
        """Whether no edge that was taken, or may be, leads to a node that has not run.

        Args:
            node_id: The node.
            routes: The ways that were taken before.
            dead: The nodes of which that is known already; those that are found out are added.
        """
        frontier, looked_at = [node_id], {node_id}
        while frontier:
            here = frontier.pop()
            if here in self.entries:
                return False
            for source in self._before[here]:
                taken = routes.get(source)
                if taken is not None and here in taken:
                    return False
                if taken is None and source not in looked_at and source not in dead:
                    looked_at.add(source)
                    frontier.append(source)
        dead |= looked_at
        return True


class _Way(NamedTuple):
    """Edges that are taken together."""

    condition: AnyCondition | None
    targets: tuple[str, ...]


def _ways(edges: Iterable[EdgeConfig]) -> list[_Way]:
    """The edges of a node by their conditions, in order: those to a group have one condition."""
    ways: list[_Way] = []
    for edge in edges:
        for index, way in enumerate(ways):
            if way.condition == edge.condition:
                targets = dict.fromkeys((*way.targets, edge.target))
                ways[index] = way._replace(targets=tuple(targets))
                break
        else:
            ways.append(_Way(edge.condition, (edge.target,)))
    return ways


def _stop(
    loop: LoopConfig,
    done: int,
    node_id: str,
    holds: Callable[[AnyCondition], bool],
    hard_stop: str,
) -> str:
    """Why a loop ends after a node; empty: it does not."""
    if hard_stop and done:
        return hard_stop
    if done and loop.until is not None and holds(loop.until):
        return loop.reason
    if node_id == loop.last and done >= _bound(loop):
        return "completed" if loop.until is None else "max_rounds"
    return ""


def _bound(loop: LoopConfig) -> int:
    return loop.max_rounds if isinstance(loop.max_rounds, int) else 1


def _back(
    loop: LoopConfig, firsts: tuple[str, ...], body: frozenset[str], done: int, change: Move
) -> Move:
    return Move(
        targets=firsts,
        taken=firsts,
        routes={**change.routes, **dict.fromkeys(body, None)},
        rounds={**change.rounds, loop.id: done},
        stops=change.stops,
        pause_s=loop.backoff_s * 2 ** (done - 1),
    )


def _closure(start: set[str], ways: Callable[[str], list[str]]) -> set[str]:
    reached: set[str] = set()
    frontier = start
    while frontier:
        reached |= frontier
        frontier = {end for node in frontier for end in ways(node)} - reached
    return reached
