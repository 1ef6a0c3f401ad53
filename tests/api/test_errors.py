"""Every error over HTTP: its status, its form, and what it says."""

import io
import json
import logging
import re
from typing import Any

import pytest

from agent_lab.api.body_limit import MAX_BODY_BYTES
from agent_lab.api.wire.errors import ErrorBody
from agent_lab.api.wire.orchestrate import OrchestrateErrorBody
from agent_lab.errors import (
    ContextLengthError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    TruncatedAnswerError,
)
from tests.api.conftest import DEBATE, Serve, Served

JSON = {"content-type": "application/json"}
ULID = r"[0-9A-HJKMNP-TV-Z]{26}"


@pytest.mark.parametrize(
    ("body", "status", "code", "says"),
    [
        ({"prompt": "x", "model": "secnd"}, 400, "unknown_model", "did you mean `second`"),
        ({"prompt": "x", "strategy": "fast"}, 400, "unknown_strategy", "`optimized`"),
        ({}, 422, "invalid_request", "`prompt`"),
        ({"prompt": " \n"}, 422, "invalid_request", "empty"),
        ({"prompt": 3}, 422, "invalid_request", "`prompt`"),
        ({"prompt": "x", "max_tokens": 0}, 422, "invalid_request", "`max_tokens`"),
        ({"prompt": "x", "max_tokens": "5"}, 422, "invalid_request", "no whole number"),
        ({"prompt": "x", "temperature": 3}, 422, "invalid_request", "`temperature`"),
        ({"prompt": "x", "max_token": 5}, 422, "invalid_request", "`max_token`: no such field"),
        ([], 422, "invalid_request", "body"),
    ],
)
@pytest.mark.parametrize("path", ["/api/inference", "/api/orchestrate"])
async def test_a_wrong_request_names_what_is_wrong(
    served: Served, path: str, body: Any, status: int, code: str, says: str
):
    answered, answer = await served.post(path, body)
    assert answered == status
    assert answer["error"]["code"] == code
    assert says in answer["error"]["message"]
    assert answer["error"]["hint"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ContextLengthError("Too long."), 400),
        (ProviderError("Broken."), 502),
        (TruncatedAnswerError("Cut."), 502),
        (ProviderUnavailableError("Gone."), 503),
        (ProviderTimeoutError("Late."), 504),
    ],
    ids=lambda value: getattr(value, "code", None),
)
async def test_what_a_provider_does_wrong_has_its_own_status(
    serve: Serve, error: ProviderError, status: int
):
    async with serve(lambda call: error) as served:
        direct_status, direct = await served.post("/api/inference", {"prompt": "x"})
        run_status, run = await served.post("/api/orchestrate", {"prompt": "x"})
    assert direct_status == run_status == status
    assert direct["error"]["code"] == run["error"]["code"] == error.code
    ErrorBody.model_validate(direct)
    OrchestrateErrorBody.model_validate(run)


async def test_how_long_a_provider_asks_to_wait_is_passed_on(serve: Serve):
    busy = ProviderUnavailableError("Busy.", retry_after=2.2)
    async with (
        serve(lambda call: busy) as served,
        served.http.post("/api/inference", json={"prompt": "x"}) as response,
    ):
        assert response.headers["retry-after"] == "3"


async def test_errors_of_orchestrate_have_the_first_labs_fields(served: Served):
    _, run = await served.post("/orchestrate", {"prompt": ""})
    assert run["success"] is False
    assert run["id"] == run["error"]["request_id"]
    assert run["timestamp"]
    _, direct = await served.post("/inference", {"prompt": ""})
    assert set(direct) == {"error"}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/api/orchestrate", 405, "method_not_allowed"),
        ("GET", "/api/flows/nope", 404, "unknown_flow"),
        ("GET", "/api/models/nope", 404, "unknown_model"),
        ("GET", "/api/strategies/nope", 404, "unknown_strategy"),
    ],
)
async def test_what_is_not_there(served: Served, method: str, path: str, status: int, code: str):
    async with served.http.request(method, path) as response:
        assert response.status == status
        answer = await response.json()
    assert answer["error"]["code"] == code
    assert answer["error"]["hint"]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/api/runs", "GET, POST"), ("/api/flows/validate", "POST"), ("/api/inference", "POST")],
)
async def test_another_method_is_told_those_that_there_are(served: Served, path: str, allowed: str):
    async with served.http.options(path) as response:
        assert response.status == 405
        assert response.headers["allow"] == allowed


@pytest.mark.parametrize("broken", [b"{", b"", b"\xff\xfe{}", b'{"prompt": "x"} trailing'])
async def test_a_body_that_is_no_json(served: Served, broken: bytes):
    async with served.http.post("/api/inference", data=broken, headers=JSON) as response:
        assert response.status in (400, 422)
        ErrorBody.model_validate(await response.json())


async def test_where_the_json_breaks_is_said(served: Served):
    async with served.http.post("/api/inference", data=b'{"prompt" 1}', headers=JSON) as response:
        error = (await response.json())["error"]
    assert error["details"]["problems"][0]["field"] == "body"
    assert "after 10 characters" in error["message"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_body_of_another_type_is_refused(served: Served, kind: str):
    body = json.dumps({"prompt": "x"}).encode()
    headers = {"content-type": kind}
    async with served.http.post("/api/orchestrate", data=body, headers=headers) as response:
        assert response.status == 415
        assert "application/json" in (await response.json())["error"]["message"]


async def test_json_may_name_its_charset(served: Served):
    headers = {"content-type": "application/json; charset=utf-8"}
    body = json.dumps({"prompt": "¿Qué?"}).encode()
    async with served.http.post("/api/inference", data=body, headers=headers) as response:
        assert response.status == 200


@pytest.mark.parametrize("announced", [True, False], ids=["content-length", "chunked"])
async def test_a_body_that_is_too_long_is_refused(served: Served, announced: bool):
    body = json.dumps({"prompt": "x" * MAX_BODY_BYTES}).encode()

    async def chunks():
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    data = io.BytesIO(body) if announced else chunks()
    async with served.http.post("/api/inference", data=data, headers=JSON) as response:
        assert response.status == 413
        assert (await response.json())["error"]["code"] == "request_too_large"


async def test_a_body_just_below_the_limit_is_taken(served: Served):
    frame = len(json.dumps({"prompt": ""}))
    body = io.BytesIO(json.dumps({"prompt": "x" * (MAX_BODY_BYTES - frame)}).encode())
    async with served.http.post("/api/inference", data=body, headers=JSON) as response:
        assert response.status == 200


async def test_a_plain_request_id_is_kept(served: Served):
    headers = {"x-request-id": "my-request_1"}
    async with served.http.get("/api/flows/nope", headers=headers) as response:
        assert response.headers["x-request-id"] == "my-request_1"
        assert (await response.json())["error"]["request_id"] == "my-request_1"


@pytest.mark.parametrize("given", ["", "two words", "x" * 129, "<script>"])
async def test_another_request_id_is_replaced(served: Served, given: str):
    async with served.http.get("/healthz", headers={"x-request-id": given}) as response:
        assert re.fullmatch(ULID, response.headers["x-request-id"])


async def test_a_fault_of_ours_says_nothing_of_its_inside(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def broken(*_: object) -> str:
        raise ZeroDivisionError("the inside")

    caplog.set_level(logging.ERROR)
    monkeypatch.setattr(served.lab.gateway, "resolve_model", broken)
    async with served.http.post("/api/inference", json={"prompt": "x"}) as response:
        assert response.status == 500
        answer = await response.json()
        assert response.headers["x-request-id"] == answer["error"]["request_id"]
    assert answer["error"]["code"] == "internal_error"
    assert "the inside" not in json.dumps(answer)
    assert "the inside" in caplog.text


async def test_a_fault_of_a_provider_is_the_providers(
    serve: Serve, caplog: pytest.LogCaptureFixture
):
    def broken(call: object) -> str:
        raise ZeroDivisionError("the inside")

    caplog.set_level(logging.ERROR)
    async with serve(broken) as served:
        status, answer = await served.post("/api/inference", {"prompt": "x"})
    assert (status, answer["error"]["code"]) == (502, "provider_error")
    assert "the inside" not in json.dumps(answer)
    assert "the inside" in caplog.text


async def test_one_failing_request_leaves_the_others_alone(serve: Serve):
    async with serve({**DEBATE, "": ["fine", ProviderError("Broken."), "fine again"]}) as served:
        statuses = [(await served.post("/api/inference", {"prompt": "x"}))[0] for _ in range(3)]
    assert statuses == [200, 502, 200]
