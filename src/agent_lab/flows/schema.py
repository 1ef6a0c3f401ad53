"""The JSON Schema of flows: for editors, for the builder, and for programs that write flows."""

from collections.abc import Iterator, Mapping
from typing import Any

from agent_lab.contracts import JsonObject
from agent_lab.flows.graph_configs import FlowConfig

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_ID = "urn:agent-lab:flow"
TITLE = "AI Agent Lab flow"
DESCRIPTION = """A flow of AI Agent Lab: who speaks, in which order, and whose text is the answer.

A flow is data: it names models, strategies, types of node and routers, and never code. What this
schema accepts can be read; `agent-lab flows validate FILE` says whether it can also run."""

MODEL_HINT = "As `model`; only one of both."
DESCRIPTIONS: Mapping[str, Mapping[str, str]] = {
    "FlowConfig": {
        "name": "What callers ask for.",
        "description": "What it does, for people.",
        "nodes": "Who speaks, and what is done between the turns.",
        "edges": "Which node follows which.",
    },
    "NodeConfig": {
        "id": "What edges, prompts and conditions call it by.",
        "strategy": "How the model is asked: the name of a strategy.",
        "temperature": "0 (the likeliest words) to 2.",
        "top_p": "Only the likeliest words that together have this share.",
        "top_k": "Only so many of the likeliest words; 0: all.",
        "max_tokens": "Longest text of a turn, in tokens.",
        "prompt_template": "What the role is told after the task; `{name}` asks for a value.",
        "group": "Makes several nodes of this one, which differ only in who speaks.",
    },
    "Member": {
        "strategy": "As of a node; null: as the group's.",
        "temperature": "As of a node; null: as the group's.",
        "top_p": "As of a node; null: as the group's.",
        "top_k": "As of a node; null: as the group's.",
        "max_tokens": "As of a node; null: as the group's.",
    },
    "EdgeConfig": {
        "source": "The node, or the group, from which it leads.",
        "target": "The node, or the group, to which it leads.",
        "condition": "When it is taken; null: where none of the others holds.",
    },
    "LoopConfig": {
        "id": "What it is called.",
        "last": "The node with which each round ends.",
    },
    "InputConfig": {
        "default": "The value where the caller names none.",
        "description": "What it is for, for people.",
    },
    "InputRef": {"input": "The input's name."},
    "Variable": {"var": "The value's name."},
    "Comparison": {
        "op": "How both are compared.",
        "left": "A value, or a constant.",
        "right": "A value, or a constant.",
    },
    "Routed": {"op": "Asks a router.", "router": "The router's name."},
    "Combination": {
        "op": "`not`: none of them holds.",
        "of": "The conditions.",
    },
    "FlowTest": {
        "name": "The rule that it checks.",
        "input": "The task.",
        "inputs": "Values of the flow's inputs.",
        "lang": "Language of the prompts.",
        "expect": "What must come of it.",
    },
    "ScriptedTurn": {"text": "What the role says."},
    "Expectation": {
        "status": "`completed` or `failed`.",
        "output": "The answer.",
        "stop_reason": "Why the run ended; of a failed one the code of the error.",
    },
    "TextRule": {
        "equals": "The whole text.",
        "contains": "Every one of these stands in it.",
        "lacks": "None of these stands in it.",
    },
}
"""By definition: fields that do not describe themselves."""

EXAMPLE: JsonObject = {
    "name": "two_drafts",
    "description": "Two roles answer at the same time; a third one joins their answers.",
    "inputs": {"limit": {"type": "integer", "default": 150, "minimum": 20, "maximum": 500}},
    "entry_point": "author",
    "nodes": [
        {
            "id": "author",
            "prompt_template": "# Your role: author\n\n{lens} At most {limit} words.",
            "group": {
                "members": {
                    "short": {"values": {"lens": "Answer the task briefly."}},
                    "careful": {"values": {"lens": "Answer the task step by step."}},
                }
            },
        },
        {
            "id": "editor",
            "prompt_template": "{author_outputs}\n\n# Your role: editor\n\nWrite one answer.",
        },
    ],
    "edges": [{"source": "author", "target": "editor"}],
    "output": ["editor", "author"],
    "tests": [
        {
            "name": "both drafts reach the editor",
            "script": {"short_author": "Yes.", "careful_author": "No.", "editor": "Perhaps."},
            "expect": {
                "prompts": {"editor": {"contains": ["Yes.", "No."]}},
                "output": "Perhaps.",
            },
        }
    ],
}
"""A small flow that can run."""


def flow_schema() -> JsonObject:
    """The JSON Schema (draft 2020-12) of a flow's file."""
    schema = FlowConfig.model_json_schema(by_alias=True, mode="validation")
    definitions: dict[str, JsonObject] = {"FlowConfig": schema, **schema["$defs"]}
    for name in ("NodeConfig", "Member"):
        _take_model_hint(definitions[name])
    for name, described in DESCRIPTIONS.items():
        for field, text in described.items():
            definitions[name]["properties"][field]["description"] = text
    for part in _schemas(schema):
        part.pop("title", None)
        part.pop("discriminator", None)  # of OpenAPI
        if "patternProperties" in part:
            part["additionalProperties"] = False
    head = {"$schema": DIALECT, "$id": SCHEMA_ID, "title": TITLE, "description": DESCRIPTION}
    return {**head, "examples": [EXAMPLE], **{k: v for k, v in schema.items() if k not in head}}


def _take_model_hint(definition: JsonObject) -> None:
    """Pydantic describes the first of a field's names only."""
    properties = definition["properties"]
    properties["model_hint"] = {**properties["model"], "description": MODEL_HINT}
    definition["not"] = {"required": ["model", "model_hint"]}


def _schemas(schema: JsonObject) -> Iterator[JsonObject]:
    """A schema and those within it; names of fields and texts of examples are none."""
    yield schema
    inner: list[Any] = [schema.get(key) for key in ("items", "additionalProperties")]
    for key in ("$defs", "properties", "patternProperties"):
        inner += schema.get(key, {}).values()
    for key in ("anyOf", "oneOf"):
        inner += schema.get(key, ())
    for part in inner:
        if isinstance(part, dict):
            yield from _schemas(part)
