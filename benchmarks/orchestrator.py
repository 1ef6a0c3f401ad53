"""What our orchestrator costs, as a ratio to LangGraph and asyncio written by hand.

python benchmarks/orchestrator.py [--quick] [--profile] [--json FILE]

Processor time of this process, on scripted turns. All arms ask the same gateway for the same
calls, which is checked first (`orchestrator_peers` says what they do and do not do). In every
round each arm has its turn, without garbage collection; ratios are those of one round, their
medians are printed with the least and the most. Needs no keys and no network.
"""

import argparse
import asyncio
import gc
import json
import os
import sys
import tempfile
from pathlib import Path

from orchestrator_peers.building import definitions, measure_building
from orchestrator_peers.crowd import bytes_per_run
from orchestrator_peers.measuring import (
    OURS,
    BenchmarkError,
    Figures,
    check_calls,
    measure_round,
)
from orchestrator_peers.profiling import profile
from orchestrator_peers.report import Results, as_json, text
from orchestrator_peers.tasks import FULL, QUICK, Extent, all_tasks, crowd

MEMORY_DISK = Path("/dev/shm")  # noqa: S108 a folder of our own is made in it
"""Where records are written, so that no disk is measured."""
OF_OTHERS = ("AGENT_LAB_", "LANGCHAIN_", "LANGSMITH_", "OTEL_")
"""Variables that would have every arm traced, or ours set up otherwise."""


async def measure(extent: Extent, folder: Path) -> Results:
    """Measure every task.

    Args:
        extent: How much.
        folder: An empty one, for the records.
    """
    _set_aside()
    tasks = list(all_tasks(extent, folder / "outputs"))
    built = {definition.name: definition for definition in definitions(extent.branches)}
    measure_building(built, Figures())
    for task in tasks:
        await check_calls(task)
    _set_aside()
    figures = Figures()
    fixed, growing = ([task for task in tasks if bool(task.size) == grows] for grows in (0, 1))
    for number in range(extent.rounds):
        for again in range(extent.again):
            await measure_round(number + again, fixed, figures)
        await measure_round(number, growing, figures)
        measure_building(built, figures)
    held = {runs: await bytes_per_run(crowd, runs) for runs in extent.crowds}
    return Results(figures, tasks, held, built)


def _set_aside() -> None:
    """Keep later collections from looking at all that is here: imported, or built to stay."""
    gc.collect()
    gc.freeze()


def main() -> int:
    """Do what the arguments say; 2: the arms do not do the same."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="few rounds and sizes, in seconds")
    parser.add_argument("--profile", action="store_true", help="show where our time goes, only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    asked = parser.parse_args()
    file: Path | None = asked.json and asked.json.resolve()
    for name in [name for name in os.environ if name.startswith(OF_OTHERS)]:
        del os.environ[name]
    memory = MEMORY_DISK if os.access(MEMORY_DISK, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        os.chdir(folder)  # away from an `.env`
        try:
            if asked.profile:
                first = next(all_tasks(QUICK, Path(folder)))
                print(*asyncio.run(profile(first.arms[OURS])), sep="\n")
                return 0
            results = asyncio.run(measure(QUICK if asked.quick else FULL, Path(folder)))
        except BenchmarkError as error:
            print(f"The benchmark cannot go on: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            return 130
    print(*text(results), sep="\n")
    if file is not None:
        file.write_text(json.dumps(as_json(results), indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
