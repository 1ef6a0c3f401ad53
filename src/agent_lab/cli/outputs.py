"""Where the result of a command goes: stdout or a file, as text or as JSON; and one-line news."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from agent_lab.errors import AgentLabError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from agent_lab.contracts import ErrorInfo

# Everything that could move the cursor or start an escape sequence: model output is not trusted.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_HINT = "agent-lab … -o FILE in a folder that you can write"


INTERRUPTED = 130
"""Exit code after Ctrl-C."""


class Interrupted(Exception):  # noqa: N818 - the user's wish, no error
    """Ctrl-C, with what is left of the work as its message."""


class Line(NamedTuple):
    """A line of what is shown of a run."""

    text: str
    style: str = ""
    """As `rich` names it."""


def say(line: str) -> None:
    """Write one line to stderr."""
    typer.echo(safe(f"agent-lab: {' '.join(line.split())}"), err=True)


def fail(error: "AgentLabError | ErrorInfo") -> int:
    """Say in one line what is wrong and what to do about it; return the exit code."""
    say(f"{error.message} Try: {error.hint}" if error.hint else error.message)
    return error.exit_code


def safe(text: str) -> str:
    """Take out of a text what could drive the terminal."""
    return _CONTROL.sub("", text)


def beginning(text: str, most: int) -> str:
    """The beginning of a text in one line.

    Args:
        text: The text.
        most: Characters.
    """
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def show(text: str) -> None:
    """Write a text that may hold what others wrote, such as a flow's, to stdout."""
    typer.echo(safe(text))


def show_json(value: Any) -> None:
    """Write a value as JSON to stdout."""
    import json

    typer.echo(json.dumps(value, indent=2))


class Output:
    """The result of one command.

    Args:
        file: None: stdout.
        as_json: Write the whole result, not only its text.
    """

    def __init__(self, file: Path | None, *, as_json: bool) -> None:
        self._file = file
        self.as_json = as_json

    def check(self) -> None:
        """Find out before anything is paid for whether the result can be written.

        Raises:
            StorageError: It cannot.
        """
        if self._file is not None:
            from agent_lab.runs.files import check_writable

            check_writable(self._file.parent, _HINT)

    def write(self, text: str, result: "BaseModel", *, already_seen: bool = False) -> None:
        """Write the result.

        Args:
            text: The answer.
            result: What `--json` shows.
            already_seen: The text stands on the terminal already.
        """
        content = result.model_dump_json(indent=2) if self.as_json else text
        if self._file is not None:
            from agent_lab.runs.files import write_atomically

            write_atomically(self._file, content.rstrip() + "\n", _HINT)
        elif self.as_json or not already_seen:
            typer.echo(safe(content) if sys.stdout.isatty() else content, color=True)
