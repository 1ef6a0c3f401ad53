"""Draws a saved run as the command line showed it: the picture in the README.

python scripts/draw_debate.py outputs/challenge_flows/ID.json docs/debate.svg
"""

import io
import json
import re
import sys
from pathlib import Path

from agent_lab.cli.live_view import LiveView, plain_console
from agent_lab.contracts import RunRecord
from agent_lab.orchestrator.run_recorder import EventType, message_id
from agent_lab.runs.events import RunEvent

WIDTH = 100


def draw(record: RunRecord, picture: Path) -> None:
    """Show the run's turns to a recording console and save what it shows."""
    console = plain_console(
        record=True, width=WIDTH, soft_wrap=False, file=io.StringIO(), color_system="truecolor"
    )
    view = LiveView(verbose=False, console=console)

    def show(event_type: EventType, **payload: object) -> None:
        event = RunEvent(
            run_id=record.id, seq=None, ts=record.created_at, type=event_type, payload=payload
        )
        view(event)

    cast = [{"role": turn.role, "model": turn.model_resolved} for turn in record.turns]
    show("RUN_STARTED", run=record.model_dump(include={"flow", "seed", "lang"}), cast=cast)
    for turn in record.turns:
        name = message_id(turn.path, turn.visit, turn.retry)
        told = {
            "messages": [],
            "node": turn.node_id,
            "round": turn.round,
            "retry": turn.retry,
            "model": None,
        }
        show("TEXT_MESSAGE_START", messageId=name, name=turn.role, metadata=told)
        show("TEXT_MESSAGE_CONTENT", messageId=name, delta=turn.text, reasoning=False)
        show("TEXT_MESSAGE_END", messageId=name, turn=turn.model_dump(mode="json"))
    console.print(f"\n{record.summary}", style="bold")
    drawn = console.export_svg(title=f"agent-lab run {record.flow}")
    # A picture fetches nothing: the reader's own monospace font does.
    picture.write_text(re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL), "utf-8")


def main() -> None:
    """Read the record, write the picture."""
    saved, picture = map(Path, sys.argv[1:])
    fields = json.loads(saved.read_text(encoding="utf-8"))
    record = RunRecord.model_validate({n: fields[n] for n in RunRecord.model_fields if n in fields})
    draw(record, picture)


if __name__ == "__main__":
    main()
