"""A flow as a picture: Mermaid text for documentation, chats and terminals. Pure.

Names and conditions are other people's text. They stand between double quotes only, and all but
letters, digits and a few harmless signs are entities: nothing in them can be Mermaid or HTML.
"""

import json
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import count
from typing import NamedTuple

from agent_lab.contracts import Language
from agent_lab.flows.conditions import (
    AnyCondition,
    Combination,
    Comparison,
    Routed,
    Value,
    Variable,
)
from agent_lab.flows.course import Course
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import LoopConfig, NodeConfig
from agent_lab.flows.inputs import InputRef
from agent_lab.flows.prompt_templates import in_language

LONGEST_LABEL = 160
"""Characters of a name or a condition; more is cut."""
LONGEST_CONSTANT = 40

WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "start": "start",
        "end": "end",
        "else": "else",
        "until": "until",
        "round": "rounds",
        "retry": "tries",
        "flow": "flow",
        "and": "and",
        "or": "or",
        "not": "not",
        "contains": "contains",
    },
    "es": {
        "start": "inicio",
        "end": "fin",
        "else": "si no",
        "until": "hasta",
        "round": "rondas",
        "retry": "intentos",
        "flow": "flujo",
        "and": "y",
        "or": "o",
        "not": "no",
        "contains": "contiene",
    },
}
SIGNS = {"eq": "=", "ne": "≠", "gt": ">", "gte": "≥", "lt": "<", "lte": "≤"}
_WORDS_OF_JSON = frozenset({"true", "false", "null"})
_BREAK = "<br/>"
_PLAIN = frozenset(" _=≠≤≥→·…,'?!")
"""Signs that mean nothing to Mermaid, HTML or Markdown within a quoted label."""


class _Frame(NamedTuple):
    """A loop, with the nodes that it holds."""

    loop: LoopConfig
    body: frozenset[str]


def mermaid(plan: FlowPlan, lang: Language = "en") -> str:
    """Draw a flow as a Mermaid flowchart.

    Roles are rounded, nodes that ask no model are hexagons, flows within the flow have double
    sides; a loop is a frame around its nodes, with a dotted way back.

    Args:
        plan: The flow; one that cannot run is drawn as far as it goes.
        lang: The language of names and words.
    """
    return "\n".join(_Drawing(plan, lang).lines()) + "\n"


def described(condition: AnyCondition, lang: Language = "en") -> str:
    """A condition as a short text for people: `open_issue_count = 0 and round > 1`."""
    words = WORDS[lang]
    if isinstance(condition, Routed):
        return f"{condition.router} → {condition.to}"
    if isinstance(condition, Comparison):
        sign = SIGNS.get(condition.op, words["contains"])
        return f"{_operand(condition.left)} {sign} {_operand(condition.right)}"
    parts = [_part(part, condition, lang) for part in condition.of]
    if condition.op == "not":
        return f"{words['not']} ({_joined(parts, words['or'])})"
    return _joined(parts, words[condition.op])


def loop_title(loop: LoopConfig, lang: Language = "en") -> str:
    """A loop as its frame is called: `rounds ≤ 3 until open_issue_count = 0`."""
    words, bound = WORDS[lang], loop.max_rounds
    most = f"{{{bound.input}}}" if isinstance(bound, InputRef) else bound
    title = f"{words[loop.counts]} ≤ {most}"
    return (
        title if loop.until is None else f"{title} {words['until']} {described(loop.until, lang)}"
    )


class _Drawing:
    """The lines of one picture."""

    def __init__(self, plan: FlowPlan, lang: Language) -> None:
        self._plan, self._lang = plan, lang
        self._words = WORDS[lang]
        self._nodes = {node.id: node for node in plan.nodes}
        course = Course(plan)
        frames = [_Frame(loop, course.body(loop)) for loop in plan.loops]
        # Inner frames first: a node stands in the first one that holds it.
        self._frames = sorted((f for f in frames if f.body), key=lambda frame: len(frame.body))
        self._entries = [entry for entry in course.entries if entry in self._nodes]
        self._numbers = count()

    def lines(self) -> Iterator[str]:
        """Boxes first, then the ways between them."""
        yield "flowchart TD"
        yield f'    begin(("{escaped(self._words["start"])}"))'
        drawn: set[str] = set()
        for node_id in self._nodes:
            if node_id not in drawn:
                yield from self._boxes(self._outermost(node_id), node_id, drawn, "    ")
        yield f'    finish(("{escaped(self._words["end"])}"))'
        yield from (f"    begin --> n_{entry}" for entry in self._entries)
        yield from self._ways()

    def _outermost(self, node_id: str) -> int:
        """Index of the largest frame that holds a node; -1: none does."""
        indices = [i for i, frame in enumerate(self._frames) if node_id in frame.body]
        # Frames that only overlap are a fault of the flow; they are drawn one beside the other.
        while indices and not self._frames[indices[0]].body <= self._frames[indices[-1]].body:
            indices.pop()
        return indices[-1] if indices else -1

    def _boxes(self, index: int, node_id: str, drawn: set[str], indent: str) -> Iterator[str]:
        """One node, or the frame that holds it with all that is in it."""
        if index < 0:
            drawn.add(node_id)
            yield indent + self._box(self._nodes[node_id])
            return
        frame = self._frames[index]
        title = escaped(loop_title(frame.loop, self._lang))
        yield f'{indent}subgraph l_{next(self._numbers)}["{title}"]'
        for inner in self._nodes:
            if inner in frame.body and inner not in drawn:
                yield from self._boxes(self._within(inner, index), inner, drawn, indent + "    ")
        yield f"{indent}end"

    def _within(self, node_id: str, outer: int) -> int:
        """Index of the largest frame inside another one that holds a node; -1: none does."""
        around = self._frames[outer].body
        inside = (
            i for i, f in enumerate(self._frames[:outer]) if node_id in f.body and f.body <= around
        )
        return max(inside, default=-1)

    def _box(self, node: NodeConfig) -> str:
        name = _flat(in_language(node.name, self._lang)) or node.id
        label = escaped(name)
        if name.lower().replace(" ", "_") != node.id:
            label += _BREAK + escaped(node.id)
        left, right = ("(", ")") if node.is_role else ("{{", "}}")
        if node.type == "flow":
            left, right = "[[", "]]"
            label += _BREAK + escaped(f"{self._words['flow']} {node.config.get('flow', '')}")
        return f'n_{node.id}{left}"{label}"{right}'

    def _ways(self) -> Iterator[str]:
        has_conditions = {e.source for e in self._plan.edges if e.condition is not None}
        for edge in self._plan.edges:
            if edge.source in self._nodes and edge.target in self._nodes:
                text = self._words["else"] if edge.source in has_conditions else ""
                if edge.condition is not None:
                    text = described(edge.condition, self._lang)
                yield f"    n_{edge.source} -->{_on_way(text)} n_{edge.target}"
        for loop in self._plan.loops:
            for first in self._plan.members_of(loop.first):
                if first in self._nodes and loop.last in self._nodes:
                    yield f"    n_{loop.last} -.-> n_{first}"
        for node_id in dict.fromkeys(self._plan.terminal_nodes()):
            text = self._words["else"] if node_id in has_conditions else ""
            yield f"    n_{node_id} -->{_on_way(text)} finish"


def escaped(text: str) -> str:
    """A text as it may stand between the quotes of a label: one line, nothing with a meaning."""
    flat = _flat(text)
    cut = flat if len(flat) <= LONGEST_LABEL else flat[: LONGEST_LABEL - 1] + "…"
    return "".join(c if c.isalnum() or c in _PLAIN else f"#{ord(c)};" for c in cut)


def _flat(text: str) -> str:
    """A text in one line, without signs that cannot be seen."""
    visible = (" " if c.isspace() else c for c in text)
    return " ".join("".join(c for c in visible if unicodedata.category(c)[0] != "C").split())


def _on_way(text: str) -> str:
    return f'|"{escaped(text)}"|' if text else ""


def _joined(parts: Iterable[str], word: str) -> str:
    return f" {word} ".join(parts)


def _part(part: AnyCondition, around: Combination, lang: Language) -> str:
    text = described(part, lang)
    is_mixed = isinstance(part, Combination) and part.op not in ("not", around.op)
    return f"({text})" if is_mixed and len(around.of) > 1 else text


def _operand(operand: Variable | Value) -> str:
    if isinstance(operand, Variable):
        return operand.var
    is_word = isinstance(operand, str) and operand.isidentifier() and operand not in _WORDS_OF_JSON
    text = str(operand) if is_word else json.dumps(operand, ensure_ascii=False)
    return text if len(text) <= LONGEST_CONSTANT else text[: LONGEST_CONSTANT - 1] + "…"
