"""Providers over HTTP: breakers and limits are shown, and an operator can close a breaker."""

from typing import Any

import aiohttp
import pytest

from agent_lab.api.server import create_app
from agent_lab.config import Settings
from tests.api.conftest import Served, serving
from tests.faults.upstream import FaultyUpstream

ASKED = {"prompt": "hi", "model": "gpt-4o-mini"}


@pytest.fixture
async def upstream():
    async with FaultyUpstream() as upstream:
        yield upstream


@pytest.fixture
async def remote(settings: Settings, upstream: FaultyUpstream, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-0123456789")
    moved = Settings(
        home=settings.home,
        outputs_dir=settings.outputs_dir,
        openai_base_url=f"{upstream.url}/v1",
        max_attempts=1,
    )
    async with serving(create_app(moved)) as running:
        yield running


async def test_providers_are_listed_without_their_keys(remote: Served, upstream: FaultyUpstream):
    _, providers = await remote.get("/api/providers")
    shown = {provider["name"]: provider for provider in providers}
    assert {"local", "openai", "anthropic", "ollama"} <= set(shown)
    assert shown["openai"]["key_variable"] == "OPENAI_API_KEY"
    assert shown["openai"]["breaker"]["state"] == "closed"
    assert (shown["local"]["is_local"], shown["openai"]["is_local"]) == (True, False)
    assert shown["openai"]["address"] == f"{upstream.url}/v1"
    assert "canary" not in str(providers)


async def test_an_open_breaker_is_shown_and_can_be_reset(remote: Served, upstream: FaultyUpstream):
    upstream.mode = "unauthorized"
    status, body = await remote.post("/api/inference", ASKED)
    assert (status, body["error"]["code"]) == (502, "provider_auth")
    async with remote.http.post("/api/inference", json=ASKED) as refused:
        assert refused.status == 503
        assert 0 < int(refused.headers["retry-after"]) <= 60
    _, shown = await remote.get("/api/providers/openai")
    assert shown["breaker"]["state"] == "open"
    assert [change["after"] for change in shown["transitions"]] == ["open"]
    upstream.mode = "ok"
    status, reset = await remote.post("/api/providers/openai/reset", {})
    assert (status, reset["breaker"]["state"]) == (200, "closed")
    status, answer = await remote.post("/api/inference", ASKED)
    assert (status, answer["source"]) == (200, "openai")
    assert answer["usage"]["cost_usd"] > 0


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_unknown_provider_is_not_found(remote: Served, method: str):
    path = "/api/providers/opena" + ("/reset" if method == "POST" else "")
    async with remote.http.request(method, path, json={}) as answer:
        body: Any = await answer.json()
    assert (answer.status, body["error"]["code"]) == (404, "unknown_provider")
    assert body["error"]["details"]["near"] == ["openai"]


async def test_metrics_count_what_was_asked(remote: Served, upstream: FaultyUpstream):
    await remote.post("/api/inference", ASKED)
    upstream.mode = "unauthorized"
    await remote.post("/api/inference", ASKED)
    text = await _metrics(remote.http)
    counted = 'lab_llm_requests_total{error_type="%s",model="gpt-4o-mini",outcome="%s",provider='
    assert counted % ("", "ok") in text
    assert counted % ("provider_auth", "error") in text
    assert 'lab_breaker_state{model="*",provider="openai"} 2.0' in text
    assert 'lab_llm_tokens_total{direction="input",model="gpt-4o-mini"' in text


async def _metrics(http: aiohttp.ClientSession) -> str:
    async with http.get("/metrics") as answer:
        assert answer.headers["content-type"].startswith("text/plain")
        return await answer.text()
