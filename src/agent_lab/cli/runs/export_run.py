"""`agent-lab runs export`."""

import json
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from agent_lab.cli.options import OutputFile, RunId
from agent_lab.cli.outputs import Output
from agent_lab.cli.runs.archive import with_archive
from agent_lab.cli.runs.finding import find_run

if TYPE_CHECKING:
    from agent_lab.contracts import RunRecord
    from agent_lab.runs.archive import RunArchive
    from agent_lab.runs.events import RunEvent


class _Export(NamedTuple):
    record: "RunRecord"
    lines: str


def export_run(
    run: RunId,
    *,
    record: Annotated[
        bool, typer.Option("--record", help="The run's record as JSON, not its log.")
    ] = False,
    output: OutputFile = None,
) -> None:
    """Write a run's log: one event a line, as JSON, as GET /api/runs/RUN/events gives them."""
    result = Output(output, as_json=record)
    result.check()

    async def work(runs: "RunArchive") -> _Export:
        log = await runs.log((await find_run(runs, run)).id)
        return _Export(log.record(), "\n".join(map(as_line, log.served())))

    export = with_archive(work)
    result.write(export.lines, export.record)


def as_line(event: "RunEvent") -> str:
    """Write an event as JSON, in one line: the data that the API gives, and the place in the log.

    Args:
        event: One that is in the log.
    """
    from agent_lab.runs.events import as_ag_ui

    return json.dumps({"seq": event.seq, **as_ag_ui(event)}, ensure_ascii=False)
