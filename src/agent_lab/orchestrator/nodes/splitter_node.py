"""Cuts a text into parts, one for each of the nodes that then work at the same time."""

import re
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import override

from agent_lab.flows.catalogue import NodeOptions
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import Name, NodeConfig
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate
from agent_lab.orchestrator.node_types import NodeFunction, node
from agent_lab.orchestrator.prompts import fenced
from agent_lab.orchestrator.run_context import RunContext

MOST_PARTS = 8
_CUT = {"paragraph": re.compile(r"\n\s*\n"), "line": re.compile(r"\n")}


class SplitterOptions(NodeOptions):
    """What is cut, and where."""

    text: Name | None = None
    """The node whose text is cut; None: the task."""
    by: Literal["paragraph", "line"] = "paragraph"
    parts: Annotated[int, Field(ge=1, le=MOST_PARTS)] = 2
    """How many parts there are; neighbouring pieces stay together, parts are about equally long."""

    @override
    def nodes_named(self) -> dict[str, tuple[str, ...]]:
        """The node whose text is cut."""
        return {} if self.text is None else {"text": (self.text,)}


@node(
    "splitter",
    title={"en": "Splitter", "es": "Divisor"},
    description={
        "en": "Cuts a text into parts; prompts ask for `<node>_part_1` and so on.",
        "es": "Divide un texto en partes; las instrucciones piden `<node>_part_1`, etc.",
    },
    prompt="none",
    options=SplitterOptions,
    values={
        "parts": "how many parts are not empty",
        **{f"part_{i}": f"part {i}, fenced" for i in range(1, MOST_PARTS + 1)},
    },
)
def splitter_node(config: NodeConfig, flow: FlowPlan) -> NodeFunction:
    """Make the node."""
    options = SplitterOptions.model_validate(config.config)

    async def cut(state: AgentState, run: RunContext) -> StateUpdate:
        text = state["user_input"] if options.text is None else state["outputs"].get(options.text)
        parts = split(text or "", options.by, options.parts)
        named = {
            f"{config.id}_part_{i}": fenced("part", part, run) for i, part in enumerate(parts, 1)
        }
        filled = sum(bool(part) for part in parts)
        return {
            "outputs": {config.id: text or ""},
            "values": {**named, f"{config.id}_parts": filled},
        }

    return cut


def split(text: str, by: Literal["paragraph", "line"], parts: int) -> list[str]:
    """Cut a text at its paragraphs or lines into parts of about equal length; some may be empty."""
    pieces = [piece for piece in _CUT[by].split(text.strip()) if piece.strip()]
    joint = "\n\n" if by == "paragraph" else "\n"
    total = sum(map(len, pieces)) or 1
    ends, length, cuts = [total * i / parts for i in range(1, parts)], 0, [0]
    for index, piece in enumerate(pieces):
        while len(cuts) <= len(ends) and length + len(piece) / 2 > ends[len(cuts) - 1]:
            cuts.append(index)
        length += len(piece)
    cuts += [len(pieces)] * (parts + 1 - len(cuts))
    return [joint.join(pieces[start:end]) for start, end in pairwise(cuts)]
