"""What this process may use: affinity and control groups count, of both versions."""

import os
from pathlib import Path

import psutil
import pytest

from agent_lab.providers.local import machine
from agent_lab.providers.local.machine import available_cores, available_ram, total_ram

GB = 1_000_000_000


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty control group: there are no limits."""
    monkeypatch.setattr(machine, "CONTROL_GROUP", tmp_path)
    (tmp_path / "memory").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("limit", "cores"), [("max 100000", 8), ("200000 100000", 2), ("50000 100000", 1), ("", 8)]
)
def test_cores_are_counted_by_affinity_and_control_group(
    limit: str, cores: int, group: Path, monkeypatch: pytest.MonkeyPatch
):
    (group / "cpu.max").write_text(limit, "utf-8")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert available_cores() == cores


def test_without_a_limit_the_machines_memory_counts(group: Path):
    (group / "memory.max").write_text("max\n", "utf-8")
    (group / "memory/memory.limit_in_bytes").write_text("9223372036854771712\n", "utf-8")
    assert total_ram() == psutil.virtual_memory().total
    assert available_ram() == pytest.approx(psutil.virtual_memory().available, rel=0.2)


@pytest.mark.parametrize(
    ("limit", "usage", "statistics", "line"),
    [
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            "memory/memory.stat",
            "total_inactive_file",
        ),
    ],
    ids=["version 2", "version 1"],
)
def test_within_a_group_its_limit_counts_and_what_the_kernel_can_drop_is_free(
    limit: str, usage: str, statistics: str, line: str, group: Path
):
    (group / limit).write_text(f"{GB // 2}\n", "utf-8")
    (group / usage).write_text(f"{GB // 4}\n", "utf-8")
    (group / statistics).write_text(f"anon 5\n{line} {GB // 10}\n", "utf-8")
    assert total_ram() == GB // 2
    assert available_ram() == GB // 2 - (GB // 4 - GB // 10)


def test_a_group_that_uses_all_it_may_has_nothing_free(group: Path):
    (group / "memory.max").write_text("1000", "utf-8")
    (group / "memory.current").write_text("2000", "utf-8")
    assert available_ram() == 0
