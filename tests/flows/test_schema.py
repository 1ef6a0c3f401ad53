"""The JSON Schema of flows: valid itself, and of one mind with the models."""

import copy
import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from pydantic import ValidationError

from agent_lab.contracts import JsonObject
from agent_lab.flows.flow_validator import read_flow, validate
from agent_lab.flows.graph_configs import FLOW_CONFIGS, FlowConfig
from agent_lab.flows.schema import DESCRIPTIONS, DIALECT, EXAMPLE, flow_schema
from agent_lab.orchestrator.flow_tester import run_flow_tests
from agent_lab.orchestrator.graph_builder import GraphBuilder
from tests.conftest import REPOSITORY

SMALL: JsonObject = {
    "name": "small",
    "entry_point": "a",
    "nodes": [{"id": "a", "prompt_template": "x"}, {"id": "b", "prompt_template": "y"}],
    "edges": [{"source": "a", "target": "b"}],
}


@pytest.fixture(scope="module")
def validator() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(flow_schema())


def with_node(**fields: Any) -> JsonObject:
    """The small flow, its first node with further fields."""
    flow = copy.deepcopy(SMALL)
    flow["nodes"][0] |= fields
    return flow


def fields_of(definition: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    yield from definition.get("properties", {}).items()


def test_the_schema_is_one_itself():
    schema = flow_schema()
    assert schema["$schema"] == DIALECT
    jsonschema_rs.meta.validate(schema)
    assert {"$id", "title", "description", "examples"} <= set(schema)


@pytest.mark.parametrize("name", list(FLOW_CONFIGS))
def test_it_accepts_the_shipped_files_as_they_are(
    name: str, validator: jsonschema_rs.Draft202012Validator
):
    content = files("agent_lab.flows.builtin").joinpath(f"{name}.json").read_bytes()
    validator.validate(json.loads(content))


@pytest.mark.parametrize("name", list(FLOW_CONFIGS))
def test_the_shipped_files_lead_an_editor_to_the_schema(name: str):
    folder = REPOSITORY / "src/agent_lab/flows/builtin"
    content = json.loads((folder / f"{name}.json").read_text("utf-8"))
    assert (folder / content["$schema"]).resolve() == REPOSITORY / "docs/flow.schema.json"


def test_the_file_in_the_docs_is_the_schema():
    kept = Path(REPOSITORY / "docs/flow.schema.json").read_text("utf-8")
    assert json.loads(kept) == flow_schema()


async def test_its_example_is_a_flow_that_runs_and_passes_its_tests(
    validator: jsonschema_rs.Draft202012Validator,
):
    validator.validate(EXAMPLE)
    assert validate(EXAMPLE, GraphBuilder().catalogue()).faults == ()
    report = await run_flow_tests(read_flow(EXAMPLE))
    assert report.failed == 0
    assert (report.node_coverage, report.edge_coverage) == (1.0, 1.0)


@pytest.mark.parametrize(
    "flow",
    [
        SMALL | {"colour": "red"},
        with_node(prompt="x"),
        with_node(model="m", model_hint="m"),
        with_node(values={"Not a name": "x"}),
        with_node(group={"members": {"Not a name": {}}}),
        with_node(group={"members": {"one": {"colour": "red"}}}),
        with_node(id="Not a name"),
        with_node(temperature=3),
        with_node(max_tokens=0),
        with_node(prompt_template={"fr": "x"}),
        SMALL | {"edges": [{"source": "a", "target": "b", "when": "x"}]},
        SMALL | {"edges": [{"source": "a", "target": "b", "condition": {"op": "exec"}}]},
        SMALL | {"inputs": {"n": {"type": "integer"}}},
        SMALL | {"loops": [{"id": "l", "first": "a", "last": "b", "max_rounds": 0}]},
        SMALL | {"budget": {"calls": -1}},
        SMALL | {"nodes": []},
        {"name": "no nodes", "entry_point": "a"},
    ],
)
def test_it_refuses_what_the_models_refuse(
    flow: JsonObject, validator: jsonschema_rs.Draft202012Validator
):
    with pytest.raises(ValidationError):
        FlowConfig.model_validate(flow)
    assert not validator.is_valid(flow)


@pytest.mark.parametrize(
    "flow",
    [
        SMALL,
        with_node(model="m"),
        with_node(model_hint="m"),
        with_node(group={"members": {"one": {"model_hint": "m"}}, "chosen": {"input": "who"}}),
        with_node(config={"anything": ["goes", 1, None]}),
        SMALL | {"$schema": "x", "budget": {"calls": 3, "seconds": 1.5}},
    ],
)
def test_it_accepts_what_the_models_accept(
    flow: JsonObject, validator: jsonschema_rs.Draft202012Validator
):
    FlowConfig.model_validate(flow)
    validator.validate(flow)


def test_every_field_is_described():
    schema = flow_schema()
    for name, definition in {"FlowConfig": schema, **schema["$defs"]}.items():
        for field, described in fields_of(definition):
            assert described.get("description"), f"{name}.{field}"


def test_what_describes_itself_is_not_described_a_second_time():
    schema = FlowConfig.model_json_schema()
    definitions = {"FlowConfig": schema, **schema["$defs"]}
    for name, described in DESCRIPTIONS.items():
        for field in described:
            assert "description" not in definitions[name]["properties"][field], f"{name}.{field}"
