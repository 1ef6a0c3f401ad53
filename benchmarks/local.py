"""What the lab costs around the engine of local models, and what the engine itself gives here.

python benchmarks/local.py [--quick] [--gates] [--json FILE] [--rounds N]
                           [--model KEY …] [--only SECTION,…]

Tokens per second as a ratio to llama.cpp used by hand, and to what the memory allows; the first
token of each role with and without the head that it shares with others; the first answer against
the second; how threads should wait. In every round each arm has its turn. Needs the weights
(`agent-lab models pull KEY`), no keys and no network, and a machine that does nothing else.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from local_peers.cold_warm import ColdWarm
from local_peers.first_token import FirstToken
from local_peers.report import as_json, circumstances, gates, heading, told, verdict
from local_peers.setting import (
    BANDWIDTH_BYTES,
    BANDWIDTH_TRIES,
    FULL,
    LARGE_FILE,
    QUICK,
    Bench,
    Extent,
    Gate,
    Model,
    Section,
)
from local_peers.spin import Spin
from local_peers.throughput import Throughput
from orchestrator_peers.measuring import BenchmarkError

from agent_lab.config import load_settings
from agent_lab.errors import AgentLabError
from agent_lab.providers.local.machine import available_cores
from agent_lab.providers.local.memory_bandwidth import memory_bandwidth
from agent_lab.providers.local.weights.store import WeightsStore
from agent_lab.providers.registries.model_registry import ModelRegistry

SECTIONS: Mapping[str, Callable[[Bench], Section]] = {
    "throughput": lambda bench: Throughput(bench).measure(),
    "first_token": lambda bench: FirstToken(bench).measure(),
    "cold_warm": lambda bench: ColdWarm(bench).measure(),
    "spin": lambda bench: Spin(bench).measure(),
}
SMALLEST = "smollm2-135m"
DEFAULTS = (SMALLEST, "qwen2.5-coder-1.5b")


def main() -> int:
    """Do what the arguments say; 1: a gate does not hold, 2: the benchmark cannot go on."""
    asked = _asked()
    file: Path | None = asked.json and asked.json.resolve()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # else children would go on
    extent = QUICK if asked.quick else FULL
    if asked.rounds:
        extent = extent._replace(rounds=asked.rounds)
    keys = asked.model or ([SMALLEST] if asked.quick else DEFAULTS)
    try:
        models = _models(keys, extent)
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)  # away from an `.env`
            threads = available_cores()
            bench = Bench(
                models,
                extent,
                threads,
                memory_bandwidth(BANDWIDTH_TRIES, BANDWIDTH_BYTES),
                Path(folder),
            )
            found = _measured(bench, asked.only, file)
    except (AgentLabError, BenchmarkError) as error:
        print(f"The benchmark cannot go on: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    failed = [verdict(gate) for gate in found if not gate.holds]
    if asked.gates and failed:
        print(*failed, sep="\n", file=sys.stderr)
        return 1
    return 0


def _measured(bench: Bench, names: Sequence[str], file: Path | None) -> list[Gate]:
    """Measure some sections, each told when it is done: all of them take long."""
    about = circumstances(bench)
    print(*heading(about), sep="\n", flush=True)
    sections: dict[str, Section] = {}
    for name in names:
        sections[name] = SECTIONS[name](bench)
        print(*told(name, sections[name]), sep="\n", flush=True)
        if file is not None:
            figures = json.dumps(as_json(about, bench, sections), indent=1)
            file.write_text(f"{figures}\n", encoding="utf-8")
    found = gates(sections)
    print("", *map(verdict, found), sep="\n")
    return found


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="one round, the smallest model")
    parser.add_argument("--gates", action="store_true", help="fail if one of the gates does")
    parser.add_argument("--model", action="append", metavar="KEY", help=f"else {DEFAULTS}")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"else {FULL.rounds}")
    parser.add_argument(
        "--only", type=_sections, default=list(SECTIONS), metavar="SECTION,…", help=str([*SECTIONS])
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    return parser.parse_args()


def _sections(listed: str) -> list[str]:
    names = listed.split(",")
    for name in names:
        if name not in SECTIONS:
            raise argparse.ArgumentTypeError(f"`{name}` is none of {', '.join(SECTIONS)}")
    return names


def _models(keys: Sequence[str], extent: Extent) -> list[Model]:
    """The models of some keys, with their files.

    Raises:
        AgentLabError: A key is unknown, or a file is not here.
    """
    registry, store = ModelRegistry.load(), WeightsStore(load_settings().weights_folder.resolve())
    models = []
    for key in keys:
        weights = store.verified_path(registry.get(key))
        size = weights.stat().st_size
        models.append(Model(key, weights, size, extent.answer_tokens[size >= LARGE_FILE]))
    return models


if __name__ == "__main__":
    sys.exit(main())
