"""Shows a run on the terminal while it happens: every turn as it is written, and every count."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_lab.cli.outputs import Line, safe
from agent_lab.cli.turn_order import OneAtATime
from agent_lab.cli.turn_texts import speaker, took
from agent_lab.cli.vote_lines import baseline_lines, vote_lines

if TYPE_CHECKING:
    from rich.console import Console

    from agent_lab.contracts import RunRecord, Turn
    from agent_lab.runs.events import RunEvent

COMPLETED = "completed"
"""The stop reason of a run that no rule stopped."""
COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")


def plain_console(**options: Any) -> "Console":
    """A console that shows text as it is: brackets in it are no markup, numbers no highlights.

    Args:
        options: As `rich.console.Console` takes them, over ours.
    """
    from rich.console import Console

    plain = {"stderr": True, "soft_wrap": True, "highlight": False, "markup": False}
    return Console(**(plain | options))


def view_if_wanted(stream: bool | None, *, verbose: bool) -> "LiveView | None":
    """A view, if anybody is going to look.

    Args:
        stream: Whether it is wanted; None: on a terminal only, or for the prompts.
        verbose: Also show the prompts.
    """
    wanted = sys.stderr.isatty() or verbose if stream is None else stream
    return LiveView(verbose=verbose) if wanted else None


class LiveView:
    """Listens to one run; turns that are taken at the same time are shown one after the other.

    Args:
        verbose: Also show the prompts.
        console: Where to; None: stderr.
    """

    def __init__(self, *, verbose: bool, console: "Console | None" = None) -> None:
        self._console = console or plain_console()
        self._verbose = verbose
        self._waiting = self._console.status("")
        self._in_order = OneAtATime()
        self._models: dict[str, str] = {}
        self._colours: dict[str, str] = {}
        self._turn = ""
        self._turns = 0
        self._streamed = ""
        self._writing = False  # the cursor stands behind a piece of a turn

    def __call__(self, event: "RunEvent") -> None:
        """Show one event, or keep it until the turn before it has ended."""
        for due in self._in_order(event):
            self._show(due)

    def _show(self, event: "RunEvent") -> None:
        show = {
            "RUN_STARTED": self._run_started,
            "TEXT_MESSAGE_START": self._turn_started,
            "TEXT_MESSAGE_CONTENT": self._delta,
            "TEXT_MESSAGE_END": self._turn_ended,
            "STEP_FINISHED": self._step_ended,
            "ACTIVITY_SNAPSHOT": self._activity,
            "RUN_ERROR": self._stopped,
        }.get(event.type)
        if show is not None:
            show(event)

    def count_from(self, turns: int) -> None:
        """Number the turns after those that an earlier execution had."""
        self._turns = turns

    def end(self) -> None:
        """Leave the terminal as it was found, with the cursor on a line of its own."""
        self._waiting.stop()
        if self._writing:
            self._writing = False
            self._console.print()

    def show_cursor(self) -> None:
        """Show the cursor that `end` would show, whatever else is going on."""
        self._console.show_cursor()

    def has_shown(self, text: str) -> bool:
        """Whether what was shown last is a turn with this text, whatever it was closed with."""
        return bool(text.strip()) and self._streamed.strip().startswith(text.strip())

    def summary(self, record: "RunRecord", path: Path) -> None:
        """Show what the run is compared with, what it took, why it ended, and where it is saved."""
        lines = compared(record)
        for line in [Line(""), *lines] if lines else []:
            self._console.print(line.text, style=line.style)
        stopped = (
            "" if record.stop_reason in ("", COMPLETED) else f" Stopped: {record.stop_reason}."
        )
        self._console.print(record.summary + stopped, style="bold")
        if path.exists():
            self._console.print(f"Saved: {path}", style="dim")

    def _run_started(self, event: "RunEvent") -> None:
        run = event.payload["run"]
        self._models = {member["role"]: member["model"] for member in event.payload["cast"]}
        for role in self._models:
            self._colour(role)
        self._console.print(f"{run['flow']} · seed {run['seed']} · {run['lang']}", style="dim")

    def _turn_started(self, event: "RunEvent") -> None:
        told = event.payload["metadata"]
        path = event.payload["messageId"].rpartition(":")[0].rpartition(":")[0]
        role, draw = speaker(path, told["node"], event.payload["name"])
        self._streamed, self._writing = "", False
        if event.payload["messageId"] == self._turn:
            self._console.print("\n↻ broke off; it begins anew", style="yellow")
            return
        self._turn = event.payload["messageId"]
        self._turns += 1
        place = f" · round {told['round']}" if told["round"] > 1 else ""
        place += f" · retry {told['retry']}" if told["retry"] else ""
        self._console.print(
            f"\n━━ {self._turns} · {role}{draw}{place}",
            style=f"bold {self._colour(role)}",
            end="",
        )
        self._console.print(f" · {told['model'] or self._models.get(role, '')}", style="dim")
        if self._verbose:
            for message in told["messages"]:
                self._console.print(f"[{message['role']}]", style="dim italic")
                self._console.print(safe(message["content"]), style="dim")
            self._console.print("[answer]", style="dim italic")
        if self._console.is_terminal:
            self._waiting.update(f"{role}{draw} is thinking …")
            self._waiting.start()

    def _delta(self, event: "RunEvent") -> None:
        self._waiting.stop()
        self._writing = True
        text = safe(event.payload["delta"])
        if event.payload["reasoning"]:
            self._console.print(text, end="", style="dim italic")
            return
        self._streamed += text
        self._console.print(text, end="")

    def _turn_ended(self, event: "RunEvent") -> None:
        from agent_lab.contracts import Turn

        self._waiting.stop()
        turn = Turn.model_validate(event.payload["turn"])
        if not self._writing:
            self._whole(turn)  # from the log, which keeps no pieces
        self._writing = False
        if turn.error is not None:
            self._console.print(f"\n✗ {safe(turn.error.message)}", style="red")
            return
        self._console.print("\n" + took(turn), style="dim")
        if turn.fallback_from and len(turn.attempts) > 1:
            said = f"{turn.model_resolved} answered for {turn.fallback_from}"
            self._console.print(said, style="yellow")
        if turn.finish_reason == "length":
            self._console.print("Cut at its token limit; --max-tokens raises it.", style="yellow")

    def _step_ended(self, event: "RunEvent") -> None:
        step = event.payload["step"]
        if not step.get("vote"):
            return
        self._streamed = ""
        self._console.print()
        for line in vote_lines(step["path"], step["vote"]):
            self._console.print(line.text, style=line.style)

    def _whole(self, turn: "Turn") -> None:
        if turn.reasoning:
            self._console.print(safe(turn.reasoning), style="dim italic")
        self._streamed = safe(turn.text)
        self._console.print(self._streamed, end="")

    def _activity(self, event: "RunEvent") -> None:
        line = resumed(event)
        if line:
            self.end()
            self._console.print(f"\n↻ {line}", style="yellow")

    def _stopped(self, event: "RunEvent") -> None:
        self.end()

    def _colour(self, role: str) -> str:
        self._colours.setdefault(role, COLOURS[len(self._colours) % len(COLOURS)])
        return self._colours[role]


def compared(record: "RunRecord") -> list[Line]:
    """What is said of the baseline of a run; empty: it has none."""
    from agent_lab.contracts.baseline import Baseline

    if record.baseline is None:
        return []
    return list(baseline_lines(Baseline.model_validate(record.baseline)))


def resumed(event: "RunEvent") -> str:
    """What is said when a run is gone on with; empty: this is another event."""
    if event.payload.get("activityType") != "lab.run_resumed":
        return ""
    turns = event.payload["content"]["turns"]
    number = "1 turn is" if turns == 1 else f"{turns} turns are"
    return f"{number} in the journal, and not asked again."
