"""Where the time of our bare run goes: by package, by function."""

import cProfile
import gc
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

from orchestrator_peers.measuring import Run

RUNS = 300
TOP = 25
OURS = "agent_lab"


async def profile(run: Run) -> Iterator[str]:
    """Run under cProfile and tell own times; those of built-ins are their callers'.

    Functions are dearer under cProfile than they are: shares are rough.
    """
    await run()
    gc.collect()
    gc.disable()  # its pauses would be those of whichever function is being run
    profiler = cProfile.Profile()
    profiler.enable()
    for _ in range(RUNS):
        await run()
    profiler.disable()
    gc.enable()
    return _told(profiler)


def _told(profiler: cProfile.Profile) -> Iterator[str]:
    own: dict[CodeType, float] = {}
    calls: dict[CodeType, int] = {}
    packages: dict[str, float] = defaultdict(float)
    for entry in profiler.getstats():
        if isinstance(entry.code, str):
            continue
        built_ins = (called for called in entry.calls or () if isinstance(called.code, str))
        own[entry.code] = entry.inlinetime + sum(called.inlinetime for called in built_ins)
        calls[entry.code] = entry.callcount
        packages[_package(Path(entry.code.co_filename))] += own[entry.code]
    whole = sum(own.values())
    yield "| package | us a run | share |\n|---|---|---|"
    for package, seconds in sorted(packages.items(), key=_cost, reverse=True):
        yield f"| {package} | {seconds / RUNS * 1e6:.0f} | {seconds / whole:.1%} |"
    yield "\n| function | us a run | share | calls a run |\n|---|---|---|---|"
    for code, seconds in sorted(own.items(), key=_cost, reverse=True)[:TOP]:
        where = f"{'/'.join(Path(code.co_filename).parts[-3:])}:{code.co_firstlineno}"
        costs = f"{seconds / RUNS * 1e6:.1f} | {seconds / whole:.1%} | {calls[code] / RUNS:.1f}"
        yield f"| `{where} {code.co_qualname}` | {costs} |"


def _cost(row: tuple[object, float]) -> float:
    return row[1]


def _package(file: Path) -> str:
    """The library that a file is of; of ours, the layer."""
    parts = file.parts
    if OURS in parts:
        return ".".join(parts[parts.index(OURS) :][:2]).removesuffix(".py")
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1].removesuffix(".py")
    return "Python"
