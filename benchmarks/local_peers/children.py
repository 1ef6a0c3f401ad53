"""The children: processes that each have one model, and loops that keep cores busy."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import Any

from orchestrator_peers.measuring import BenchmarkError

from local_peers.setting import Bench, Model

LONGEST_ORDER_S = 900.0
LONGEST_END_S = 5.0
OUR_SPIN = {"GOMP_SPINCOUNT": "1000"}
"""As our engine sets it; that it does is checked."""
_IMPORTABLE = Path(__file__).resolve().parents[1]
_HOMES = ("HOME", "AGENT_LAB_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")
_BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n for _ in range(10**6): 0"
"""A loop that does not outlive who started it."""


class NoEndError(BenchmarkError):
    """A child did not carry out an order in time, and was ended."""


class Child:
    """A process that takes orders; see `child`."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self._process = process
        self._log = log
        self.facts = self._answer(LONGEST_ORDER_S)
        """What it says of itself."""

    def order(self, do: str, *, limit_s: float = LONGEST_ORDER_S, **options: Any) -> dict[str, Any]:
        """Let it do something, and wait until it is done.

        Args:
            do: What.
            limit_s: Seconds after which it is ended.
            options: How.

        Raises:
            NoEndError: It was not done in time.
            BenchmarkError: The child failed.
        """
        if self._process.stdin is None:
            raise TypeError("A child is started with pipes.")
        with suppress(BrokenPipeError):  # reading its answer says why
            self._process.stdin.write(json.dumps({"do": do, **options}) + "\n")
            self._process.stdin.flush()
        return self._answer(limit_s)

    def _answer(self, limit_s: float) -> dict[str, Any]:
        alarm = Timer(limit_s, self._process.kill)
        alarm.start()
        try:
            for line in self._process.stdout or ():
                if line.startswith("{"):  # libraries print, too
                    answer: dict[str, Any] = json.loads(line)
                    return answer
        finally:
            alarm.cancel()
        if self._process.wait() == -signal.SIGKILL:
            raise NoEndError(f"A child had no end in {limit_s:g} s, or was ended by the system.")
        said = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise BenchmarkError(f"A child failed: {said[-1] if said else 'it says nothing'}")


class Children(ExitStack):
    """The children of a section; leaving it ends them all.

    Args:
        bench: What is measured.
    """

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self._bench = bench
        self._started = 0

    def bare(
        self, model: Model, *, slots: int, context: int, spin: Mapping[str, str] = OUR_SPIN
    ) -> Child:
        """Start the engine by hand, and wait until it takes orders.

        Raises:
            BenchmarkError: It does not start.
        """
        load = {"slots": slots, "context": context, "threads": self._bench.threads}
        return self._start("bare", {"weights": str(model.weights), **load}, spin)

    def ours(self, model: Model, *, slots: int, context: int, **options: Any) -> Child:
        """Start the lab, and wait until it takes orders.

        Raises:
            BenchmarkError: It does not start, or is loaded in another way than the engine by hand.
        """
        settings = {
            "MODEL_CACHE_DIR": str(model.weights.parent),
            "AGENT_LAB_OFFLINE": "true",
            "AGENT_LAB_LOCAL_SLOTS": str(slots),
            "AGENT_LAB_LOCAL_CONTEXT": str(context),
            "AGENT_LAB_LOCAL_THREADS": str(self._bench.threads),
            "AGENT_LAB_LOCAL_IDLE_UNLOAD_S": "0",  # it stays while others have their turn
        }
        child = self._start("ours", {"model": model.key, **options}, settings)
        meant = {"slots": slots, "context": context, "spin": OUR_SPIN}
        if child.facts.get("slots") and child.facts != meant:
            raise BenchmarkError(f"`{model.key}` is loaded with {child.facts}, not {meant}.")
        return child

    def _start(
        self, module: str, options: Mapping[str, Any], environment: Mapping[str, str]
    ) -> Child:
        self._started += 1
        log = self._bench.folder / f"{module}-{self._started}.log"
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        homes = {name: str(self._bench.folder) for name in _HOMES}
        with log.open("w", encoding="utf-8") as lines:
            process = subprocess.Popen(
                [sys.executable, "-m", f"local_peers.{module}", json.dumps(options)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=lines,
                cwd=self._bench.folder,
                env={**kept, **homes, "PYTHONPATH": str(_IMPORTABLE), **environment},
                text=True,
            )
        self.callback(_end, process)
        return Child(process, log)


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """Keep so many cores busy meanwhile."""
    command = [sys.executable, "-c", _BUSY]
    started = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(loops)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def _end(process: "subprocess.Popen[str]") -> None:
    """End a child: it ends with its stdin."""
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()
    try:
        process.wait(LONGEST_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
