"""Answers for which a run waits: from a person at the terminal, or from the command line."""

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import typer

from agent_lab.cli.outputs import safe
from agent_lab.cli.watching import Watch, watched
from agent_lab.errors import RunStateError

if TYPE_CHECKING:
    from agent_lab.contracts import RunRecord
    from agent_lab.lab import Lab


def ask_here(record: "RunRecord", watch: Watch) -> "RunRecord":
    """Ask a person at the terminal for as long as the run waits for one; else leave it waiting.

    Args:
        record: The run.
        watch: Listens to it.
    """
    while record.status == "waiting" and sys.stdin.isatty() and sys.stderr.isatty():
        turn = watch.awaited[0]
        typer.echo(safe(f"\n{watch.questions.get(turn, '')}\n"), err=True)
        text = typer.prompt(turn.partition(":")[0], err=True)
        record = answered(record.id, text, turn, watch)
    return record


def answered(run_id: str, text: str, turn: str | None, watch: Watch) -> "RunRecord":
    """Say what a person says, and watch the run go on.

    Args:
        run_id: The run.
        text: What they say.
        turn: Which turn it is; None: the only one that is awaited.
        watch: Listens to it.
    """

    async def work(lab: "Lab") -> "RunRecord":
        log = await lab.runs.log(run_id)
        await lab.runs.answer(run_id, text, turn=turn)
        watch.go_on(run_id, log.events[-1].seq, len(log.finished()))
        try:
            return await lab.runs.watch(run_id, watch)
        except asyncio.CancelledError:
            with suppress(RunStateError):  # it has ended meanwhile
                await lab.runs.cancel(run_id)
            raise

    return watched(watch, work)
