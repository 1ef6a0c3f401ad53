"""Models over HTTP: listed with their fit, loaded, warmed up, unloaded, recommended, added."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from agent_lab.api.server import create_app
from agent_lab.api.wire.models import ModelView
from agent_lab.config import Settings, load_settings
from agent_lab.lab import build
from agent_lab.providers.model_survey import Advice
from agent_lab.providers.registries.model_registry import ModelRegistry
from tests.api.conftest import LONGEST_WAIT_S, Served, serving
from tests.providers.local.weights.hub_double import HubDouble
from tests.providers.local.weights.test_hub_repository import serve as serve_model

SMALLEST = "smollm2-135m"
REMOTE = "gpt-4o-mini"
FEW_TOKENS = 10
"""Less than any system prompt has."""
SMALL = {"local_context": 512, "local_slots": 1}
"""So that nothing takes long."""

ServeLocal = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
def serve_local(settings: Settings) -> ServeLocal:
    """Serve a lab with the shipped models, as settings say."""

    @asynccontextmanager
    async def start(**changed: Any) -> AsyncIterator[Served]:
        wished: dict[str, Any] = {**SMALL, "home": settings.home, **changed}
        own = load_settings(outputs_dir=settings.outputs_dir, **wished)
        async with serving(create_app(own, lab=build(own))) as served:
            async with asyncio.timeout(LONGEST_WAIT_S):
                yield served

    return start


async def test_models_are_listed_and_shown(served: Served):
    _, models = await served.get("/api/models")
    assert [model["key"] for model in models] == ["first", "second", "third"]
    _, model = await served.get("/api/models/second")
    view = ModelView.model_validate(model)
    assert view.present
    assert (view.loaded, view.memory, view.fit) == (False, None, None)
    assert model in models


async def test_local_models_are_listed_with_the_memory_that_they_need(serve_local: ServeLocal):
    async with serve_local(max_vram_usage_gb=2.0) as served:
        _, listed = await served.get("/api/models")
    models = {model["key"]: ModelView.model_validate(model) for model in listed}
    small, large = models[SMALLEST].fit, models["llama3.3-70b"].fit
    assert small is not None
    assert small.fits == "now"
    assert large is not None
    assert (large.fits, large.slots, large.limit_gb) == ("never", 0, 2.0)
    assert models[REMOTE].fit is None


async def test_a_damaged_file_breaks_only_its_own_model(
    serve_local: ServeLocal, settings: Settings
):
    entry = ModelRegistry.load().get(SMALLEST)
    settings.weights_folder.mkdir(parents=True)
    with (settings.weights_folder / entry.file).open("wb") as file:
        file.truncate(entry.bytes)
    async with serve_local() as served:
        status, models = await served.get("/api/models")
        assert status == 200
        (damaged,) = (model for model in models if model["key"] == SMALLEST)
        assert (damaged["present"], damaged["fit"]) == (True, None)
        for action in ("load", "warm"):
            status, answer = await served.post(f"/api/models/{SMALLEST}/{action}", {})
            assert (status, answer["error"]["code"]) == (503, "weights_corrupt")


@pytest.mark.weights(SMALLEST)
async def test_a_model_is_loaded_and_unloaded(serve_local: ServeLocal):
    async with serve_local() as served:
        status, loaded = await served.post(f"/api/models/{SMALLEST}/load", {})
        assert status == 200
        view = ModelView.model_validate(loaded)
        assert view.loaded
        assert view.memory is not None
        assert (view.memory.slots, view.memory.context, view.memory.pinned) == (1, 512, True)
        assert view.fit is not None
        assert view.fit.fits == "now"
        _, resources = await served.get("/api/system/resources")
        assert resources["loaded_models"] == [SMALLEST]
        again = await served.post(f"/api/models/{SMALLEST}/load", {})
        assert again[0] == 200
        for _ in range(2):  # the second time there is nothing to do
            status, gone = await served.post(f"/api/models/{SMALLEST}/unload", {})
            assert (status, gone["loaded"], gone["memory"]) == (200, False, None)
        _, resources = await served.get("/api/system/resources")
        assert resources["local_models"] == []


@pytest.mark.weights(SMALLEST)
async def test_a_warm_model_has_read_what_the_prompts_of_a_flow_begin_with(
    serve_local: ServeLocal,
):
    async with serve_local(local_context=2048) as served:
        status, view = await served.post(f"/api/models/{SMALLEST}/warm", {"flow": "single"})
        assert (status, view["loaded"]) == (200, True)
        body = {"flow_type": "single", "prompt": "Why?", "model": SMALLEST, "max_tokens": 4}
        _, answer = await served.post("/api/orchestrate", body)
        assert answer["metrics"]["model_warm_rate"] == 1
        assert answer["usage"]["cached_tokens"] > FEW_TOKENS


@pytest.mark.weights(SMALLEST)
async def test_a_model_in_use_is_not_unloaded(serve_local: ServeLocal):
    async with serve_local() as served:
        body = {"prompt": "Count to one hundred.", "model": SMALLEST, "max_tokens": 400}
        answering = asyncio.create_task(served.post("/api/inference", body))
        while not served.lab.gateway.memory.loaded():
            await served.get("/healthz")
        status, answer = await served.post(f"/api/models/{SMALLEST}/unload", {})
        assert (status, answer["error"]["code"]) == (409, "model_in_use")
        answering.cancel()


@pytest.mark.weights(SMALLEST)
async def test_a_model_that_never_fits_is_refused_with_a_way_out(serve_local: ServeLocal):
    async with serve_local(max_vram_usage_gb=0.01) as served:
        status, answer = await served.post(f"/api/models/{SMALLEST}/load", {})
    assert (status, answer["error"]["code"]) == (503, "not_enough_vram")
    assert "MAX_VRAM_USAGE_GB" in answer["error"]["hint"]


async def test_missing_weights_are_said_with_the_way_to_get_them(serve_local: ServeLocal):
    async with serve_local() as served:
        status, answer = await served.post(f"/api/models/{SMALLEST}/load", {})
    assert (status, answer["error"]["code"]) == (503, "weights_missing")
    assert answer["error"]["hint"] == f"agent-lab models pull {SMALLEST}"


@pytest.mark.parametrize("action", ["load", "warm", "unload"])
async def test_a_model_that_lives_elsewhere_is_shown_as_it_is(serve_local: ServeLocal, action: str):
    async with serve_local() as served:
        status, answer = await served.post(f"/api/models/{REMOTE}/{action}", {})
        assert status == 200
        assert answer == (await served.get(f"/api/models/{REMOTE}"))[1]


@pytest.mark.parametrize("action", ["load", "warm", "unload"])
async def test_what_is_wrong_with_a_request_is_said(served: Served, action: str):
    path = f"/api/models/first/{action}"
    status, answer = await served.post(path.replace("first", "forst"), {})
    assert (status, answer["error"]["code"]) == (404, "unknown_model")
    assert answer["error"]["details"]["near"] == ["first"]
    status, answer = await served.post(path, {"how": "fast"})
    assert (status, answer["error"]["code"]) == (422, "invalid_request")
    async with served.http.post(path, data=b"{}") as response:
        assert response.status == 415


async def test_a_flow_in_the_body_that_there_is_not_is_a_wrong_value(served: Served):
    status, answer = await served.post("/api/models/first/warm", {"flow": "chalenge"})
    assert (status, answer["error"]["code"]) == (400, "unknown_flow")


async def test_a_server_on_its_way_out_begins_nothing(served: Served):
    served.app.state.work.ending = True
    status, answer = await served.post("/api/models/first/unload", {})
    assert (status, answer["error"]["code"]) == (503, "server_shutting_down")


async def test_the_best_models_for_this_machine_are_recommended(serve_local: ServeLocal):
    async with serve_local(max_vram_usage_gb=4.0) as served:
        _, answer = await served.get("/api/models/recommended")
        _, spanish = await served.get("/api/models/recommended?language=es&capability=json_schema")
        _, seeing = await served.get("/api/models/recommended?capability=vision")
        status, refused = await served.get("/api/models/recommended?capability=sight")
    advice = Advice.model_validate(answer)
    keys = [model.key for model in advice.models]
    assert SMALLEST in keys
    assert all(model.fit.need_gb <= 4.0 for model in advice.models)
    assert advice.pair is not None
    assert set(advice.pair) <= set(keys)
    assert SMALLEST not in [model["key"] for model in spanish["models"]]
    assert seeing == {"models": [], "pair": None}
    assert (status, refused["error"]["code"]) == (422, "invalid_request")


async def test_a_model_of_a_hub_is_added_and_known_at_once(
    serve_local: ServeLocal, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("no_proxy", "*")
    async with (
        HubDouble() as hub,
        serve_local(hf_endpoint=hub.address, offline=False) as served,
    ):
        serve_model(hub)
        wish = {"source": "hf:owner/Tiny-GGUF", "key": "tiny"}
        status, added = await served.post("/api/models", wish)
        assert status == 201
        assert ModelView.model_validate(added).licence == "apache-2.0"
        assert (await served.get("/api/models/tiny"))[1]["present"] is False
        status, answer = await served.post("/api/models", wish)
        assert (status, answer["error"]["code"]) == (400, "configuration_error")
        assert (await served.post("/api/models", {**wish, "replace": True}))[0] == 201
        hub.status = 500
        status, answer = await served.post("/api/models", wish)
        assert (status, answer["error"]["code"]) == (503, "provider_unavailable")
    assert '[models."tiny"]' in settings.own_models_file.read_text("utf-8")


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"source": "hf:owner/repo"}, 400),  # the network must not be used
        ({"source": "owner/repo"}, 422),
        ({"source": "hf:owner/repo", "replace": "yes"}, 422),
        ({}, 422),
    ],
)
async def test_a_model_that_cannot_be_added_is_refused(
    serve_local: ServeLocal, settings: Settings, wish: dict[str, Any], status: int
):
    async with serve_local() as served:
        refused, answer = await served.post("/api/models", wish)
    assert refused == status, json.dumps(answer)
    assert not settings.own_models_file.exists()
