"""Kills a worker at each event of a debate in turn, and right before each of its turns is asked."""

import signal

from tests.chaos.figures import Figures, examine
from tests.chaos.stage import Stage, debates
from tests.chaos.worker import ROUNDS, Debate

EVENTS = 2 + 4 * (1 + 2 * ROUNDS)
"""Of a debate of all rounds: four of each turn, and those of the run."""
REQUESTS = 1 + 2 * ROUNDS


async def long_debates(stage: Stage, count: int, name: str) -> list[Debate]:
    """Debates that go through all their rounds."""
    some = debates(2 * count + 8, name)
    calm = await stage.calm(some)
    long = [debate for debate in some if len(calm[debate.key].events) == EVENTS]
    assert len(long) >= count, "Other questions are needed."
    return long[:count]


async def kill_at_every_event(stage: Stage, figures: Figures) -> None:
    """Kill as soon as event 1, 2, … is in the log, and as request 1, 2, … arrives."""
    own = await long_debates(stage, EVENTS + REQUESTS, "every")
    for seq, debate in enumerate(own[:EVENTS], 1):
        await _case(stage, debate, figures, dies_at=seq)
    for number, debate in enumerate(own[EVENTS:], 1):
        await _case(stage, debate, figures, at_request=number)
    await examine(stage, own, figures)


async def _case(
    stage: Stage, debate: Debate, figures: Figures, *, dies_at: int = 0, at_request: int = 0
) -> None:
    stage.upstream.count_anew()
    worker = await stage.spawn([debate], dies_at=dies_at)

    def kill(number: int) -> None:
        if number == at_request:
            worker.process.send(signal.SIGKILL)

    stage.upstream.on_request = kill
    ended = await worker.process.gone
    if ended != -signal.SIGKILL:
        figures.crashes.append(f"{ended} at event {dies_at}, request {at_request}: {worker.log()}")
    figures.kills += 1
    figures.in_flight += stage.take_stock([debate]).in_flight
    stage.upstream.count_anew()
    await stage.finish([debate])
