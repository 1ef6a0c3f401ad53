"""The run record, computed from what the run's log has, and its file."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import orjson

from agent_lab.contracts import ErrorInfo, JsonObject, RunRecord, RunStatus, Step, Turn, Usage
from agent_lab.deliberation.votes import ballots_of, votes_of
from agent_lab.orchestrator.flow_metrics import (
    build_execution_metrics,
    get_flow_summary,
)
from agent_lab.runs.files import write_atomically
from agent_lab.runs.run_header import RunHeader

ELSEWHERE = "AGENT_LAB_OUTPUTS_DIR=FOLDER agent-lab run …"
"""What to do when the folder of the saved runs cannot be written."""

_PROMPT_SHOWN = 100


class Progress(NamedTuple):
    """How far a run has come."""

    status: RunStatus
    turns: Sequence[Turn]
    steps: Sequence[Step]
    seconds: float
    """For which it was executed, pauses between executions left out."""
    usage: Usage
    """Of all turns."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    result: JsonObject | None = None
    """What its last event says; None: it has not ended."""


def record_of(header: RunHeader, progress: Progress) -> RunRecord:
    """Compute the record of a run."""
    turns, total = tuple(progress.turns), progress.seconds
    result = {**(progress.result or {}), "status": progress.status}
    error = result.pop("error", None)
    return RunRecord(
        id=header.id,
        owner=header.owner,
        flow=header.flow,
        flow_version=header.flow_version,
        created_at=header.created_at,
        started_at=progress.started_at,
        ended_at=progress.ended_at,
        input=header.request.input,
        lang=header.lang,
        seed=header.seed,
        options=header.options,
        price_table=header.setting.price_table,
        summary=get_flow_summary(turns, total, progress.usage) if turns else "",
        steps=tuple(progress.steps),
        turns=turns,
        usage=progress.usage,
        metrics=build_execution_metrics(turns, total, progress.steps),
        ballots=ballots_of(votes_of(progress.steps)),
        error=None if error is None else ErrorInfo.model_validate(error),
        **result,
    )


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
    # The run is in the database already: the file can be made again.
    text = orjson.dumps(content, option=_FORM).decode()
    write_atomically(path, text, ELSEWHERE, durable=False)
    return path


_FORM = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


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
