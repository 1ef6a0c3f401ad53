"""The tasks: which arms do what, how often, at which sizes."""

import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

from agent_lab.flows.graph_configs import FlowConfig, get_flow_config
from agent_lab.providers.base import ProviderCall
from agent_lab.providers.local.scripted_provider import Reply, ScriptedProvider
from agent_lab.providers.provider_gateway import ProviderGateway
from orchestrator_peers import flows, hand_written, ours, plain, prompts
from orchestrator_peers.measuring import LANGGRAPH, OURS, OURS_RECORDED, PLAIN, Run, Task

THREE_ROLES = "three roles"
LONG_ANSWERS = f"three roles, {flows.LONG} words a turn"
CHALLENGE = "`challenge`, 1 round"
FAN_OUT = "branches and a join"
LOOP = "rounds of two roles"
CROWD = "runs at once"

Arms: TypeAlias = Callable[[ProviderGateway], Mapping[str, Run]]


class Extent(NamedTuple):
    """How much is measured."""

    rounds: int
    again: int
    """How often in a round the arms take turns where nothing grows: these ratios have an aim."""
    turns: int
    """In one timed part, at the least."""
    branches: tuple[int, ...] = (3, 10, 30, 100)
    loops: tuple[int, ...] = (1, 5, 10, 50)
    crowds: tuple[int, ...] = (1, 20, 200, 1000)


QUICK = Extent(rounds=3, again=1, turns=12, branches=(3, 10), loops=(1, 5), crowds=(1, 20))
FULL = Extent(rounds=15, again=4, turns=60)


def all_tasks(extent: Extent, outputs: Path) -> Iterator[Task]:
    """Those of a group follow each other, the smallest first.

    Args:
        extent: How much is measured.
        outputs: Folder of the records; it is emptied after every timed part.
    """
    make = partial(_task, extent.turns, outputs)
    yield make(THREE_ROLES, partial(_three_roles, outputs), 3)
    yield make(LONG_ANSWERS, partial(_three_roles, outputs), 3, script=flows.long_answer)
    yield make(CHALLENGE, partial(_challenge, outputs), 3)
    for count in extent.branches:
        yield make(FAN_OUT, partial(_fan_out, count), count + 1, size=count)
    for rounds in extent.loops:
        yield make(LOOP, partial(_loop, rounds), 2 * rounds, size=rounds)
    for count in extent.crowds:
        yield make(CROWD, crowd, 3, size=count, at_once=count)


def crowd(gateway: ProviderGateway) -> dict[str, Run]:
    """Three roles, by hand and ours."""
    return {
        LANGGRAPH: hand_written.chain(prompts.asking(gateway), prompts.three_roles()),
        OURS: ours.bare(gateway, FlowConfig.model_validate(flows.three_roles())),
    }


def _three_roles(outputs: Path, gateway: ProviderGateway) -> dict[str, Run]:
    flow = FlowConfig.model_validate(flows.three_roles())
    return _chain(outputs, gateway, flow, prompts.three_roles())


def _challenge(outputs: Path, gateway: ProviderGateway) -> dict[str, Run]:
    flow = get_flow_config("challenge")
    return _chain(outputs, gateway, flow, prompts.challenge(flow))


def _chain(
    outputs: Path, gateway: ProviderGateway, flow: FlowConfig, roles: Sequence[prompts.Role]
) -> dict[str, Run]:
    ask = prompts.asking(gateway)
    return {
        LANGGRAPH: hand_written.chain(ask, roles),
        OURS: ours.bare(gateway, flow),
        OURS_RECORDED: ours.recorded(gateway, flow, outputs),
        PLAIN: plain.chain(ask, roles),
    }


def _fan_out(count: int, gateway: ProviderGateway) -> dict[str, Run]:
    return {
        LANGGRAPH: hand_written.fan_out(prompts.asking(gateway), count),
        OURS: ours.bare(gateway, FlowConfig.model_validate(flows.fan_out(count))),
    }


def _loop(rounds: int, gateway: ProviderGateway) -> dict[str, Run]:
    return {
        LANGGRAPH: hand_written.loop(prompts.asking(gateway), rounds),
        OURS: ours.bare(gateway, FlowConfig.model_validate(flows.loop(rounds))),
    }


def _task(
    least_turns: int,
    outputs: Path,
    group: str,
    arms: Arms,
    turns: int,
    *,
    size: int = 0,
    at_once: int = 0,
    script: Callable[[ProviderCall], Reply] = flows.short_answer,
) -> Task:
    provider = ScriptedProvider(script)
    runs, together = math.ceil(least_turns / turns), at_once or 1
    return Task(
        group=group,
        arms=arms(ProviderGateway.scripted(provider)),
        provider=provider,
        turns=turns,
        runs=together * math.ceil(runs / together),
        size=size,
        at_once=at_once,
        clean=partial(shutil.rmtree, outputs, ignore_errors=True),
    )
