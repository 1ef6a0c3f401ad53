"""Reads what a command is given: prompts, attachments, models by role, inputs of a flow."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from agent_lab.errors import InvalidRequestError

if TYPE_CHECKING:
    from agent_lab.contracts import Attachment
    from agent_lab.flows.graph_configs import FlowConfig

STANDARD_INPUT = "-"


def read_prompt(prompt: str) -> str:
    """Return the prompt, or standard input for `-`.

    Raises:
        InvalidRequestError: Standard input is no text.
    """
    if prompt != STANDARD_INPUT:
        return prompt
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise InvalidRequestError(
            "Standard input cannot be read as `prompt`: it is not UTF-8 text.",
            hint="agent-lab run challenge - < question.txt",
        ) from error


def read_attachments(paths: Sequence[Path]) -> tuple["Attachment", ...]:
    """Read documents as text.

    Raises:
        InvalidRequestError: One cannot be read, or is no text.
    """
    from agent_lab.contracts import Attachment

    return tuple(Attachment(name=path.name, text=_read_text(path)) for path in paths)


def models_by_role(choices: Sequence[str], flow: str) -> dict[str, str]:
    """Read `role=model` choices.

    Raises:
        InvalidRequestError: One has another form.
    """
    models = {}
    for choice in choices:
        role, sign, key = choice.partition("=")
        if not (role and sign and key):
            raise InvalidRequestError(
                f"`--role {choice}` is not of the form `ROLE=MODEL`.",
                hint=f"agent-lab run {flow} … --role creator=qwen2.5-coder-0.5b",
            )
        models[role] = key
    return models


def flow_inputs(choices: Sequence[str], flow: "FlowConfig") -> dict[str, Any]:
    """Read `name=value` choices: a value is JSON if it can be read as JSON, else text.

    Members may also be written `a,b,c`; a text stays one where the flow wants a text.

    Raises:
        InvalidRequestError: One has another form.
    """
    chosen = {}
    for choice in choices:
        name, sign, text = choice.partition("=")
        if not (name and sign):
            raise InvalidRequestError(
                f"`--input {choice}` is not of the form `NAME=VALUE`.",
                hint=f"agent-lab flows show {flow.name}",
            )
        kind = flow.inputs[name].type if name in flow.inputs else ""
        value = _json_or_text(text)
        if kind == "string" and not isinstance(value, str):
            value = text
        if kind == "members" and not isinstance(value, list):
            value = [part.strip() for part in text.split(",") if part.strip()]
        chosen[name] = value
    return chosen


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return text


def _no_number(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and Infinity are no JSON


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
    except UnicodeDecodeError:
        reason = "it is not UTF-8 text"
    raise InvalidRequestError(
        f"The attachment `{path}` cannot be read: {reason}.",
        hint="attach text files only, such as: --attach notes.md",
    )
