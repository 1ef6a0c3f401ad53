"""Watches a run from the command line, and says what is left of one that was broken off."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from agent_lab.cli.live_view import COMPLETED, LiveView, compared, resumed
from agent_lab.cli.outputs import Interrupted, Output, fail, say
from agent_lab.cli.session import open_settings, say_fallback, with_lab
from agent_lab.errors import StorageError

WAITING = "lab.run_waiting"
"""`runs.events.WAITING`, which would load more than most commands need."""

if TYPE_CHECKING:
    from agent_lab.contracts import RunRecord
    from agent_lab.flows.graph_configs import FlowConfig
    from agent_lab.lab import Lab
    from agent_lab.runs.events import RunEvent
    from agent_lab.runs.service import RunService


class Watch:
    """Listens to a run for the command line.

    Args:
        view: Shows it; None: nobody looks.
    """

    def __init__(self, view: LiveView | None) -> None:
        self.view = view
        self.run_id = ""
        self.finished = 0
        """Turns that are kept."""
        self.awaited: list[str] = []
        """Turns for which the run waits."""
        self.questions: dict[str, str] = {}
        """By turn: what was asked last."""
        self._last = 0
        self._known = 0
        self._has_answer = False
        self._file: Path | None = None
        self._problem = ""

    def go_on(self, run_id: str, known: int, finished: int) -> None:
        """Watch the rest of a run that is gone on with.

        Args:
            run_id: The run.
            known: The last place of its log before; what comes up to it is not shown again.
            finished: Its turns that have ended.
        """
        self.run_id, self._known = run_id, known
        if self.view is not None:
            self.view.count_from(finished)

    def __call__(self, event: "RunEvent") -> None:
        """Take one event."""
        if event.seq is not None:
            self._last = event.seq
        if event.type == "RUN_STARTED":
            self._run_started(event)
        if event.type == "TEXT_MESSAGE_START":
            messages = event.payload["metadata"]["messages"]
            self.questions[event.payload["messageId"]] = messages[-1]["content"]
        if event.payload.get("activityType") == WAITING:
            self.awaited = list(event.payload["content"]["turns"])
        self.finished += event.type == "TEXT_MESSAGE_END"
        self._has_answer = event.type == "RUN_FINISHED"
        # A piece of a turn has no place: it belongs behind the last event that has one.
        is_piece_of_known = event.seq is None and self._last < self._known
        is_known = is_piece_of_known or (event.seq is not None and event.seq <= self._known)
        is_new = not is_known or event.type == "RUN_STARTED"
        if is_new and self.view is not None:
            self.view(event)
        elif is_new and resumed(event):
            say(resumed(event))

    async def catch_up(self, runs: "RunService") -> None:
        """Take what came of a run while it was stopped."""
        if not self.run_id:
            return
        try:
            log = await runs.log(self.run_id)
        except StorageError as error:
            self._problem = error.message
            return
        for event in log.served(self._last):
            self(event)
        self._file = runs.record_path(log.header.flow, self.run_id)

    def left_behind(self) -> str:
        """What is left of a run that was interrupted."""
        if self._has_answer:
            return f"The run has ended. Try: agent-lab runs show {self.run_id}"
        if self._problem:
            return f"{self._problem} Try: {self._command}"
        has_file = self._file is not None and self._file.exists()
        where = f"in `{self._file}`" if has_file else "in the database only"
        return f"{_turns_are(self.finished)} saved {where}. Try: {self._command}"

    def last_words(self) -> str:
        """What is left of a run whose end nobody waits for."""
        if self.view is not None:
            self.view.show_cursor()
        if not self.run_id:
            return ""
        return f"{_turns_are(self.finished)} saved. Try: {self._command}"

    def broken_off(self, error: StorageError) -> StorageError:
        """An error that a run broke off by, with the way to go on."""
        hint = error.hint.replace("RUN_ID", self.run_id)
        if self._command not in hint:
            hint = f"{hint}; then: {self._command}" if hint else self._command
        return StorageError(
            f"{error.message} Run `{self.run_id}` breaks off; {_turns_are(self.finished)} saved.",
            hint=hint,
            details={**error.details, "run_id": self.run_id},
        )

    @property
    def _command(self) -> str:
        return f"agent-lab runs resume {self.run_id}"

    def _run_started(self, event: "RunEvent") -> None:
        self.run_id = event.run_id
        cast = event.payload["cast"]
        for meant, answering in {(member["fallback_from"], member["model"]) for member in cast}:
            say_fallback(meant, answering)


def watched(
    watch: Watch, work: "Callable[[Lab], Awaitable[RunRecord]]", own: "FlowConfig | None" = None
) -> "RunRecord":
    """Have a run executed, and watch it.

    Args:
        watch: Listens to it.
        work: Executes it; when this is cancelled, it cancels the run.
        own: A flow that the lab has beside those that are shipped.

    Raises:
        Interrupted: Ctrl-C; the run can be gone on with.
        StorageError: Nothing can be kept any more; the hint says how to go on with the run.
    """

    async def session(lab: "Lab") -> "RunRecord":
        try:
            record = await work(lab)
        except asyncio.CancelledError:
            await watch.catch_up(lab.runs)
            raise
        finally:
            if watch.view is not None:
                watch.view.end()
        if watch.view is not None:
            watch.view.summary(record, lab.runs.record_path(record.flow, record.id))
        return record

    try:
        return with_lab(open_settings(), session, own, last_words=watch.last_words)
    except KeyboardInterrupt:
        if not watch.run_id:
            raise
        raise Interrupted(watch.left_behind()) from None
    except StorageError as error:
        if not watch.run_id:
            raise
        raise watch.broken_off(error) from error


def tell(record: "RunRecord", watch: Watch, result: Output) -> None:
    """Say how a run ended, and write its answer."""
    for reason in record.degraded:
        say(f"Degraded: {reason}")
    if record.error is not None:
        raise typer.Exit(fail(record.error))
    if record.status == "cancelled":
        say(f"The run was cancelled. Try: agent-lab runs resume {record.id}")
        raise typer.Exit(1)
    if record.status == "waiting":
        _say_who_is_awaited(record, watch)
        if not result.as_json:
            return
    if watch.view is None:
        _say_what_came_of(record)
    seen = watch.view is not None and sys.stdout.isatty() and watch.view.has_shown(record.output)
    result.write(record.output, record, already_seen=seen)


def _say_what_came_of(record: "RunRecord") -> None:
    """Say why a run ended and what it is compared with, where no view does."""
    if record.stop_reason != COMPLETED:
        say(f"Stopped: {record.stop_reason}")
    compared_with = " ".join(line.text for line in compared(record))
    if compared_with:
        say(compared_with)


def _say_who_is_awaited(record: "RunRecord", watch: Watch) -> None:
    """Say for whom a run waits, and how to go on."""
    for turn in watch.awaited:
        say(f"The run waits for `{turn}`: {watch.questions.get(turn, '')[-300:]}")
    say(f"Try: agent-lab runs answer {record.id} TEXT")


def _turns_are(number: int) -> str:
    return "1 turn is" if number == 1 else f"{number} turns are"
