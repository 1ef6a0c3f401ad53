"""What our gateway costs, as a ratio to aiohttp; as a server, to a bare pass-through.

python benchmarks/gateway.py [--quick] [--profile] [--json FILE]
python benchmarks/gateway.py --peers      installs litellm into .venv-peers, to be measured, too

Processor time, user and system, of the process that is measured, against an upstream on this
machine that costs next to nothing. Every arm is a process of its own (`gateway_peers`), every
prompt is another one. In every round each arm has its turn; ratios are those of one round, their
medians are printed with the least and the most. Linux only; needs no keys and no network.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from gateway_peers.arms import AIOHTTP, OURS, PEERS, start_clients, start_servers
from gateway_peers.harness import Order
from gateway_peers.measuring import (
    CLIENT_TASKS,
    SERVER_TASK,
    Figures,
    measure_round,
    of_client,
    of_server,
    warm_up,
)
from gateway_peers.processes import ArmError, Workplace, python_module
from gateway_peers.report import aims, as_json, failed, table

LOCK = Path(__file__).resolve().parents[1] / "requirements" / "peers.lock"


class Length(NamedTuple):
    """How long to measure."""

    rounds: int
    client_s: float
    """Of each client at each task; a call that has begun is waited for."""
    server_s: float


QUICK = Length(rounds=3, client_s=0.2, server_s=0.6)
FULL = Length(rounds=7, client_s=0.6, server_s=1.5)


def install_peers() -> int:
    """Make the environment of the peers; returns what pip exits with."""
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(PEERS)], check=True)
    (PEERS / ".gitignore").write_text("*\n", encoding="utf-8")  # as newer Pythons do
    pip = [str(PEERS / "bin" / "python"), "-m", "pip", "install", "-qq"]
    # The lock is complete; pip itself would ask for a pin of `pydantic[email]` beside pydantic's.
    checks = ["--no-deps", "--require-hashes", "--only-binary=:all:"]
    return subprocess.run([*pip, *checks, "-r", str(LOCK)], check=False).returncode


def profile(place: Workplace, url: str) -> None:
    """Print where our client spends its time at 32 calls in flight."""
    clients, missing = start_clients(place, url, only=OURS)
    if OURS not in clients:
        raise ArmError(missing[OURS])
    clients[OURS].measure(Order(32, 0.5))
    spent = clients[OURS].measure(Order(32, 2.0, profile=True))
    print(f"{OURS}, 32 in flight: own time of each call under cProfile, {spent.calls} calls")
    print(spent.profile)


def measure(place: Workplace, url: str, length: Length, file: Path | None) -> bool:
    """Measure every arm that works here and print the figures; say whether all aims were met."""
    figures = Figures()
    clients, missing = start_clients(place, url)
    servers, missing_servers = start_servers(place, url)
    missing |= missing_servers
    client_arms = {name: of_client(client) for name, client in clients.items()}
    server_arms = {name: of_server(loaded) for name, loaded in servers.items()}
    warm_up(CLIENT_TASKS, client_arms, missing)
    warm_up((SERVER_TASK,), server_arms, missing)
    for number in range(length.rounds):
        measure_round(number, CLIENT_TASKS, client_arms, length.client_s, figures)
        measure_round(number, (SERVER_TASK,), server_arms, length.server_s, figures)
    notes = {name: client.note for name, client in clients.items() if client.note}
    print(f"{length.rounds} rounds; times {AIOHTTP} in the same round; processor time")
    print(*table(figures), "", *aims(figures), sep="\n")
    for name, reason in missing.items():
        print(f"{name} was not measured: {reason}")
    for name, note in notes.items():
        print(f"{name}: {note}")
    if file is not None:
        text = json.dumps(as_json(figures, notes, missing), indent=1)
        file.write_text(text + "\n", encoding="utf-8")
    return not failed(figures)


def main() -> int:
    """Do what the arguments say; 1: an aim was missed, 2: nothing could be measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="three short rounds, within a minute")
    parser.add_argument("--peers", action="store_true", help="install what ours is compared with")
    parser.add_argument("--profile", action="store_true", help="show where our time goes, only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    asked = parser.parse_args()
    if asked.peers:
        return install_peers()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes are ended
    with tempfile.TemporaryDirectory() as folder, Workplace(Path(folder)) as place:
        try:
            url = place.server("upstream", python_module("upstream")).url
            if asked.profile:
                profile(place, url)
                return 0
            return 0 if measure(place, url, QUICK if asked.quick else FULL, asked.json) else 1
        except ArmError as error:
            print(f"The benchmark cannot go on: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    sys.exit(main())
