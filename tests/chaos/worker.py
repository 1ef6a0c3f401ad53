"""A process that executes debates, and goes on with those that another one has left.

python -m tests.chaos.worker SPEC.json
"""

import asyncio
import ctypes
import json
import logging
import os
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import SecretStr

from agent_lab.config import load_settings
from agent_lab.contracts import RunRequest
from agent_lab.errors import AgentLabError, RunStateError
from agent_lab.lab import Lab, build

FLOW, ROUNDS = "challenge", 3
POLL_S = 0.02
FAILED, STORAGE_FAILED = 1, 4
"""How it exits: by a fault of its own, or because nothing can be kept."""


class Debate(NamedTuple):
    """A run that is asked for."""

    key: str
    """Its idempotency key."""
    question: str
    seed: int

    def request(self) -> RunRequest:
        """As a worker asks for it."""
        inputs = {"rounds": ROUNDS, "max_issues": 1}
        return RunRequest(
            flow=FLOW, input=self.question, inputs=inputs, seed=self.seed, lang="en", model="chaos"
        )


class WorkerSpec(NamedTuple):
    """What a worker does, and where."""

    database: str
    home: str
    outputs: str
    models_file: str
    report: str
    """The file that it writes its last words to: one line of JSON."""
    log: str
    """The file of its output and errors."""
    debates: tuple[Debate, ...] = ()
    """What it asks for."""
    takes_up: bool = True
    """Whether it looks for what others have left."""
    lease_s: float = 15.0
    dies_at: int = 0
    """Place in the log of its first debate at which it kills itself; 0: it does not."""
    cancels_at: str = ""
    """A file: once it is there, the first debate is cancelled."""
    powerless: bool = False
    """Whether permissions of files hold for it, though it may be root's."""

    def to_json(self) -> str:
        """As it is handed over."""
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, text: str) -> "WorkerSpec":
        """Read it back."""
        fields = json.loads(text)
        return cls(**{**fields, "debates": tuple(Debate(*d) for d in fields["debates"])})


def work(spec: WorkerSpec) -> int:
    """Do what is asked, and report; how to exit."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", force=True)
    if spec.powerless:
        give_up_powers()
    try:
        said, code = asyncio.run(_work(spec)), 0
    except AgentLabError as error:
        traceback.print_exc()
        said = {"error": error.code, "message": error.message, "hint": error.hint}
        code = STORAGE_FAILED
    except BaseException as bug:  # noqa: BLE001 - the process's boundary
        traceback.print_exc()
        said, code = {"error": "crash", "message": repr(bug)}, FAILED
    Path(spec.report).write_text(json.dumps(said) + "\n", encoding="utf-8")
    return code


async def _work(spec: WorkerSpec) -> dict[str, Any]:
    settings = load_settings(
        database_url=SecretStr(spec.database),
        home=Path(spec.home),
        outputs_dir=Path(spec.outputs),
        models_file=Path(spec.models_file),
        run_lease_s=spec.lease_s,
        max_attempts=1,
    )
    async with build(settings) as lab:
        started = [
            await lab.runs.start(debate.request(), idempotency_key=debate.key)
            for debate in spec.debates
        ]
        own: list[asyncio.Task[None]] = []
        if spec.dies_at:
            own.append(asyncio.create_task(_die(lab, started[0], spec.dies_at)))
        if spec.cancels_at:
            own.append(asyncio.create_task(_cancel(lab, started[0], Path(spec.cancels_at))))
        if spec.takes_up:
            await lab.runs.take_up()
        records = [await lab.runs.wait(run_id) for run_id in started]
        await asyncio.gather(*own)
    return {"runs": {record.id: record.status for record in records}}


async def _die(lab: Lab, run_id: str, seq: int) -> None:
    """Kill this process as soon as an event is in the log."""
    async for event in lab.runs.follow(run_id):
        if event.seq is not None and event.seq >= seq:
            os.kill(os.getpid(), signal.SIGKILL)


async def _cancel(lab: Lab, run_id: str, when: Path) -> None:
    """Cancel a run as soon as a file is there."""
    while not when.exists():  # noqa: ASYNC110, ASYNC240 - another process makes it
        await asyncio.sleep(POLL_S)
    with suppress(RunStateError):  # it has ended
        await lab.runs.cancel(run_id)


def give_up_powers() -> None:
    """Let permissions of files hold for this process: root's capabilities go."""
    version_3, nothing = 0x20080522, (ctypes.c_uint32 * 6)()
    header = (ctypes.c_uint32 * 2)(version_3, 0)
    library = ctypes.CDLL(None, use_errno=True)
    if library.capset(ctypes.byref(header), ctypes.byref(nothing)) != 0:
        raise OSError(ctypes.get_errno(), "capset")


if __name__ == "__main__":
    raise SystemExit(work(WorkerSpec.from_json(Path(sys.argv[1]).read_text("utf-8"))))
