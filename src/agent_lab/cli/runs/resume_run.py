"""`agent-lab runs resume`."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from agent_lab.cli.live_view import view_if_wanted
from agent_lab.cli.options import AsJson, OutputFile, RunId, Stream, Verbose
from agent_lab.cli.outputs import Output
from agent_lab.cli.runs.finding import find_run
from agent_lab.cli.watching import Watch, tell, watched
from agent_lab.errors import RunStateError

if TYPE_CHECKING:
    from agent_lab.contracts import RunRecord
    from agent_lab.lab import Lab


def resume_run(
    run: RunId,
    *,
    stream: Stream = None,
    verbose: Verbose = False,
    as_json: AsJson = False,
    output: OutputFile = None,
) -> None:
    """Go on with a run that broke off, or was cancelled: no finished turn is paid for again."""
    result = Output(output, as_json=as_json)
    result.check()
    watch = Watch(view_if_wanted(stream, verbose=verbose))

    async def work(lab: "Lab") -> "RunRecord":
        return await _resume(lab, run, watch)

    tell(watched(watch, work), watch, result)


async def _resume(lab: "Lab", name: str, watch: Watch) -> "RunRecord":
    run_id = (await find_run(lab.runs, name)).id
    log = await lab.runs.log(run_id)
    await lab.runs.resume(run_id, detached=False)
    watch.go_on(run_id, log.events[-1].seq if log.events else 0, len(log.finished()))
    try:
        return await lab.runs.watch(run_id, watch)
    except asyncio.CancelledError:
        with suppress(RunStateError):  # it has ended meanwhile
            await lab.runs.cancel(run_id)
        raise
