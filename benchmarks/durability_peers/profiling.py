"""Where the time of our kept run goes, beyond that of one that is not: by function, by thread."""

import cProfile
import gc
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType
from typing import NamedTuple, TypeAlias

from orchestrator_peers import ours
from orchestrator_peers.measuring import Run

from agent_lab.providers.local.scripted_provider import ScriptedProvider
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.storage.database import Database
from durability_peers.arms import kept_run, lab_service
from durability_peers.timing import together
from durability_peers.workloads import Workload, answer

PARTS = 15
"""How often so many runs as one timed part has are done."""
TOP = 40
WRITER = "agent-lab-writer"


class Share(NamedTuple):
    """What a function costs, of one run."""

    own_us: float = 0.0
    """With the built-ins that it calls."""
    calls: float = 0.0
    whole_us: float = 0.0
    """With all that it calls; of one that awaits, with what others did meanwhile."""


Shares: TypeAlias = Mapping[CodeType, Share]


async def profile(workload: Workload, folder: Path) -> Iterator[str]:
    """Run ours under cProfile, on SQLite and not kept, and tell how they differ.

    By the processor's clock of each thread: waiting for the other one is nobody's time. Functions
    are dearer under cProfile than they are: shares are rough.

    Args:
        workload: What is run.
        folder: For the database and the records.
    """
    gateway = ProviderGateway.scripted(ScriptedProvider(answer))
    bare = await _main_thread(ours.bare(gateway, workload.flow), workload)
    database = Database(f"sqlite:///{folder / 'profiled.db'}")
    service = lab_service(gateway, workload.flow, database, folder / "outputs")
    writer = _profiler()

    def begin(*_: object) -> None:
        """The first thing that a new thread does."""
        if threading.current_thread().name == WRITER:
            writer.enable()

    threading.setprofile(begin)
    kept = await _main_thread(kept_run(service, workload.flow), workload)
    threading.setprofile(None)
    await service.aclose()
    runs = PARTS * workload.runs + workload.at_once
    return (
        line
        for part in (
            _packages(kept, bare),
            _functions("main thread, beyond a run that is not kept", kept, bare),
            _functions("writer", _shares(writer, runs), {}),
        )
        for line in part
    )


async def _main_thread(run: Run, workload: Workload) -> Shares:
    profiler, runs = _profiler(), PARTS * workload.runs
    await together(run, workload.at_once, workload.at_once)
    gc.collect()
    gc.disable()  # its pauses would be those of whichever function is being run
    profiler.enable()
    await together(run, runs, workload.at_once)
    profiler.disable()
    gc.enable()
    return _shares(profiler, runs)


def _profiler() -> cProfile.Profile:
    return cProfile.Profile(time.thread_time)


def _shares(profiler: cProfile.Profile, runs: int) -> Shares:
    shares: dict[CodeType, Share] = defaultdict(Share)
    per_run = 1e6 / runs
    for entry in profiler.getstats():
        if isinstance(entry.code, str):
            continue
        built_ins = (called for called in entry.calls or () if isinstance(called.code, str))
        own = entry.inlinetime + sum(called.inlinetime for called in built_ins)
        share = Share(own * per_run, entry.callcount / runs, entry.totaltime * per_run)
        shares[entry.code] = share
    return shares


def _packages(kept: Shares, bare: Shares) -> Iterator[str]:
    """The main thread's time by package; of ours, by file."""
    found: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for column, shares in enumerate((kept, bare)):
        for code, share in shares.items():
            found[_package(Path(code.co_filename))][column] += share.own_us
    yield "| package, main thread | us a run | more than a run that is not kept |\n|---|---|---|"
    ranked = sorted(found.items(), key=lambda row: row[1][1] - row[1][0])
    for name, (own, without) in ranked[:TOP]:
        yield f"| {name} | {own:.0f} | {own - without:+.0f} |"


def _functions(title: str, shares: Shares, without: Shares) -> Iterator[str]:
    def more(code: CodeType) -> float:
        return shares[code].own_us - without.get(code, Share()).own_us

    whole = sum(map(more, shares))
    yield f"\n| {title}: {whole:.0f} us a run | own us | more | calls | with callees |"
    yield "|---|---|---|---|---|"
    for code in sorted(shares, key=more, reverse=True)[:TOP]:
        share = shares[code]
        where = f"{'/'.join(Path(code.co_filename).parts[-3:])}:{code.co_firstlineno}"
        costs = f"{share.own_us:.1f} | {more(code):+.1f} | {share.calls:.1f}"
        yield f"| `{where} {code.co_qualname}` | {costs} | {share.whole_us:.0f} |"


def _package(file: Path) -> str:
    parts = file.parts
    for folder, depth in (("agent_lab", 3), ("site-packages", 1), ("python3.11", 1)):
        if folder in parts:
            begin = parts.index(folder) + (folder != "agent_lab")
            return "/".join(parts[begin : begin + depth]).removesuffix(".py")
    return "the benchmark"
