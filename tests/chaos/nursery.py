"""Forks workers from a process that has imported everything: one is there in milliseconds.

python -m tests.chaos.nursery: reads a line of JSON for each worker that it shall fork, and writes
`born PID` and `gone PID STATUS`. At the end of its input it kills those that are left.
"""

import asyncio
import importlib
import os
import pkgutil
import select
import signal
import subprocess
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.chaos.worker import WorkerSpec, work

OURS = ("AGENT_LAB_", "OPENAI_", "ANTHROPIC_", "HF_", "XDG_")
REPOSITORY = Path(__file__).parent.parent.parent
STARTUP_S = 60.0


class WorkerProcess:
    """A worker.

    Args:
        pid: Its number.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        # A number may be another process's by now: by a handle, only this one is meant.
        self._handle: int | None = None
        with suppress(ProcessLookupError):
            self._handle = os.pidfd_open(pid)
        self.gone: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """How it exited; the negative number of the signal that killed it."""

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self._handle is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    def bury(self, code: int) -> None:
        """Note that it has ended."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        self.gone.set_result(code)

    async def kill(self) -> int:
        """Kill it, and wait until it is dead."""
        self.send(signal.SIGKILL)
        return await self.gone


class Nursery:
    """Where workers come from.

    Args:
        folder: Where it works.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._workers: dict[int, WorkerProcess] = {}
        self._born: asyncio.Queue[WorkerProcess] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        kept = {name: v for name, v in os.environ.items() if not name.startswith(OURS)}
        sources = [str(REPOSITORY), *filter(None, [kept.get("PYTHONPATH")])]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.chaos.nursery",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._folder,
            start_new_session=True,  # Ctrl-C ends the harness, and the harness ends this
            env={**kept, "PYTHONPATH": os.pathsep.join(sources), "AGENT_LAB_OFFLINE": "true"},
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(STARTUP_S):
            assert await self._process.stdout.readline() == b"ready\n"
        self._reading = asyncio.create_task(self._read(self._process.stdout))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._reading

    async def spawn(self, spec: WorkerSpec) -> WorkerProcess:
        """Fork a worker."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{spec.to_json()}\n".encode())
        return await self._born.get()

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            what, pid, *status = line.split()
            if what == b"born":
                worker = self._workers[int(pid)] = WorkerProcess(int(pid))
                self._born.put_nowait(worker)
            else:
                code = os.waitstatus_to_exitcode(int(status[0]))
                self._workers.pop(int(pid)).bury(code)


def _fork(line: bytes) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        spec = WorkerSpec.from_json(line.decode())
        log = os.open(spec.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        code = work(spec)
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - a child must never go on as its parent
        traceback.print_exc()
    finally:
        os._exit(code)


def _serve() -> None:
    import_everything()
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    living: set[int] = set()
    _say("ready")
    unread = b""
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready:
            os.read(woken, 512)
            _bury(living)
        if 0 not in ready:
            continue
        if not (news := os.read(0, 1 << 16)):
            break
        *lines, unread = (unread + news).split(b"\n")
        for line in lines:
            pid = _fork(line)
            living.add(pid)
            _say(f"born {pid}")
    for pid in living:
        os.kill(pid, signal.SIGKILL)


def _bury(living: set[int]) -> None:
    for pid in tuple(living):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            living.discard(pid)
            _say(f"gone {pid} {status}")


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def import_everything() -> None:
    """What a worker would import later, at its first use; nothing of this starts a thread."""
    nodes = importlib.import_module("agent_lab.orchestrator.nodes")
    inside = [f"{nodes.__name__}.{module.name}" for module in pkgutil.iter_modules(nodes.__path__)]
    for name in (*_LATE, *inside):
        importlib.import_module(name)


_LATE = (
    "agent_lab.providers.local.local_provider",
    "agent_lab.providers.remote.openai_provider",
    "alembic.command",
    "alembic.config",
    "jsonschema_rs",
    "langchain_core.tracers.context",
    "langchain_core.tracers.run_collector",
    "langchain_core.tracers.stdout",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
)


if __name__ == "__main__":
    _serve()
