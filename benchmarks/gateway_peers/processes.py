"""The processes of the benchmark: each has a log, and none sees anything of the user's machine."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Timer
from typing import Any

import psutil

from gateway_peers.harness import Order, Spent

LONGEST_START_S = 90.0
LONGEST_ORDER_S = 120.0
LONGEST_END_S = 10.0
_IMPORTABLE = Path(__file__).resolve().parents[1]
_HOMES = ("HOME", "AGENT_LAB_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")
_ADDRESS = re.compile(r"Listening on (http://127\.0\.0\.1:\d+)")


class ArmError(Exception):
    """An arm does not work here; the message says why."""


class Client:
    """A process that makes calls; see `harness`."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self._process = process
        self._log = log
        self.note = str(self._answer(LONGEST_START_S)["note"])
        """What it says of itself: versions, or what it cannot do."""

    def measure(self, order: Order) -> Spent:
        """Let it make calls.

        Raises:
            ArmError: It failed.
        """
        if self._process.stdin is None:
            raise TypeError("A client is started with pipes.")
        with suppress(BrokenPipeError):  # reading its answer says why
            self._process.stdin.write(json.dumps(order._asdict()) + "\n")
            self._process.stdin.flush()
        return Spent(**self._answer(LONGEST_ORDER_S + order.seconds))

    def _answer(self, seconds: float) -> dict[str, Any]:
        alarm = Timer(seconds, self._process.kill)
        alarm.start()
        try:
            for line in self._process.stdout or ():
                if line.startswith("{"):  # libraries print, too
                    answer: dict[str, Any] = json.loads(line)
                    return answer
        finally:
            alarm.cancel()
        raise ArmError(_last_line(self._log) or f"no answer within {seconds:g} s")


class Server:
    """A process that answers HTTP, and the address at which it does."""

    def __init__(self, process: "subprocess.Popen[str]", url: str) -> None:
        self._process = psutil.Process(process.pid)
        self.url = url

    def cpu_s(self) -> float:
        """User and system time of the process and of those that it started."""
        family = [self._process, *self._process.children(recursive=True)]
        times = [process.cpu_times() for process in family]
        return sum(spent.user + spent.system for spent in times)


class Workplace(ExitStack):
    """A folder that every process runs in; leaving it ends them all.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        homes = {name: str(folder) for name in _HOMES}
        self._environment = {**kept, **homes, "PYTHONPATH": str(_IMPORTABLE)}

    def client(self, name: str, command: Sequence[str], **environment: str) -> Client:
        """Start a client and wait until it takes orders.

        Args:
            name: What its log is called.
            command: How it is started.
            environment: Variables that it gets beside the few that all have.

        Raises:
            ArmError: It does not start.
        """
        log = self._log(name)
        return Client(self._start(command, log, environment, subprocess.PIPE), log)

    def server(self, name: str, command: Sequence[str], **environment: str) -> Server:
        """Start a server that says where it listens, and wait until it does.

        Args:
            name: What its log is called.
            command: How it is started.
            environment: Variables that it gets beside the few that all have.

        Raises:
            ArmError: It does not start.
        """
        log = self._log(name)
        process = self._start(command, log, environment)
        said = _wait(process, log, lambda: _ADDRESS.search(log.read_text(encoding="utf-8")))
        return Server(process, said[1])

    def server_at(self, port: int, name: str, command: Sequence[str], **environment: str) -> Server:
        """Start a server that is told its port, and wait until it listens; else as `server`."""
        log = self._log(name)
        process = self._start(command, log, environment)
        _wait(process, log, lambda: _listens(port))
        return Server(process, f"http://127.0.0.1:{port}")

    def _log(self, name: str) -> Path:
        return self.folder / f"{re.sub(r'[^a-zA-Z0-9]+', '-', name)}.log"

    def _start(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        stdout: int | None = None,
    ) -> "subprocess.Popen[str]":
        with log.open("w", encoding="utf-8") as lines:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=lines if stdout is None else stdout,
                stderr=lines,
                cwd=self.folder,
                env={**self._environment, **environment},
                text=True,
                start_new_session=True,
            )
        self.callback(_end, process)
        return process


def python_module(module: str, *arguments: str, python: str | Path = sys.executable) -> list[str]:
    """The command that runs a module beside this one."""
    return [str(python), "-m", f"gateway_peers.{module}", *arguments]


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as opened:
        port: int = opened.getsockname()[1]
        return port


def _wait(
    process: "subprocess.Popen[str]", log: Path, ready: "Callable[[], re.Match[str] | bool | None]"
) -> Any:
    end = time.monotonic() + LONGEST_START_S
    while process.poll() is None and time.monotonic() < end:
        if found := ready():
            return found
        time.sleep(0.05)
    raise ArmError(_last_line(log) or f"it does not listen within {LONGEST_START_S:g} s")


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""


def _end(process: "subprocess.Popen[str]") -> None:
    """End a process and those that it started."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(LONGEST_END_S)
            break
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()
