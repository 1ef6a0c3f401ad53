"""`agent-lab runs show`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from agent_lab.cli.live_view import plain_console, took
from agent_lab.cli.options import AsJson, RunId, Verbose
from agent_lab.cli.outputs import Output, safe
from agent_lab.cli.runs.archive import with_archive
from agent_lab.cli.runs.finding import find_run
from agent_lab.cli.runs.list_runs import INTERRUPTED, beginning, status_of

if TYPE_CHECKING:
    from agent_lab.contracts import RunRecord, Turn
    from agent_lab.runs.archive import RunArchive

INPUT_SHOWN = 500


class _Found(NamedTuple):
    record: "RunRecord"
    status: str


class _Line(NamedTuple):
    text: str
    style: str = ""


def show_run(run: RunId, *, verbose: Verbose = False, as_json: AsJson = False) -> None:
    """Show a run: its turns on stderr, its answer on stdout."""

    async def work(runs: "RunArchive") -> _Found:
        summary = await find_run(runs, run)
        return _Found(await runs.record(summary.id), status_of(summary))

    record, status = with_archive(work)
    if not as_json:
        console = plain_console()
        for line in _lines(record, status, verbose=verbose):
            console.print(safe(line.text), style=line.style)
    if as_json or record.output:
        Output(None, as_json=as_json).write(record.output, record)


def _lines(record: "RunRecord", status: str, *, verbose: bool) -> Iterator[_Line]:
    yield _Line(f"{record.id} · {record.flow} · {status}", "bold")
    who = f" · owner {record.owner}" if record.owner else ""
    began = f"{record.created_at:%Y-%m-%d %H:%M:%S} UTC"
    yield _Line(f"{began} · seed {record.seed} · {record.lang}{who}", "dim")
    yield _Line(record.input if verbose else beginning(record.input, INPUT_SHOWN))
    for number, turn in enumerate(record.turns, 1):
        yield from _turn(turn, number, verbose=verbose)
    yield _Line("")
    for reason in record.degraded:
        yield _Line(f"Degraded: {reason}", "yellow")
    if record.error is not None:
        yield _Line(f"✗ {record.error.message}", "red")
    stopped = f" Stopped: {record.stop_reason}." if record.stop_reason else ""
    yield _Line(f"{record.summary or 'No turn has ended.'}{stopped}", "bold")
    if status in (INTERRUPTED, "cancelled"):
        yield _Line(f"Try: agent-lab runs resume {record.id}", "dim")


def _turn(turn: "Turn", number: int, *, verbose: bool) -> Iterator[_Line]:
    place = f" · round {turn.round}" if turn.round > 1 else ""
    place += f" · retry {turn.retry}" if turn.retry else ""
    inner, _, _ = turn.path.rpartition(".")
    role = f"{inner}.{turn.role}" if inner else turn.role
    model = turn.model_resolved or turn.model_key or ""
    yield _Line(f"\n━━ {number} · {role}{place} · {model}", "bold")
    if verbose:
        for message in turn.messages:
            yield _Line(f"[{message.role}]", "dim italic")
            yield _Line(message.content, "dim")
        yield _Line("[answer]", "dim italic")
        yield _Line(turn.text)
    if turn.error is not None:
        yield _Line(f"✗ {turn.error.message}", "red")
    else:
        yield _Line(took(turn), "dim")
