"""`agent-lab runs answer`."""

from typing import TYPE_CHECKING, Annotated

import typer

from agent_lab.cli.answering import answered
from agent_lab.cli.inputs import read_prompt
from agent_lab.cli.live_view import view_if_wanted
from agent_lab.cli.options import AsJson, OutputFile, RunId, Stream, Verbose
from agent_lab.cli.outputs import Output
from agent_lab.cli.runs.finding import find_run
from agent_lab.cli.session import open_settings, with_lab
from agent_lab.cli.watching import Watch, tell

if TYPE_CHECKING:
    from agent_lab.lab import Lab


def answer_run(
    run: RunId,
    text: Annotated[str, typer.Argument(help="What you say; - reads standard input.")],
    *,
    turn: Annotated[
        str | None,
        typer.Option(metavar="PATH:VISIT:RETRY", help="Which turn, where several are awaited."),
    ] = None,
    stream: Stream = None,
    verbose: Verbose = False,
    as_json: AsJson = False,
    output: OutputFile = None,
) -> None:
    """Answer a run that waits for a person; it goes on with what you say."""
    result = Output(output, as_json=as_json)
    result.check()
    said = read_prompt(text)
    watch = Watch(view_if_wanted(stream, verbose=verbose))

    async def find(lab: "Lab") -> str:
        return (await find_run(lab.runs, run)).id

    tell(answered(with_lab(open_settings(), find), said, turn, watch), watch, result)
