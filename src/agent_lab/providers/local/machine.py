"""What this process may use of its machine: cores and main memory.

Affinity and control groups count: a container may use less than there is.
"""

import os
from pathlib import Path

import psutil

CONTROL_GROUP = Path("/sys/fs/cgroup")
"""Where the kernel says what a container may use: the files of version 2, and of version 1."""
UNLIMITED = 1 << 60
"""Version 1 writes a number without meaning where there is no limit: a page less than 2^63."""


def available_cores() -> int:
    """Processor cores that this process may use."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    try:
        quota, period = (CONTROL_GROUP / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))


def total_ram() -> int:
    """Main memory that this process could have, in bytes."""
    limit = _group_limit()
    total = psutil.virtual_memory().total
    return total if limit is None else min(total, limit)


def available_ram() -> int:
    """Main memory in bytes that is free for it now: without swapping, within its group's limit."""
    available, limit = psutil.virtual_memory().available, _group_limit()
    if limit is None:
        return available
    return max(0, min(available, limit - _group_usage()))


def _group_limit() -> int | None:
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        limit = _number(name)
        if limit is not None and limit < UNLIMITED:
            return limit
    return None


def _group_usage() -> int:
    """What the group uses, without pages of files that the kernel drops when it needs room."""
    for usage, statistics, droppable in (
        ("memory.current", "memory.stat", "inactive_file"),
        ("memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
    ):
        used = _number(usage)
        if used is not None:
            return max(0, used - _statistic(statistics, droppable))
    return 0


def _number(name: str) -> int | None:
    try:
        return int((CONTROL_GROUP / name).read_text(encoding="ascii"))
    except (OSError, ValueError):  # no such file, or `max`
        return None


def _statistic(name: str, field: str) -> int:
    try:
        text = (CONTROL_GROUP / name).read_text(encoding="ascii")
    except OSError:
        return 0
    rows = (line.split() for line in text.splitlines())
    return next((int(row[1]) for row in rows if row[0] == field), 0)
