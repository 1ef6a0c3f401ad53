"""Starts an engine in a process of its own, and speaks with it."""

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

import orjson

Line = Mapping[str, Any]

PATIENCE_S = 0.2
"""How long an engine that says nothing keeps a call from noticing that it is cancelled."""
LAST_S = 5.0
"""How long it has to end by itself."""
# What the engine imports is what this process would: where it finds things goes with it.
_START = (
    "import sys; import json; sys.path[:] = json.loads(sys.argv[1]); "
    "import importlib; importlib.import_module(sys.argv[2]).main()"
)


class EngineEndedError(Exception):
    """The process has ended, and not because it was asked to; the text says how."""


class EngineProcess:
    """A process that answers calls, several at once.

    Args:
        module: What runs in it: a module with a `main`, which speaks lines of JSON.
        environment: Variables that it has besides this process's own.
    """

    def __init__(self, module: str, environment: Mapping[str, str]) -> None:
        path = orjson.dumps([entry or os.getcwd() for entry in sys.path]).decode()
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", _START, path, module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **environment},
            # Ctrl-C is for us to hear: we end it once its work is no longer wanted.
            process_group=0 if os.name == "posix" else None,
        )
        self._sending = threading.Lock()
        self._numbers = itertools.count(1)
        self._calls: dict[int, SimpleQueue[Line | None]] = {}
        self._reader: threading.Thread | None = None
        self.alive = True
        """Whether it takes calls."""

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def ask(self, line: Line) -> Line:
        """Say the first thing, and wait for the answer.

        Raises:
            EngineEndedError: There is none.
        """
        try:
            self._send(line)
            answer = self._out.readline()
        except OSError:
            answer = b""
        if not answer:
            raise self._ended()
        said: Line = orjson.loads(answer)
        return said

    def serve(self) -> None:
        """From now on, answers belong to calls."""
        self._reader = threading.Thread(target=self._read, name="engine-reader", daemon=True)
        self._reader.start()

    def call(self, body: Line, cancelled: Callable[[], bool]) -> Iterator[Line]:
        """Make a call, and give what is said to it, until its end.

        Args:
            body: The call, without its number.
            cancelled: Asked often; True stops the work behind the call.

        Raises:
            EngineEndedError: The process ended before the call did.
        """
        number, heard = next(self._numbers), SimpleQueue[Line | None]()
        self._calls[number] = heard
        try:
            if not self.alive:
                raise self._ended()
            self._send({"id": number, **body})
            yield from self._heard(number, heard, cancelled)
        except OSError as error:
            raise self._ended() from error
        finally:
            del self._calls[number]

    def close(self) -> None:
        """End the process, and wait for that: its memory is free then."""
        self.alive = False
        with self._sending, suppress(OSError):
            self._in.close()
        self._waited_for()
        if self._reader is not None:
            self._reader.join()
        self._out.close()

    def _heard(
        self, number: int, heard: "SimpleQueue[Line | None]", cancelled: Callable[[], bool]
    ) -> Iterator[Line]:
        told = False
        while True:
            if not told and cancelled():
                self._send({"id": number, "stop": True})
                told = True
            try:
                line = heard.get(timeout=PATIENCE_S)
            except Empty:
                continue
            if line is None:
                raise self._ended()
            yield line
            if "chunk" not in line:
                return

    def _read(self) -> None:
        for text in self._out:
            line = orjson.loads(text)
            heard = self._calls.get(line["id"])
            if heard is not None:  # else nobody waits for it any more
                heard.put(line)
        self.alive = False
        for heard in list(self._calls.values()):
            heard.put(None)

    def _send(self, line: Line) -> None:
        with self._sending:
            self._in.write(orjson.dumps(line) + b"\n")
            self._in.flush()

    def _ended(self) -> EngineEndedError:
        self.alive = False
        code = self._waited_for()
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return EngineEndedError(how)

    def _waited_for(self) -> int:
        """The process's exit code, once it has ended."""
        try:
            return self._process.wait(LAST_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    @property
    def _in(self) -> Any:
        return self._process.stdin

    @property
    def _out(self) -> Any:
        return self._process.stdout
