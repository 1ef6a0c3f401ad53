"""Where one scene of chaos plays: folders, the upstream, the nursery, and the books."""

import asyncio
import json
import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, NamedTuple

from agent_lab.runs.log import RunLog
from agent_lab.runs.record import record_path
from tests.chaos.ledger import Books, TurnName, told
from tests.chaos.nursery import Nursery, WorkerProcess
from tests.chaos.upstream import CALM, MODEL, STORM, CountingUpstream
from tests.chaos.worker import FLOW, Debate, WorkerSpec

SECRET = bytes(range(32))
"""Of every installation here: fences have the same tags everywhere."""
PATIENCE_S = 120.0
"""Longest time that an undisturbed worker takes."""
POLL_S = 0.02
_MODELS = """
[providers.chaos]
api = "openai"
base_url = "{url}"
stays_local = true

[models.chaos]
provider = "chaos"
model = "{model}"
context_window = 32768
capabilities = ["chat", "stream"]
cost_profile = {{ input = 1.0, output = 2.0 }}
"""


class Death(NamedTuple):
    """What there was when a worker died."""

    in_flight: int
    """Turns that it had begun and not ended."""
    endangered: list[TurnName]
    """Those of them that must not die once more: the third time, they would be given up."""
    begun: bool
    """Whether the database had any of the runs."""


class Stage:
    """Runs workers in one folder, on one database.

    Args:
        folder: Its own.
        upstream: Whom the workers ask.
        nursery: Where they come from.
        database: URL of the database; None: a SQLite file in the folder.
    """

    def __init__(
        self,
        folder: Path,
        upstream: CountingUpstream,
        nursery: Nursery,
        database: str | None = None,
    ) -> None:
        self.folder = folder
        self.upstream = upstream
        self.nursery = nursery
        self.database = database or f"sqlite:///{folder / 'lab.db'}"
        self.books = Books(self.database)
        self._ended: dict[TurnName, tuple[str, int]] = {}
        self._died: set[tuple[TurnName, int]] = set()
        for whose in (STORM, CALM):
            home = folder / whose
            home.mkdir(parents=True)
            (home / "install_secret").write_bytes(SECRET)
            models = _MODELS.format(url=upstream.base_url(whose), model=MODEL)
            (home / "models.toml").write_text(models, encoding="utf-8")
        self._calm_books = Books(f"sqlite:///{folder / CALM / 'lab.db'}")
        self._number = 0

    def spec(self, debates: Sequence[Debate], **more: Any) -> WorkerSpec:
        """What a worker is told."""
        return self._spec(STORM, debates, **{"database": self.database, **more})

    async def spawn(self, debates: Sequence[Debate], **more: Any) -> "Worker":
        """Start a worker."""
        spec = self.spec(debates, **more)
        return Worker(await self.nursery.spawn(spec), spec)

    async def finish(self, debates: Sequence[Debate], **more: Any) -> dict[str, Any]:
        """Start a worker that is left alone; what it reports."""
        worker = await self.spawn(debates, **more)
        return await worker.report()

    async def calm(self, debates: Sequence[Debate]) -> dict[str, RunLog]:
        """What the same debates come to where nothing happens, by key."""
        url = f"sqlite:///{self.folder / CALM / 'lab.db'}"
        spec = self._spec(CALM, debates, database=url)
        await Worker(await self.nursery.spawn(spec), spec).report()
        return self._calm_books.read([debate.key for debate in debates]).logs

    async def differing(self, debates: Sequence[Debate]) -> list[str]:
        """The keys of debates that came out otherwise than undisturbed ones."""
        calm = await self.calm(debates)
        logs = self.books.read([debate.key for debate in debates]).logs
        return [key for key, log in logs.items() if told(log) != told(calm[key])]

    def record_file(self, run_id: str) -> Path:
        """Where a run's record is saved."""
        return record_path(self.folder / STORM / "outputs", FLOW, run_id)

    def take_stock(self, debates: Sequence[Debate]) -> Death:
        """Note, after a kill, what must not be asked again, and what may be."""
        ledger = self.books.read([debate.key for debate in debates])
        turns = ledger.turns()
        for turn in turns:
            if turn.ended and turn.name not in self._ended:
                self._ended[turn.name] = (turn.digest, self.upstream.asked[turn.digest])
        # Who died before it asked anything has left what an earlier one left.
        died = {(turn.name, turn.starts) for turn in turns if not turn.ended} - self._died
        self._died |= died
        endangered = [turn.name for turn in turns if not turn.ended and turn.starts >= 2]
        return Death(len(died), endangered, bool(ledger.logs))

    def is_locked(self) -> bool:
        """Whether a process has the one lock of a SQLite file."""
        if not self.database.startswith("sqlite"):
            return False
        file = self.database.removeprefix("sqlite:///")
        with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            connection.execute("ROLLBACK")
            return False

    def doubled(self) -> list[TurnName]:
        """Turns that were asked again although the journal had their end at a kill."""
        asked = self.upstream.asked
        return [n for n, (name, times) in self._ended.items() if asked[name] != times]

    def unannounced(self, debates: Sequence[Debate]) -> list[TurnName]:
        """Turns that were asked more often than the journal says."""
        turns = self.books.read([debate.key for debate in debates]).turns()
        return [turn.name for turn in turns if self.upstream.asked[turn.digest] > turn.starts]

    def repeats(self, debates: Sequence[Debate]) -> int:
        """How many requests would not have been sent had nothing happened."""
        turns = self.books.read([debate.key for debate in debates]).turns()
        return sum(self.upstream.asked[turn.digest] - 1 for turn in turns)

    def _spec(self, whose: str, debates: Sequence[Debate], **more: Any) -> WorkerSpec:
        self._number += 1
        home = self.folder / whose
        own = {
            "home": str(home),
            "outputs": str(home / "outputs"),
            "models_file": str(home / "models.toml"),
            "report": str(self.folder / f"report-{self._number}.json"),
            "log": str(self.folder / f"worker-{self._number}.log"),
            "debates": tuple(debates),
        }
        return WorkerSpec(**{**own, **more})


class Worker:
    """A worker and what it says.

    Args:
        process: The process.
        spec: What it was told.
    """

    def __init__(self, process: WorkerProcess, spec: WorkerSpec) -> None:
        self.process = process
        self.spec = spec

    @property
    def is_gone(self) -> bool:
        """Whether it has ended."""
        return self.process.gone.done()

    async def report(self, code: int = 0) -> dict[str, Any]:
        """Wait until it has ended by itself, as it should; what it says."""
        async with asyncio.timeout(PATIENCE_S):
            ended = await asyncio.shield(self.process.gone)
        if ended != code:
            raise AssertionError(f"The worker has ended with {ended}, not {code}:\n{self.log()}")
        return self.said()

    def said(self) -> dict[str, Any]:
        """Its last words."""
        said: dict[str, Any] = json.loads(Path(self.spec.report).read_text("utf-8"))
        return said

    def log(self) -> str:
        """What it has logged."""
        path = Path(self.spec.log)
        return path.read_text("utf-8") if path.exists() else ""


def debates(count: int, name: str) -> tuple[Debate, ...]:
    """Some debates, each about a question of its own."""
    return tuple(
        Debate(f"{name}-{n}", f"How is a mean taken of the numbers {name} {n}?", 1000 + n)
        for n in range(count)
    )


async def comes_true(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Wait for something that other processes do."""
    async with asyncio.timeout(patience_s):
        while not condition():  # noqa: ASYNC110 - what another process does has no event
            await asyncio.sleep(POLL_S)


@asynccontextmanager
async def staged(
    folder: Path, database: str | None = None, *, slowest_s: float = 0.03, seed: int = 0
) -> AsyncIterator[Stage]:
    """A stage of its own."""
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    upstream = CountingUpstream(slowest_s, random.Random(seed))  # noqa: S311 - times, no secrets
    async with upstream, Nursery(folder) as nursery:
        yield Stage(folder, upstream, nursery, database)
