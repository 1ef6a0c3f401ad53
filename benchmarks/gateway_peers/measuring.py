"""Rounds in which every arm has its turn: a change of the machine's speed hits all alike."""

import statistics
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from gateway_peers.arms import (
    AIOHTTP,
    LITELLM_PROXY,
    OUR_SERVER,
    OURS,
    OURS_TRACED,
    PASS_THROUGH,
    Loaded,
)
from gateway_peers.harness import Order
from gateway_peers.processes import ArmError, Client
from gateway_peers.texts import CHUNKS


class Task(NamedTuple):
    """One thing that every arm does."""

    name: str
    unit: str
    reference: str
    """The arm whose cost is 1."""
    order: Order
    units: int = 1
    """How many a call has."""


CLIENT_TASKS = (
    Task("1 in flight", "call", AIOHTTP, Order(1, 0)),
    Task("32 in flight", "call", AIOHTTP, Order(32, 0)),
    Task("256 in flight", "call", AIOHTTP, Order(256, 0)),
    Task("stream, paced", "chunk", AIOHTTP, Order(4, 0, stream=True, paced=True), len(CHUNKS)),
    Task("stream, at once", "chunk", AIOHTTP, Order(4, 0, stream=True), len(CHUNKS)),
)
SERVER_TASK = Task("server, 32 in flight", "request", PASS_THROUGH, Order(32, 0))
TASKS = {task.name: task for task in (*CLIENT_TASKS, SERVER_TASK)}


class Ratio(NamedTuple):
    """What an arm costs, and how that relates to another one in the same rounds."""

    microseconds: float
    """Median for each unit."""
    median: float
    least: float
    most: float


class Figures:
    """Microseconds of processor time for each unit, by task and arm, one for each round."""

    def __init__(self) -> None:
        self.rounds: dict[str, dict[str, list[float]]] = {name: {} for name in TASKS}

    def add(self, task: Task, arm: str, cpu_s: float, calls: int) -> None:
        """Take in what an arm spent in a round."""
        found = self.rounds[task.name].setdefault(arm, [])
        found.append(cpu_s / calls / task.units * 1e6)

    def ratio(self, task: str, arm: str, reference: str) -> Ratio | None:
        """What an arm costs in relation to another one; None: one of them was not measured."""
        ours, theirs = (self.rounds[task].get(name) for name in (arm, reference))
        if not ours or not theirs:
            return None
        ratios = [a / b for a, b in zip(ours, theirs, strict=False)]
        return Ratio(statistics.median(ours), statistics.median(ratios), min(ratios), max(ratios))


class Aim(NamedTuple):
    """What our arm may cost."""

    text: str
    task: str
    arm: str
    reference: str
    limit: float


AIMS = (
    *(
        Aim(f"generate, {name}", name, OURS, AIOHTTP, 2.0)
        for name in ("1 in flight", "32 in flight", "256 in flight")
    ),
    *(Aim(name, name, OURS, AIOHTTP, 1.0) for name in ("stream, paced", "stream, at once")),
    Aim("generate with traces and INFO logs", "32 in flight", OURS_TRACED, AIOHTTP, 2.6),
    Aim("POST /api/inference", SERVER_TASK.name, OUR_SERVER, PASS_THROUGH, 1.5),
    Aim("POST /api/inference", SERVER_TASK.name, OUR_SERVER, LITELLM_PROXY, 0.1),
)

Measure = Callable[[Order], tuple[float, int]]
"""Carries out an order and says the processor time and the calls that it is for."""


def of_client(client: Client) -> Measure:
    """Measure the client's own process."""

    def measure(order: Order) -> tuple[float, int]:
        spent = client.measure(order)
        return spent.cpu_s, spent.calls

    return measure


def of_server(loaded: Loaded) -> Measure:
    """Measure a server's process while another one makes its load."""

    def measure(order: Order) -> tuple[float, int]:
        before = loaded.server.cpu_s()
        spent = loaded.load.measure(order)
        return loaded.server.cpu_s() - before, spent.all_calls

    return measure


def warm_up(tasks: tuple[Task, ...], arms: dict[str, Measure], missing: dict[str, str]) -> None:
    """Let every arm do every task once; one that cannot is taken out and said to be missing."""
    for task in tasks:
        for name in list(arms):
            try:
                arms[name](task.order._replace(paced=False))
            except ArmError as error:
                missing[name] = str(error)
                del arms[name]


def measure_round(
    number: int,
    tasks: tuple[Task, ...],
    arms: Mapping[str, Measure],
    seconds: float,
    figures: Figures,
) -> None:
    """Let every arm do every task; each round begins with another arm.

    Raises:
        ArmError: An arm that has worked so far failed.
    """
    for task in tasks:
        for name in _rotated(list(arms), number):
            cpu_s, calls = arms[name](task.order._replace(seconds=seconds))
            figures.add(task, name, cpu_s, calls)


def _rotated(names: list[str], number: int) -> Iterator[str]:
    for index in range(len(names)):
        yield names[(index + number) % len(names)]
