"""`agent-lab runs list`."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from agent_lab.cli.options import AsJson, FlowName
from agent_lab.cli.outputs import beginning, say, show, show_json
from agent_lab.cli.runs.archive import with_archive
from agent_lab.cli.runs.times import age, read_moment

if TYPE_CHECKING:
    from agent_lab.runs.listing import RunPage, RunSummary

INPUT_SHOWN = 48
"""Characters of a run's input."""
INTERRUPTED = "interrupted"
"""What is shown of a run whose process has died."""
ENDED = ("completed", "failed", "cancelled")


def list_runs(
    *,
    status: Annotated[
        Literal["queued", "running", "waiting", "completed", "failed", "cancelled"] | None,
        typer.Option(help="Only those; interrupted runs are running or queued ones."),
    ] = None,
    flow: FlowName = None,
    owner: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only those that this owner started.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Begun then or later: 2h, 3d, 2026-11-01 (UTC)."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Begun before: 2h, 3d, 2026-11-01 (UTC).")
    ] = None,
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, max=1000, help="Most that are shown.")
    ] = 20,
    after: Annotated[
        str | None, typer.Option(metavar="ID", help="Only those that come after this one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the runs, the latest first. A run's id is what the other commands take."""
    from agent_lab.storage.run_queries import RunFilter

    now = datetime.now(UTC)
    which = RunFilter(
        status=status,
        flow=flow,
        owner=owner,
        since=None if since is None else read_moment(since, "--since", now),
        until=None if until is None else read_moment(until, "--until", now),
    )

    cursor = after and after.upper()
    page = with_archive(lambda runs: runs.list(which, after=cursor, most=limit))
    if as_json:
        show_json(page.model_dump(mode="json"))
    else:
        _show(page, now)


def status_of(run: "RunSummary") -> str:
    """The status of a run as people see it."""
    return INTERRUPTED if run.orphaned else run.status


def _show(page: "RunPage", now: datetime) -> None:
    show(_line("ID", "STATUS", "FLOW", "TURNS", "TOKENS", "COST", "AGE", "INPUT"))
    for run in page.runs:
        has_ended = run.status in ENDED  # its figures are known then
        show(
            _line(
                run.id,
                status_of(run),
                run.flow,
                f"{run.turns}" if has_ended else "",
                f"{run.tokens:,}" if has_ended else "",
                f"{run.cost_usd:.4f}" if has_ended and run.cost_usd else "",
                age(run.created_at, now),
                beginning(run.input, INPUT_SHOWN),
            )
        )
    if not page.runs:
        say('No run is here that fits. Try: agent-lab run challenge "…"')
    if any(run.orphaned for run in page.runs):
        say("The processes of interrupted runs have died. Try: agent-lab runs resume ID")
    if page.next is not None:
        say(f"There are more. Try: agent-lab runs list … --after {page.next}")


def _line(*cells: str) -> str:
    name, status, flow, turns, tokens, cost, began, text = cells
    return (
        f"{name:26} {status:11} {flow:17} {turns:>5} {tokens:>8} {cost:>8} {began:>7}  {text}"
    ).rstrip()
