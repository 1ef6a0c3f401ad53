"""What is run: as a flow of ours, and as a graph by hand."""

import math
from collections.abc import Callable, Iterator
from functools import cache, partial
from random import Random
from typing import NamedTuple, TypeAlias

from orchestrator_peers import flows, prompts
from orchestrator_peers.flows import SECRET
from orchestrator_peers.measuring import Run
from orchestrator_peers.prompts import Ask, Outputs, Role

from agent_lab.contracts import JsonObject
from agent_lab.deliberation.context import fence
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.providers.base import ProviderCall
from durability_peers import graphs
from durability_peers.graphs import Saver

PIECES, PIECE = 8, 124
"""Of an answer, and characters of each: passing on pieces, which all arms do, hides little."""
WORDS = [
    "queue",
    "full",
    "block",
    "refuse",
    "caller",
    "retry",
    "later",
    "limit",
    "burst",
    "drop",
    "oldest",
    "newest",
    "signal",
    "pressure",
    "upstream",
    "buffer",
    "memory",
    "latency",
    "deadline",
    "budget",
    "fair",
    "shared",
    "service",
    "answer",
    "error",
    "measure",
]
BRANCHES = 30
SPEAKERS = ("pro", "con", "sceptic", "judge")
ROUNDS = 3

THREE_TURNS = "three turns, {} at once"
FAN_OUT = f"{BRANCHES} branches and a join"
DEBATE = f"{len(SPEAKERS)} roles, {ROUNDS} rounds"

ByHand: TypeAlias = Callable[[Ask, Saver], Run]


class Workload(NamedTuple):
    """One thing that every arm does."""

    name: str
    flow: FlowConfig
    by_hand: ByHand
    turns: int
    """Of one run."""
    at_once: int
    """Runs that are begun together."""
    runs: int
    """In one timed part."""
    rounds: int


class Extent(NamedTuple):
    """How much is measured."""

    turns: int
    """In one timed part, at the least."""
    rounds: int
    crowds: tuple[int, ...] = (20, 1, 200)
    rounds_of_crowds: tuple[int, ...] = (25, 10, 5)
    sized_runs: int = 600
    """For the bytes of a run."""


QUICK = Extent(turns=30, rounds=1, crowds=(20, 1), rounds_of_crowds=(2, 1), sized_runs=200)
FULL = Extent(turns=120, rounds=25)


def answer(call: ProviderCall) -> str:
    """About 1 kB in a few pieces."""
    return _answer(call.role)


@cache
def _answer(role: str) -> str:
    # Words in some order, as in a real text: to look for a monotonous one is dearer than that.
    order = Random(role)  # noqa: S311 - nothing secret
    pieces = ("_".join(order.choices(WORDS, k=PIECE))[:PIECE] for _ in range(PIECES))
    return " ".join(pieces)


def workloads(extent: Extent) -> Iterator[Workload]:
    """All of them; the first one is the one of most gates."""
    make = partial(_workload, extent.turns)
    three = FlowConfig.model_validate(flows.three_roles())
    for count, rounds in zip(extent.crowds, extent.rounds_of_crowds, strict=True):
        yield make(THREE_TURNS.format(count), three, _chain, 3, rounds, at_once=count)
    branches = FlowConfig.model_validate(flows.fan_out(BRANCHES))
    yield make(FAN_OUT, branches, _fan_out, BRANCHES + 1, extent.rounds)
    debate = FlowConfig.model_validate(_debate())
    yield make(DEBATE, debate, _rounds, len(SPEAKERS) * ROUNDS, extent.rounds)


def _workload(
    least_turns: int,
    name: str,
    flow: FlowConfig,
    by_hand: ByHand,
    turns: int,
    rounds: int,
    *,
    at_once: int = 1,
) -> Workload:
    runs = at_once * math.ceil(least_turns / turns / at_once)
    return Workload(name, flow, by_hand, turns, at_once, runs, rounds)


def _chain(ask: Ask, saver: Saver) -> Run:
    return graphs.chain(ask, prompts.three_roles(), saver)


def _fan_out(ask: Ask, saver: Saver) -> Run:
    return graphs.fan_out(ask, *prompts.branches(BRANCHES), saver)


def _rounds(ask: Ask, saver: Saver) -> Run:
    return graphs.rounds(ask, _speakers(), ROUNDS, saver)


def _debate() -> JsonObject:
    """Each reads the last text of the one before, the first that of the last."""
    nodes = [
        {"id": name, "prompt_template": f"{{{before}_output}}\n\n# Your role: {name}"}
        for before, name in _pairs()
    ]
    pairs = zip(SPEAKERS, SPEAKERS[1:], strict=False)
    return {
        "name": "debate_in_rounds",
        "entry_point": SPEAKERS[0],
        "nodes": nodes,
        "edges": [{"source": source, "target": target} for source, target in pairs],
        "loops": [
            {"id": "rounds", "first": SPEAKERS[0], "last": SPEAKERS[-1], "max_rounds": ROUNDS}
        ],
    }


def _speakers() -> list[Role]:
    """Those of `_debate`."""

    def prompt(before: str, name: str, task: str, outputs: Outputs) -> str:
        said = _fenced(f"{before}_output", outputs.get(before, f"({before} gave no answer.)"))
        return f"# Task\n\n{task}\n\n{said}\n\n# Your role: {name}"

    return [Role(name, partial(prompt, before, name)) for before, name in _pairs()]


def _pairs() -> Iterator[tuple[str, str]]:
    """Each speaker after the one that it reads."""
    return zip((SPEAKERS[-1], *SPEAKERS), SPEAKERS, strict=False)


@cache
def _fenced(kind: str, text: str) -> str:
    return fence(kind, text, SECRET)
