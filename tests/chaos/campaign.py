"""Kills workers at random moments until enough of them are dead, and says what became of the runs.

    .venv/bin/python -m tests.chaos.campaign --kills 500 --database sqlite

Prints its progress on stderr and a table at its end, also at the one that Ctrl-C brings about.
Exits with 1 where a promise was broken.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.chaos.every_event import kill_at_every_event
from tests.chaos.figures import Figures, examine
from tests.chaos.ledger import TurnName
from tests.chaos.stage import PATIENCE_S, Stage, Worker, comes_true, debates, staged
from tests.chaos.worker import Debate
from tests.postgres import serve

EARLY = 0.25
"""Share of the kills that may come before the first request of a worker."""
EARLIEST_S, LATEST_S = 0.25, 0.3
"""Longest time to a kill: after the worker's birth if it is an early one, else after its first
request."""
DATABASES = ("sqlite", "postgres")


class Campaign:
    """Plays rounds: some debates, and workers that are killed until all is done.

    Args:
        stage: Where.
        kills: How many workers shall die.
        chance: Decides when.
        figures: Filled in.
        workers: How many live at once.
        runs: Debates of a round.
    """

    def __init__(
        self,
        stage: Stage,
        kills: int,
        chance: random.Random,
        figures: Figures,
        *,
        workers: int = 1,
        runs: int = 8,
    ) -> None:
        self._stage = stage
        self._kills = kills
        self._chance = chance
        self._figures = figures
        self._workers = workers
        self._runs = runs
        self._endangered: Sequence[TurnName] = ()

    async def play(self) -> None:
        """Play until enough workers are dead."""
        begin = time.monotonic()
        while self._figures.kills < self._kills:
            self._figures.rounds += 1
            own = debates(self._runs, f"{self._figures.database}-{self._figures.rounds}")
            await self._round(own)
            await examine(self._stage, own, self._figures)
            self._figures.seconds = time.monotonic() - begin
            line = f"{self._figures.kills} of {self._kills} kills, {self._figures.runs} runs"
            sys.stderr.write("; ".join([line, *self._figures.broken()]) + "\n")

    async def _round(self, own: Sequence[Debate]) -> None:
        stage, figures = self._stage, self._figures
        living = [await stage.spawn(own) for _ in range(self._workers)]
        while True:
            if not await self._moment(living):
                figures.crashes += [f"hangs: {worker.log()[-2000:]}" for worker in living]
                for worker in living:
                    await worker.process.kill()
                return
            if not (living := [worker for worker in living if not self._has_ended(worker)]):
                return
            if figures.kills >= self._kills:
                for worker in living:
                    await worker.report()
                return
            victim = self._chance.choice(living)
            if await victim.process.kill() != 0:
                figures.kills += 1
                death = stage.take_stock(own)
                figures.in_flight += death.in_flight
                figures.kills_before_any_run += not death.begun
                self._endangered = death.endangered
            living = [worker for worker in living if worker is not victim]
            living.append(await stage.spawn(own))

    async def _moment(self, living: Sequence[Worker]) -> bool:
        """Wait for a random moment, or until nobody lives any more; false: nothing happens."""
        gone: asyncio.Future[Any] = asyncio.gather(
            *(asyncio.shield(worker.process.gone) for worker in living)
        )
        moment = self._early() if self._chance.random() < EARLY else self._late()
        waiting: asyncio.Future[Any] = asyncio.ensure_future(moment)
        either = {gone, waiting}
        done, _ = await asyncio.wait(
            either, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED
        )
        waiting.cancel()
        if self._endangered:
            open_turns, endangered = self._stage.books.open_turns, self._endangered
            await comes_true(lambda: gone.done() or not open_turns(endangered))
        return bool(done)

    async def _early(self) -> None:
        await asyncio.sleep(self._chance.uniform(0, EARLIEST_S))

    async def _late(self) -> None:
        self._stage.upstream.arrived.clear()
        await self._stage.upstream.arrived.wait()
        await asyncio.sleep(self._chance.uniform(0, LATEST_S))

    def _has_ended(self, worker: Worker) -> bool:
        if not worker.is_gone:
            return False
        if worker.process.gone.result() != 0:
            self._figures.crashes.append(worker.log()[-2000:])
        return True


async def conduct(
    folder: Path,
    kills: int,
    figures: Figures,
    *,
    database: str | None = None,
    workers: int = 1,
    seed: int = 0,
) -> None:
    """Play a campaign; see `Campaign`."""
    chance = random.Random(seed)  # noqa: S311 - moments, no secrets
    async with staged(folder, database, seed=seed) as stage:
        await Campaign(stage, kills, chance, figures, workers=workers).play()


async def conduct_every_event(
    folder: Path, figures: Figures, *, database: str | None = None
) -> None:
    """Kill at every event of a debate; see `kill_at_every_event`."""
    begin = time.monotonic()
    async with staged(folder, database) as stage:
        await kill_at_every_event(stage, figures)
    figures.seconds = time.monotonic() - begin


@contextmanager
def _database(kind: str) -> Iterator[str | None]:
    """The URL of a database for a campaign; None: a file of its own."""
    if kind == "sqlite":
        yield None
        return
    with contextmanager(serve)(durable=True) as server:
        yield server.create()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.campaign")
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--workers", type=int, default=1, help="how many live at once")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument(
        "--every-event", action="store_true", help="kill once at each event of a debate instead"
    )
    return parser.parse_args()


def main() -> int:
    """Play a campaign as the command line says."""
    options = _options()
    figures = Figures(options.database)
    with tempfile.TemporaryDirectory() as name, _database(options.database) as url:
        folder = Path(name)
        if options.every_event:
            campaign = conduct_every_event(folder, figures, database=url)
        else:
            campaign = conduct(
                folder,
                options.kills,
                figures,
                database=url,
                workers=options.workers,
                seed=options.seed,
            )
        try:
            asyncio.run(campaign)
        except KeyboardInterrupt:
            sys.stderr.write("Stopped; so far:\n")
    broken = [f"BROKEN: {line}" for line in figures.broken()]
    sys.stdout.write("\n".join([figures.table(), *broken]) + "\n")
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
