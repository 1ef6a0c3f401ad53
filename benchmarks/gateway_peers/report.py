"""What the benchmark says: one table, the aims, and the same as JSON."""

import platform
from collections.abc import Iterator, Mapping
from typing import Any

from gateway_peers.measuring import AIMS, TASKS, Aim, Figures


def table(figures: Figures) -> Iterator[str]:
    """One row for each task and arm."""
    yield f"{'task':21} {'arm':18} {'times':>7} {'least':>7} {'most':>7} {'CPU us per':>13}"
    for name, task in TASKS.items():
        for arm in figures.rounds[name]:
            if found := figures.ratio(name, arm, task.reference):
                yield (
                    f"{name:21} {arm:18} {found.median:7.2f} {found.least:7.2f} "
                    f"{found.most:7.2f} {found.microseconds:8.1f} {task.unit}"
                )


def aims(figures: Figures) -> Iterator[str]:
    """One line for each aim."""
    for aim in AIMS:
        found = figures.ratio(aim.task, aim.arm, aim.reference)
        reached = f"{found.median:.2f}" if found else "-"
        yield (
            f"{_verdict(figures, aim):13} {aim.text}: {reached} of at most {aim.limit:g} times "
            f"{aim.reference}"
        )


def _verdict(figures: Figures, aim: Aim) -> str:
    found = figures.ratio(aim.task, aim.arm, aim.reference)
    if found is None:
        return "not measured"
    return "met" if found.median <= aim.limit else "MISSED"


def failed(figures: Figures) -> bool:
    """Whether an aim was missed."""
    return any(_verdict(figures, aim) == "MISSED" for aim in AIMS)


def as_json(figures: Figures, notes: Mapping[str, str], missing: Mapping[str, str]) -> Any:
    """All figures, those of every round, too."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "notes": dict(notes),
        "missing": dict(missing),
        "tasks": {
            name: {
                "unit": task.unit,
                "reference": task.reference,
                "arms": {
                    arm: {**found._asdict(), "rounds": figures.rounds[name][arm]}
                    for arm in figures.rounds[name]
                    if (found := figures.ratio(name, arm, task.reference))
                },
            }
            for name, task in TASKS.items()
        },
        "aims": [{**aim._asdict(), "verdict": _verdict(figures, aim)} for aim in AIMS],
    }
