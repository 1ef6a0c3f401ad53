"""The run record, computed from the run's events, and its file."""

import json
from collections.abc import Sequence
from pathlib import Path

from agent_lab.contracts import ErrorInfo, JsonObject, RunRecord, Step, Turn
from agent_lab.orchestrator.flow_metrics import (
    build_execution_metrics,
    get_flow_summary,
    total_usage,
)
from agent_lab.runs.events import RunEvent
from agent_lab.runs.files import write_atomically

ELSEWHERE = "AGENT_LAB_OUTPUTS_DIR=FOLDER agent-lab run …"
"""What to do when the folder of the saved runs cannot be written."""

_PROMPT_SHOWN = 100


def fold(events: Sequence[RunEvent]) -> RunRecord:
    """Compute the record of a run from its events so far; the first one is `RUN_STARTED`."""
    started, last = events[0], events[-1]
    turns = tuple(
        Turn.model_validate(event.payload["turn"])
        for event in events
        if event.type == "TEXT_MESSAGE_END"
    )
    steps = tuple(
        Step.model_validate(event.payload["step"])
        for event in events
        if event.type == "STEP_FINISHED"
    )
    total = (last.ts - started.ts).total_seconds()
    ended = last.type in ("RUN_FINISHED", "RUN_ERROR")
    result = last.payload["result"] if ended else {"status": "running"}
    return RunRecord(
        id=started.run_id,
        **started.payload["run"],
        created_at=started.ts,
        started_at=started.ts,
        ended_at=last.ts if ended else None,
        **{**result, "error": _error(result)},
        summary=get_flow_summary(turns, total) if turns else "",
        steps=steps,
        turns=turns,
        usage=total_usage(turns),
        metrics=build_execution_metrics(turns, total, steps),
    )


def _error(result: JsonObject) -> ErrorInfo | None:
    error = result.get("error")
    return None if error is None else ErrorInfo.model_validate(error)


def record_path(outputs: Path, flow: str, run_id: str) -> Path:
    """Where the record of a run is saved."""
    return outputs / f"{flow}_flows" / f"{run_id}.json"


def save(record: RunRecord, outputs: Path) -> Path:
    """Write a record to its file, whole or not at all.

    Raises:
        StorageError: The folder cannot be written, or the disk is full.
    """
    path = record_path(outputs, record.flow, record.id)
    content = {**record.model_dump(mode="json"), **_first_lab_keys(record)}
    write_atomically(path, json.dumps(content, ensure_ascii=False, indent=2) + "\n", ELSEWHERE)
    return path


def _first_lab_keys(record: RunRecord) -> JsonObject:
    """What readers of the first lab's files look for."""
    return {
        "execution_id": record.id,
        "flow_type": record.flow,
        "timestamp": record.created_at.isoformat(),
        "user_input": record.input,
        "nodes": {turn.path: _first_lab_node(turn) for turn in record.turns},
        "final_output": record.output,
    }


def _first_lab_node(turn: Turn) -> JsonObject:
    prompt = turn.messages[-1].content if turn.messages else ""
    return {
        "output": turn.text,
        "timestamp": turn.started_at.isoformat(),
        "node_type": "execution",
        "config": {"model": turn.model_resolved, "strategy": turn.strategy, **turn.sampling},
        "prompt_used": prompt[:_PROMPT_SHOWN],
    }
