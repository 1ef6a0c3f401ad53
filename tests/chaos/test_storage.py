"""The database fills up, is locked, or cannot be written: this is said, and runs go on later."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.chaos.figures import Figures, examine
from tests.chaos.stage import Stage, Worker, debates, staged
from tests.chaos.worker import STORAGE_FAILED, Debate

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(300)]
BREAKS_AT = 9
"""The request at which the database fails, of four debates."""
DISK = "2m"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that is soon full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("Only root may mount a file system of its own.")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(file: Path) -> None:
    """Write until there is no space left."""
    with suppress(OSError), file.open("wb", buffering=0) as open_file:
        while True:
            open_file.write(bytes(4096))
    assert shutil.disk_usage(file.parent).free == 0


async def broken_off(
    stage: Stage, own: tuple[Debate, ...], break_it: Callable[[], object]
) -> Worker:
    """A worker whose database fails in the middle of its debates."""
    worker = await stage.spawn(own)

    def fail(number: int) -> None:
        if number == BREAKS_AT:
            break_it()

    stage.upstream.on_request = fail
    said = await worker.report(STORAGE_FAILED)
    assert said["error"] == "storage_error"
    stage.upstream.count_anew()
    return worker


async def assert_goes_on(stage: Stage, own: tuple[Debate, ...]) -> None:
    figures = Figures("sqlite", in_flight=stage.take_stock(own).in_flight)
    await stage.finish(own)
    await examine(stage, own, figures)
    assert not figures.broken(), figures.broken()
    assert figures.repeats <= len(own)


async def test_a_full_disk_is_named_and_its_runs_go_on_once_there_is_space(
    tmp_path: Path, small_disk: Path
):
    async with staged(tmp_path / "stage", f"sqlite:///{small_disk / 'lab.db'}") as stage:
        own = debates(4, "full")
        filler = small_disk / "filler"

        worker = await broken_off(stage, own, lambda: fill(filler))
        assert "full" in worker.said()["message"]
        assert worker.said()["hint"].startswith("Free some space")
        filler.unlink()
        await assert_goes_on(stage, own)


async def test_a_database_that_is_locked_for_too_long_is_named_and_its_runs_go_on(tmp_path: Path):
    async with staged(tmp_path) as stage:
        own = debates(4, "locked")
        with closing(sqlite3.connect(tmp_path / "lab.db", isolation_level=None)) as other:
            worker = await broken_off(stage, own, lambda: other.execute("BEGIN EXCLUSIVE"))
            other.execute("ROLLBACK")
        assert "locked" in worker.said()["message"]
        assert worker.said()["hint"].startswith("End the program that holds it")
        await assert_goes_on(stage, own)


async def test_a_database_that_cannot_be_written_is_named_and_its_runs_go_on(tmp_path: Path):
    folder = tmp_path / "data"
    folder.mkdir()
    async with staged(tmp_path / "stage", f"sqlite:///{folder / 'lab.db'}") as stage:
        own = debates(4, "closed")
        worker = await stage.spawn(own)
        await stage.upstream.arrived.wait()
        await worker.process.kill()
        modes = {path: path.stat().st_mode for path in (*folder.iterdir(), folder)}
        for path, mode in modes.items():
            path.chmod(mode & 0o555)
        refused = await stage.spawn(own, powerless=os.geteuid() == 0)
        said = await refused.report(STORAGE_FAILED)
        assert said["error"] == "storage_error"
        assert str(folder / "lab.db") in said["message"]
        assert said["hint"]
        for path, mode in modes.items():
            path.chmod(mode)
        await assert_goes_on(stage, own)
