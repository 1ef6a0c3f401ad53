"""What it takes to make a flow ready for its first run, and what its second run finds."""

import gc
import json
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from agent_lab.flows.flow_plan import plan_flow
from agent_lab.flows.flow_validator import check_flow
from agent_lab.flows.graph_configs import FLOW_CONFIGS, FlowConfig
from agent_lab.orchestrator.graph_builder import GraphBuilder
from agent_lab.providers.provider_gateway import ProviderGateway
from orchestrator_peers import flows, hand_written, prompts
from orchestrator_peers.measuring import Figures

READ, PLAN, CATALOGUE, CHECK = "read", "plan", "catalogue", "check"
FIRST, SECOND = "first run", "second run"
"""What a run of a new builder pays before its first step: all but the reading, and compiling."""
BY_HAND = "by hand"
"""A graph of as many nodes, one after the other, written and compiled by hand."""
SECOND_RUNS = 300
"""One is too short to be timed."""


class Definition(NamedTuple):
    """A flow that is built."""

    name: str
    text: str
    """As JSON."""
    nodes: int
    """With the members of its groups."""


def definitions(branches: tuple[int, ...]) -> Iterator[Definition]:
    """The shipped flows, then fan-outs of some sizes."""
    texts = {name: flows.shipped(name) for name in FLOW_CONFIGS}
    texts |= {f"fan-out, {count}": json.dumps(flows.fan_out(count)) for count in branches}
    for name, text in texts.items():
        yield Definition(name, text, len(plan_flow(FlowConfig.model_validate_json(text)).nodes))


def measure_building(built: Mapping[str, Definition], figures: Figures) -> None:
    """Build every flow once, each with its like by hand."""
    ask = prompts.asking(ProviderGateway.scripted(flows.short_answer))
    said = prompts.three_roles()[0].prompt
    for name, definition in built.items():
        _measure(name, definition.text, figures)
        roles = [prompts.Role(f"role{number}", said) for number in range(definition.nodes)]
        by_hand = _cpu_s(partial(hand_written.compiled_chain, ask, roles))
        figures.add(name, BY_HAND, by_hand)


def _measure(name: str, text: str, figures: Figures) -> None:
    builder, other = GraphBuilder(), GraphBuilder()
    # A flow keeps its digest: every step that computes it gets a flow of its own.
    planned, prepared, checked = (FlowConfig.model_validate_json(text) for _ in range(3))
    plan = plan_flow(checked)

    def again() -> None:
        for _ in range(SECOND_RUNS):
            builder.prepare(prepared)

    figures.add(name, READ, _cpu_s(lambda: FlowConfig.model_validate_json(text)))
    figures.add(name, PLAN, _cpu_s(lambda: plan_flow(planned)))
    figures.add(name, CATALOGUE, _cpu_s(other.catalogue))
    catalogue = other.catalogue()
    figures.add(name, CHECK, _cpu_s(lambda: check_flow(plan, catalogue)))
    figures.add(name, FIRST, _cpu_s(lambda: builder.prepare(prepared)))
    figures.add(name, SECOND, _cpu_s(again) / SECOND_RUNS)


def _cpu_s(step: Callable[[], object]) -> float:
    gc.collect()
    gc.disable()
    try:
        before = time.process_time()
        step()
        return time.process_time() - before
    finally:
        gc.enable()
