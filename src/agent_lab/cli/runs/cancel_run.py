"""`agent-lab runs cancel`."""

from typing import TYPE_CHECKING

from agent_lab.cli.flow_texts import counted
from agent_lab.cli.options import AsJson, RunId
from agent_lab.cli.outputs import say, show
from agent_lab.cli.runs.finding import find_run
from agent_lab.cli.session import open_settings, with_lab

if TYPE_CHECKING:
    from agent_lab.contracts import RunRecord
    from agent_lab.lab import Lab


def cancel_run(run: RunId, *, as_json: AsJson = False) -> None:
    """Stop a run; what it has is kept, and it can be gone on with."""

    async def work(lab: "Lab") -> "RunRecord":
        return await lab.runs.cancel((await find_run(lab.runs, run)).id)

    record = with_lab(open_settings(), work)
    if record.status == "cancelled":
        turns = counted(len(record.turns), "turn")
        is_kept = "is" if len(record.turns) == 1 else "are"
        say(
            f"Run `{record.id}` is cancelled; {turns} {is_kept} kept. "
            f"Try: agent-lab runs resume {record.id}"
        )
    else:
        say(
            f"Another process executes run `{record.id}`; it was asked to stop, and does so "
            f"within seconds. Try: agent-lab runs show {record.id}"
        )
    if as_json:
        show(record.model_dump_json(indent=2))
