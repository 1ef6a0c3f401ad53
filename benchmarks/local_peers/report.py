"""What the benchmark says: Markdown tables, the gates, and the same as JSON."""

import os
import platform
import shlex
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from local_peers.setting import Bench, Gate, Section

LIBRARIES = ("ai-agent-lab-v3", "xllamacpp")

Sections = Mapping[str, Section]
"""By name, as they were measured."""


def circumstances(bench: Bench) -> dict[str, str]:
    """On what is going to be measured."""
    return {
        "command": shlex.join(["python", *sys.argv]),
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
        "machine": f"{platform.machine()}, {bench.threads} cores",
        "rounds": str(bench.extent.rounds),
        "load": f"{os.getloadavg()[0]:.1f} when it began",
        "memory": f"read at {bench.bandwidth / 1e9:.1f} GB/s by all cores",
    }


def heading(about: Mapping[str, str]) -> Iterator[str]:
    """What stands above all sections."""
    yield f"`{about['command']}`: medians (least to most) of the rounds; ratios are those of one"
    yield "round. Every arm is a process of its own, and one works at a time."
    rest = (f"{name} {value}" for name, value in about.items() if name != "command")
    yield f"{', '.join(rest)}."


def told(name: str, section: Section) -> Iterator[str]:
    """A section, as Markdown."""
    yield from ("", f"## {name}", "", *section.text())


def gates(sections: Sections) -> list[Gate]:
    """What must hold."""
    return [gate for section in sections.values() for gate in section.gates()]


def verdict(gate: Gate) -> str:
    """One line for a gate."""
    word = "pass" if gate.holds else "FAIL"
    return f"- {word}: {gate.what} {gate.bound:g}: {gate.found:.2f}"


def as_json(about: Mapping[str, str], bench: Bench, sections: Sections) -> Any:
    """All figures, those of every round, too."""
    return {
        **about,
        "bytes_per_second_of_memory": bench.bandwidth,
        **{name: section.as_json() for name, section in sections.items()},
        "gates": [gate._asdict() for gate in gates(sections)],
    }
