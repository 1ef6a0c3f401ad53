"""`agent-lab runs replay`."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from agent_lab.cli.flow_texts import counted
from agent_lab.cli.live_view import LiveView, resumed
from agent_lab.cli.options import AsJson, RunId, Verbose
from agent_lab.cli.outputs import Output, say, show
from agent_lab.cli.runs.finding import find_run
from agent_lab.cli.session import open_settings, with_lab

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent_lab.contracts import RunRecord
    from agent_lab.lab import Lab
    from agent_lab.runs.events import RunEvent
    from agent_lab.runs.replay import ReplayReport


class _Replayed(NamedTuple):
    record: "RunRecord"
    report: "ReplayReport"


def replay_run(
    run: RunId,
    *,
    speed: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            min=0.01,
            help="With pauses, X times as fast as it happened; else without any.",
        ),
    ] = None,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Show a debate again from its log, then take its way again by its journal: no model is asked.

    The exit code is 1 if anything comes out otherwise.
    """
    view = LiveView(verbose=verbose)

    async def work(lab: "Lab") -> _Replayed:
        log = await lab.runs.log((await find_run(lab.runs, run)).id)
        if not as_json:
            await _play(log.served(), view, speed)
        return _Replayed(log.record(), await lab.runs.replay(log.header.id))

    record, report = with_lab(open_settings(), work)
    if as_json:
        show(report.model_dump_json(indent=2))
    else:
        _tell(record, report, view)
    if not report.same_output or report.differences:
        raise typer.Exit(1)


def _tell(record: "RunRecord", report: "ReplayReport", view: LiveView) -> None:
    for difference in report.differences:
        say(f"Not as it was: {difference}")
    if not report.differences:
        turns, calls = counted(report.turns, "turn"), counted(report.calls, "call")
        say(f"By its journal alone it comes out the same: {turns}, {calls} of models.")
    if record.ended_at is None:
        say(f"It has come so far. Try: agent-lab runs resume {record.id}")
    if record.output:
        seen = sys.stdout.isatty() and view.has_shown(record.output)
        Output(None, as_json=False).write(record.output, record, already_seen=seen)


async def _play(events: "Iterable[RunEvent]", view: LiveView, speed: float | None) -> None:
    before = None
    try:
        for event in events:
            if speed is not None and before is not None and not resumed(event):
                await asyncio.sleep(max(0.0, (event.ts - before).total_seconds()) / speed)
            before = event.ts
            view(event)
    finally:
        view.end()
