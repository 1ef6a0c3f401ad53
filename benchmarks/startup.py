"""How long the command line takes to start, as a ratio to bare Python.

python benchmarks/startup.py [RUNS]

Every round runs `python -c pass` and each command once, so that a change of the machine's speed
hits all alike; the medians of the ratios are printed, of processor time and of elapsed time.
"""

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

COMMANDS = {
    "agent-lab --help": ("-m", "agent_lab.cli.main", "--help"),
    "agent-lab flows list": ("-m", "agent_lab.cli.main", "flows", "list"),
    "import agent_lab": ("-c", "import agent_lab"),
}
BARE = ("-c", "pass")
RUNS = 15


class Cost(NamedTuple):
    """Seconds of one process."""

    processor: float
    elapsed: float


def cost(arguments: Sequence[str]) -> Cost:
    """Run Python once and measure it."""
    before, started = _children(), time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    elapsed = time.perf_counter() - started
    return Cost(_children() - before, elapsed)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(runs: int) -> None:
    """Print one row for each command."""
    for arguments in (BARE, *COMMANDS.values()):
        cost(arguments)  # fills the disk cache
    ratios: dict[str, list[Cost]] = {name: [] for name in COMMANDS}
    for _ in range(runs):
        bare = cost(BARE)
        for name, arguments in COMMANDS.items():
            spent = cost(arguments)
            ratios[name].append(
                Cost(spent.processor / bare.processor, spent.elapsed / bare.elapsed)
            )
    print(f"{runs} rounds, medians, times `python -c pass`")
    for name, costs in ratios.items():
        processor = statistics.median(c.processor for c in costs)
        elapsed = statistics.median(c.elapsed for c in costs)
        print(f"{name:22} processor {processor:5.1f} x   elapsed {elapsed:5.1f} x")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
