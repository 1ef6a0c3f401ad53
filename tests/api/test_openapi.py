"""The server's description: complete, typed, and true."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter

from agent_lab.api.server import create_app
from agent_lab.api.wire import examples
from agent_lab.api.wire.errors import ErrorBody
from agent_lab.api.wire.inference import InferenceRequest, InferenceResponse
from agent_lab.api.wire.orchestrate import (
    OrchestrateErrorBody,
    OrchestrateRequest,
    OrchestrateResponse,
)
from agent_lab.api.wire.runs import StartRequest
from agent_lab.config import Settings
from agent_lab.flows.graph_configs import FLOW_CONFIGS
from tests.api.conftest import Served

EXPECTED_ERRORS = {
    "/api/inference": {400, 413, 415, 422, 502, 503, 504},
    "/api/orchestrate": {400, 413, 415, 422, 502, 503, 504},
    "/api/cache": {400, 422},
    "/api/flows/{name}": {404},
    "/api/flows/validate": {400, 413, 415, 422},
    "/api/models/recommended": {422},
    "/api/models/{key}": {404},
    "/api/models/{key}/load": {400, 404, 413, 415, 422, 503},
    "/api/models/{key}/warm": {400, 404, 413, 415, 422, 502, 503},
    "/api/models/{key}/unload": {404, 409, 413, 415, 422, 503},
    "/api/strategies/{name}": {404},
    "/api/providers/{name}": {404},
    "/api/providers/{name}/reset": {400, 404, 413, 415, 422},
    "/api/runs": {400, 409, 413, 415, 422, 429, 503},
    "/api/runs/{run_id}": {404, 503},
    "/api/runs/{run_id}/events": {404, 409, 422, 503},
    "/api/runs/{run_id}/cancel": {400, 404, 409, 413, 415, 422, 503},
    "/api/runs/{run_id}/resume": {400, 404, 409, 413, 415, 422, 429, 503},
    "/readyz": {503},
}


@pytest.fixture
async def description(served: Served) -> Any:
    _, description = await served.get("/openapi.json")
    return description


def operations(description: Any) -> Iterator[tuple[str, str, Any]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_every_path_of_the_first_lab_that_stays_is_described(description: Any):
    paths = {(method, path) for method, path, _ in operations(description)}
    assert paths >= {
        ("post", "/api/inference"),
        ("post", "/inference"),
        ("post", "/api/orchestrate"),
        ("post", "/orchestrate"),
        ("get", "/inference/models"),
        ("get", "/api/system/resources"),
    }
    assert description["paths"]["/orchestrate"]["post"]["deprecated"]


def test_every_error_status_is_described_and_none_is_500(description: Any):
    for method, path, operation in operations(description):
        described = {int(status) for status in operation["responses"] if int(status) >= 400}
        if (method, path) not in {("get", "/api/runs"), ("get", "/api/cache")}:
            assert described >= EXPECTED_ERRORS.get(path, set()), path
        assert 500 not in described, path


def test_every_body_is_typed(description: Any):
    for method, path, operation in operations(description):
        answers = {s: answer for s, answer in operation["responses"].items() if s != "204"}
        bodies = [*answers.values(), operation.get("requestBody")]
        for body in filter(None, bodies):
            assert body["content"], (method, path)
            for content in body["content"].values():
                assert set(content["schema"]) & {"$ref", "type", "items"}, (method, path)


def test_every_example_of_an_error_is_one(description: Any):
    for _, path, operation in operations(description):
        model = OrchestrateErrorBody if path.endswith("/orchestrate") else ErrorBody
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                model.model_validate(response["content"]["application/json"]["example"])


def test_operations_have_different_ids(description: Any):
    ids = [operation["operationId"] for _, _, operation in operations(description)]
    assert len(ids) == len(set(ids))


def test_every_reference_leads_somewhere(description: Any):
    schemas = description["components"]["schemas"]

    def references(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            if isinstance(part.get("$ref"), str):
                yield part["$ref"]
            for value in part.values():
                yield from references(value)
        if isinstance(part, list):
            for value in part:
                yield from references(value)

    for reference in references(description):
        assert reference.removeprefix("#/components/schemas/") in schemas


def test_the_names_that_there_are_can_be_seen(description: Any):
    fields = description["components"]["schemas"]["OrchestrateRequest"]["properties"]
    assert fields["flow_type"]["enum"] == list(FLOW_CONFIGS)
    assert fields["model"]["anyOf"][0]["enum"] == ["first", "second", "third"]
    roles = fields["models"]["propertyNames"]["enum"]
    assert {"challenger", "creator", "refiner", "ux_expert", "privacy_expert"} <= set(roles)
    assert "expert" not in roles
    assert {"rounds", "retries", "experts"} <= set(fields["inputs"]["propertyNames"]["enum"])
    assert "optimized" in fields["strategy"]["anyOf"][0]["enum"]


def test_a_kind_of_which_there_is_nothing_yet_takes_any_name(settings: Settings):
    # No weights are here, so no model can be asked: but they may be pulled while the server runs.
    described = create_app(settings).openapi()
    model = described["components"]["schemas"]["OrchestrateRequest"]["properties"]["model"]
    assert model["anyOf"][0] == {"type": "string"}


def test_the_events_of_a_stream_are_described(description: Any):
    event = description["components"]["schemas"]["RunStreamEvent"]
    assert set(event["discriminator"]["mapping"]) >= {
        "RUN_STARTED",
        "TEXT_MESSAGE_END",
        "RUN_ERROR",
    }
    content = description["paths"]["/api/orchestrate"]["post"]["responses"]["200"]["content"]
    assert set(content) == {"application/json", "text/event-stream"}


@pytest.mark.parametrize(
    ("field", "example"),
    [
        ("votes", [examples.VOTE]),
        ("ballots", [examples.BALLOT]),
        ("baseline", examples.BASELINE),
    ],
)
def test_every_example_of_a_field_is_what_it_shows(description: Any, field: str, example: Any):
    OrchestrateResponse.model_validate({**examples.ORCHESTRATE_ANSWER, field: example})
    fields = description["components"]["schemas"]["OrchestrateResponse"]["properties"]
    assert fields[field]["examples"] == [example]


@pytest.mark.parametrize(
    ("model", "example"),
    [
        (InferenceRequest, examples.INFERENCE),
        (InferenceResponse, examples.INFERENCE_ANSWER),
        (OrchestrateRequest, examples.ORCHESTRATE),
        (OrchestrateResponse, examples.ORCHESTRATE_ANSWER),
        (StartRequest, examples.RUN),
    ],
)
def test_every_example_is_what_it_shows(description: Any, model: Any, example: Any):
    TypeAdapter(model).validate_python(example)
    assert description["components"]["schemas"][model.__name__]["examples"] == [example]
