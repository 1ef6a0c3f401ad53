"""A turn as the tables keep it: how it was asked, and what came of it. Each text is there once."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

import orjson

from agent_lab.contracts import Message, Turn
from agent_lab.orchestrator.run_recorder import AskedTurn, message_id
from agent_lab.storage.commits import Row
from agent_lab.storage.shared_texts import Parts, join_text, split_text
from agent_lab.storage.tables import microseconds

Key: TypeAlias = tuple[str, int, int]
"""Path, visit, retry: the turn of a run."""
STARTED = "started"
_RESULT = {
    "strategy",
    "reasoning",
    "finish_reason",
    "timings",
    "cache_hit",
    "model_warm",
    "attempts",
    "fallback_from",
    "dropped_params",
    "context_cut",
    "error",
}
_COLUMNS = (
    "node_id",
    "path",
    "role",
    "round",
    "sample",
    "visit",
    "retry",
    "from_run",
    "model_key",
    "started_at",
)
_COUNTS = ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens")


class KnownTurn(NamedTuple):
    """What the journal has of a turn."""

    asked: Turn
    """How it was asked; what came of it, too, once it has ended."""
    ended: bool
    starts: int
    """How often it was asked."""
    request_hash: str


def start_row(run_id: str, asked: AskedTurn, digest: str, texts: dict[str, str]) -> Row:
    """The row of a turn that is about to be asked.

    Args:
        run_id: Its run.
        asked: The turn.
        digest: Its `request_hash`.
        texts: The run's texts so far, by name; what this turn adds is put in.
    """
    messages = [
        (message.role, split_text(message.content, texts)) for message in asked.request.messages
    ]
    share_systems(asked.message_id, asked.request.messages, texts)
    return {
        "run_id": run_id,
        "path": asked.path,
        "visit": asked.visit,
        "retry": asked.retry,
        "node_id": asked.node_id,
        "role": asked.role,
        "round": asked.round,
        "sample": asked.sample,
        "status": STARTED,
        "starts": 1,
        "request_hash": digest,
        "request": orjson.dumps(asked.sampling()).decode(),
        "messages": orjson.dumps(messages).decode(),
        "model_key": asked.request.model_key,
        "started_at": microseconds(asked.started_at),
    }


def share_systems(name: str, messages: Iterable[Message], texts: dict[str, str]) -> None:
    """Let later prompts refer to the system prompt of a turn: most have the same one."""
    for message in messages:
        if message.role == "system" and message.content not in texts.values():
            texts[f"{name}/system"] = message.content


def turn_row(run_id: str, turn: Turn) -> Row:
    """What ending a turn changes in its row."""
    return {
        "run": run_id,
        "at_path": turn.path,
        "at_visit": turn.visit,
        "at_retry": turn.retry,
        "to_status": turn.status,
        "to_seq": turn.seq,
        "to_text": turn.text,
        "to_result": turn.model_dump_json(include=_RESULT, exclude_defaults=True),
        "to_model_resolved": turn.model_resolved,
        "to_source": turn.source,
        **{f"to_{name}": getattr(turn, name) for name in _COUNTS},
        "to_cost_usd": turn.cost_usd,
        "to_started_at": microseconds(turn.started_at),
        "to_seconds": turn.seconds,
    }


def key_row(run_id: str, key: Key) -> Row:
    """What says which turn a statement means."""
    return {"run": run_id, "at_path": key[0], "at_visit": key[1], "at_retry": key[2]}


def known_turns(rows: list[Any], texts: dict[str, str]) -> dict[Key, KnownTurn]:
    """Read turns from their rows.

    Args:
        rows: Every turn of a run, in the order in which they were asked.
        texts: The run's texts by name; those of its turns are added.
    """
    for row in rows:
        if row.text is not None:
            texts[message_id(row.path, row.visit, row.retry)] = row.text
    known = {}
    for row in rows:
        turn = known[row.path, row.visit, row.retry] = _known(row, texts)
        share_systems(message_id(row.path, row.visit, row.retry), turn.asked.messages, texts)
    return known


def _known(row: Any, texts: Mapping[str, str]) -> KnownTurn:
    ended = row.status != STARTED
    fields: dict[str, Any] = {name: getattr(row, name) for name in _COLUMNS}
    fields["messages"] = [_message(role, parts, texts) for role, parts in row.messages]
    fields["sampling"] = row.request
    fields["status"] = row.status if ended else "failed"
    if ended:
        fields |= row.result
        fields |= {name: getattr(row, name) for name in _COUNTS}
        fields |= {
            "seq": row.seq,
            "text": row.text,
            "model_resolved": row.model_resolved,
            "source": row.source,
            "cost_usd": row.cost_usd,
            "seconds": row.seconds,
        }
    return KnownTurn(Turn.model_validate(fields), ended, row.starts, row.request_hash)


def _message(role: Any, parts: Parts, texts: Mapping[str, str]) -> Message:
    return Message(role=role, content=join_text(parts, texts))
