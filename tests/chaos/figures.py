"""What a campaign has come to, as figures."""

import dataclasses
from collections.abc import Sequence

from tests.chaos.ledger import faults_of, told
from tests.chaos.stage import Stage
from tests.chaos.worker import Debate


@dataclasses.dataclass
class Figures:
    """What a campaign has come to."""

    database: str
    kills: int = 0
    kills_before_any_run: int = 0
    rounds: int = 0
    runs: int = 0
    turns: int = 0
    requests: int = 0
    lost_runs: list[str] = dataclasses.field(default_factory=list)
    """Runs that were started and have not ended well."""
    sent_again: list[str] = dataclasses.field(default_factory=list)
    """Turns that the journal had at a kill, and that were asked once more."""
    unannounced: list[str] = dataclasses.field(default_factory=list)
    """Turns that were asked more often than the journal says."""
    in_flight: int = 0
    """Turns that the killed workers had begun and not ended."""
    repeats: int = 0
    """Requests for a turn after its first one."""
    differing: list[str] = dataclasses.field(default_factory=list)
    """Runs that came out otherwise than undisturbed."""
    faulty_logs: list[str] = dataclasses.field(default_factory=list)
    crashes: list[str] = dataclasses.field(default_factory=list)
    """Workers that ended by themselves before their runs had ended."""
    without_file: list[str] = dataclasses.field(default_factory=list)
    """Completed runs whose record is not in its file."""
    seconds: float = 0.0

    def broken(self) -> list[str]:
        """The promises that were not kept."""
        kept = {
            "runs lost": self.lost_runs,
            "turns sent again after their end": self.sent_again,
            "turns asked more often than the journal says": self.unannounced,
            "runs that came out otherwise": self.differing,
            "faulty logs": self.faulty_logs,
            "workers that crashed": self.crashes,
        }
        broken = [f"{what}: {', '.join(which[:5])}" for what, which in kept.items() if which]
        if self.repeats > self.in_flight:
            broken.append(f"{self.repeats} repeats, but only {self.in_flight} turns in flight")
        return broken

    def table(self) -> str:
        """The figures as lines of text."""
        rows = {
            field.name.replace("_", " "): getattr(self, field.name)
            for field in dataclasses.fields(self)
        }
        shown = {
            name: len(v) if isinstance(v, list) else f"{v:.0f}" if isinstance(v, float) else v
            for name, v in rows.items()
        }
        return "\n".join(f"{name:<24}{value:>10}" for name, value in shown.items())


async def examine(stage: Stage, own: Sequence[Debate], figures: Figures) -> None:
    """Hold what has become of some debates against what must have."""
    ledger = stage.books.read([debate.key for debate in own])
    figures.runs += len(own)
    figures.turns += len(ledger.turns())
    figures.requests = stage.upstream.asked.total()
    for debate in own:
        log = ledger.logs.get(debate.key)
        if log is None or log.row.status != "completed":
            figures.lost_runs.append(f"{debate.key} is {log and log.row.status}")
            continue
        figures.faulty_logs += [f"{debate.key}: {fault}" for fault in faults_of(log)]
        if not stage.record_file(log.header.id).exists():
            figures.without_file.append(log.header.id)
    calm = await stage.calm(own)
    figures.differing += [key for key, log in ledger.logs.items() if told(log) != told(calm[key])]
    figures.repeats += stage.repeats(own)
    figures.unannounced += [str(name) for name in stage.unannounced(own)]
    figures.sent_again = [str(name) for name in stage.doubled()]
