"""`agent-lab runs prune`."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from agent_lab.cli.flow_texts import counted
from agent_lab.cli.options import FlowName
from agent_lab.cli.outputs import say
from agent_lab.cli.runs.archive import with_archive
from agent_lab.cli.runs.list_runs import ENDED
from agent_lab.cli.runs.times import read_moment
from agent_lab.errors import InvalidRequestError

if TYPE_CHECKING:
    from agent_lab.runs.archive import RunArchive
    from agent_lab.storage.run_queries import RunFilter

COUNTED_AT_ONCE = 500


def prune_runs(
    *,
    older_than: Annotated[
        str, typer.Option(metavar="TIME", help="Begun longer ago (30d, 12h, 2026-11-01, UTC).")
    ],
    status: Annotated[
        str, typer.Option(metavar="LIST", help="Only those that ended so.")
    ] = ",".join(ENDED),
    flow: FlowName = None,
    keep_files: Annotated[
        bool, typer.Option("--keep-files", help="Leave the saved JSON files of the runs.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how many there are.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete runs that have ended: turns, logs and files. Interrupted runs stay; cancel them."""
    from agent_lab.storage.run_queries import RunFilter

    until = read_moment(older_than, "--older-than", datetime.now(UTC))
    filters = [RunFilter(status=one, flow=flow, until=until) for one in _statuses(status)]
    number = with_archive(lambda runs: _count(runs, filters))
    if dry_run or number == 0:
        say(f"{counted(number, 'run')} would be deleted." if dry_run else "There is none.")
        return
    if not yes:
        _ask(number)

    async def work(runs: "RunArchive") -> int:
        return sum([await runs.prune(which, files=not keep_files) for which in filters])

    say(f"{counted(with_archive(work), 'run')} deleted.")


def _statuses(listed: str) -> list[str]:
    chosen = list(dict.fromkeys(part.strip() for part in listed.split(",") if part.strip()))
    for status in chosen:
        if status not in ENDED:
            raise InvalidRequestError(
                f"Runs that are `{status}` cannot be deleted: those can that are "
                f"{', '.join(f'`{one}`' for one in ENDED)}.",
                hint="agent-lab runs cancel ID ends a run",
            )
    return chosen


async def _count(runs: "RunArchive", filters: "Sequence[RunFilter]") -> int:
    number = 0
    for which in filters:
        cursor = None
        while True:
            page = await runs.list(which, after=cursor, most=COUNTED_AT_ONCE)
            number += len(page.runs)
            cursor = page.next
            if cursor is None:
                break
    return number


def _ask(number: int) -> None:
    if not sys.stdin.isatty():
        raise InvalidRequestError(
            f"{counted(number, 'run')} would be deleted, and nobody is here to agree.",
            hint="--yes deletes without a question, --dry-run only counts",
        )
    if not typer.confirm(f"Delete {counted(number, 'run')} for good?", err=True):
        say("Nothing was deleted.")
        raise typer.Exit(1)
