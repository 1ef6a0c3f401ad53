"""`agent-lab runs show`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from agent_lab.cli.live_view import compared, plain_console
from agent_lab.cli.options import AsJson, RunId, Verbose
from agent_lab.cli.outputs import Line, Output, beginning, safe
from agent_lab.cli.runs.archive import with_archive
from agent_lab.cli.runs.finding import find_run
from agent_lab.cli.runs.list_runs import INTERRUPTED, status_of
from agent_lab.cli.turn_texts import node_path, speaker, took
from agent_lab.cli.vote_lines import vote_lines

if TYPE_CHECKING:
    from agent_lab.contracts import RunRecord, Step, Turn
    from agent_lab.runs.archive import RunArchive

INPUT_SHOWN = 500


class _Found(NamedTuple):
    record: "RunRecord"
    status: str


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


def _lines(record: "RunRecord", status: str, *, verbose: bool) -> Iterator[Line]:
    yield Line(f"{record.id} · {record.flow} · {status}", "bold")
    who = f" · owner {record.owner}" if record.owner else ""
    began = f"{record.created_at:%Y-%m-%d %H:%M:%S} UTC"
    yield Line(f"{began} · seed {record.seed} · {record.lang}{who}", "dim")
    yield Line(record.input if verbose else beginning(record.input, INPUT_SHOWN))
    counts = _counts(record)
    for number in range(len(record.turns) + 1):
        if number:
            yield from _turn(record.turns[number - 1], number, verbose=verbose)
        yield from (line for step in counts.get(number, ()) for line in _count(step))
    yield Line("")
    yield from compared(record)
    for reason in record.degraded:
        yield Line(f"Degraded: {reason}", "yellow")
    if record.error is not None:
        yield Line(f"✗ {record.error.message}", "red")
    stopped = f" Stopped: {record.stop_reason}." if record.stop_reason else ""
    yield Line(f"{record.summary or 'No turn has ended.'}{stopped}", "bold")
    if status in (INTERRUPTED, "cancelled"):
        yield Line(f"Try: agent-lab runs resume {record.id}", "dim")


def _counts(record: "RunRecord") -> dict[int, list["Step"]]:
    """The passes that have counted, by the number of turns after which they did.

    A pass has no place among the turns. It ended after those of all passes that ended before it.
    """
    last: dict[tuple[str, int, int], int] = {}
    for number, turn in enumerate(record.turns, 1):
        last[node_path(turn.path, turn.node_id), turn.visit, turn.retry] = number
    counts: dict[int, list[Step]] = {}
    place = 0
    for step in record.steps:
        place = max(place, last.get((step.path, step.visit, step.retry), 0))
        if step.vote is not None:
            counts.setdefault(place, []).append(step)
    return counts


def _count(step: "Step") -> Iterator[Line]:
    if step.vote is not None:
        yield Line("")
        yield from vote_lines(step.path, step.vote)


def _turn(turn: "Turn", number: int, *, verbose: bool) -> Iterator[Line]:
    place = f" · round {turn.round}" if turn.round > 1 else ""
    place += f" · retry {turn.retry}" if turn.retry else ""
    role, draw = speaker(turn.path, turn.node_id, turn.role)
    model = turn.model_resolved or turn.model_key or ""
    yield Line(f"\n━━ {number} · {role}{draw}{place} · {model}", "bold")
    if verbose:
        for message in turn.messages:
            yield Line(f"[{message.role}]", "dim italic")
            yield Line(message.content, "dim")
        yield Line("[answer]", "dim italic")
        yield Line(turn.text)
    if turn.error is not None:
        yield Line(f"✗ {turn.error.message}", "red")
    else:
        yield Line(took(turn), "dim")
