"""What can be wrong with a flow, in a form that a builder can jump to and a person can act on."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from heapq import nsmallest
from typing import Any, Literal

from typing_extensions import override

from agent_lab.contracts import Contract
from agent_lab.flows.catalogue import Catalogue
from agent_lab.flows.course import Course
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import FlowConfig

MOST_COMPARED = 500
"""Names that one wrong name is compared with; of more, those that begin as it does."""
MOST_LISTED = 20
"""Names that one sentence lists."""


class Fault(Contract):
    """One thing that is wrong."""

    code: str
    """Stable name of the kind of fault."""
    severity: Literal["error", "warning"] = "error"
    """A flow with an error cannot run; a warning says what it may not have meant."""
    node: str = ""
    """The node, as the flow names it; empty: the flow itself."""
    field: str = ""
    """Where in the node, or in the flow: `prompt_template.en`, `edges[2].condition`."""
    reason: str
    """One sentence."""
    fix: str = ""
    """What to do about it."""

    @override
    def __str__(self) -> str:
        """One line for people."""
        where = ", ".join(part for part in (self.node and f"`{self.node}`", self.field) if part)
        said = f"{self.reason} {self.fix}".strip()
        return f"{where}: {said}" if where else said


@dataclass(frozen=True)
class Subject:
    """A flow that is looked at, from every side that a rule needs."""

    flow: FlowConfig
    """As people wrote it: groups are one node."""
    plan: FlowPlan
    """As it would run."""
    course: Course
    """The ways through the plan; None of its loops need be well formed."""
    catalogue: Catalogue

    def written(self, node_id: str) -> str:
        """The node of the flow that a node of the plan was made of."""
        return self._groups.get(node_id, node_id)

    @cached_property
    def node_names(self) -> frozenset[str]:
        """Every id and older id of a node or a group."""
        ids = {node.id for node in (*self.flow.nodes, *self.plan.nodes)}
        return frozenset(ids | set(self.plan.aliases) | set(self.plan.groups))

    @cached_property
    def plan_ids(self) -> frozenset[str]:
        """The ids of the nodes as they would run."""
        return frozenset(node.id for node in self.plan.nodes)

    @cached_property
    def _groups(self) -> dict[str, str]:
        return {i: group for group, members in self.plan.groups.items() for i in members}


def near(name: str, known: Iterable[str]) -> str:
    """What may have been meant, as a sentence."""
    names = set(known)
    listed = sorted(names if len(names) <= MOST_COMPARED else _alike(name, names))
    close = get_close_matches(name, listed, n=3, cutoff=0.5)
    close += [k for k in listed if k not in close and _shares_words(name, k)][: 3 - len(close)]
    if close:
        return f"Did you mean {quoted(close)}?"
    if not names:
        return "There are none."
    return f"Known are {_listed(nsmallest(MOST_LISTED, names), len(names))}."


def quoted(names: Iterable[str]) -> str:
    """Names as a list in a sentence; of very many, the first ones and how many more there are."""
    found = list(names)
    return _listed(found[:MOST_LISTED], len(found)) or "none"


def _listed(names: Sequence[str], count: int) -> str:
    more = f", and {count - len(names)} more" if count > len(names) else ""
    return ", ".join(f"`{name}`" for name in names) + more


def input_refs(part: Any, field: str) -> Iterator[tuple[str, str]]:
    """The inputs that a configuration refers to: field and name."""
    if isinstance(part, dict):
        if set(part) == {"input"} and isinstance(part["input"], str):
            yield field, part["input"]
            return
        for name, value in part.items():
            yield from input_refs(value, f"{field}.{name}")
    if isinstance(part, (list, tuple)):
        for index, value in enumerate(part):
            yield from input_refs(value, f"{field}[{index}]")


def field_of(place: Sequence[Any]) -> str:
    """A place in JSON, as faults name it: `edges[2].condition`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return "".join(parts).removeprefix(".")


def _alike(name: str, known: Iterable[str]) -> list[str]:
    """Some of very many names: those that begin as a name does, and are about as long."""
    alike = (k for k in known if k[:2] == name[:2] and abs(len(k) - len(name)) <= 3)
    return nsmallest(MOST_COMPARED, alike)


def _shares_words(name: str, known: str) -> bool:
    """`security_output` is near `security_expert_output`, however long the rest."""
    words = name.split("_")
    return len(words) > 1 and set(words) <= set(known.split("_"))
