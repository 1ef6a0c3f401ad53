"""What the lab knows and how it is, over HTTP."""

import asyncio
import re

import pytest

from agent_lab.api.server import create_app
from agent_lab.api.wire.catalogue import FlowView, ModelView
from agent_lab.config import Settings, load_settings
from agent_lab.errors import UnknownModelError
from agent_lab.flows.graph_configs import get_challenge_flow_config
from agent_lab.lab import build
from agent_lab.providers.registries.strategy_registry import Strategy
from agent_lab.providers.resources import Resources
from tests.api.conftest import LONGEST_WAIT_S, Served, serving

SMALLEST = "smollm2-135m"


async def test_flows_are_listed_and_shown(served: Served):
    _, flows = await served.get("/api/flows")
    assert [flow["name"] for flow in flows] == ["challenge"]
    assert flows[0]["roles"] == ["creator", "challenger", "refiner"]
    _, flow = await served.get("/api/flows/challenge")
    assert FlowView.model_validate(flow).definition == get_challenge_flow_config()


async def test_models_are_listed_and_shown(served: Served):
    _, models = await served.get("/api/models")
    assert [model["key"] for model in models] == ["first", "second", "third"]
    _, model = await served.get("/api/models/second")
    assert ModelView.model_validate(model).present
    assert model in models


async def test_models_are_listed_as_the_first_lab_did(served: Served):
    _, models = await served.get("/inference/models")
    assert models[0] == {"key": "first", "name": "first", "available": True, "loaded": False}


async def test_strategies_are_listed_and_shown(served: Served):
    _, strategies = await served.get("/api/strategies")
    assert "optimized" in [Strategy.model_validate(s).name for s in strategies]
    _, strategy = await served.get("/api/strategies/precise")
    assert strategy in strategies


async def test_resources_are_measured(served: Served):
    status, measured = await served.get("/api/system/resources")
    assert status == 200
    resources = Resources.model_validate(measured)
    assert resources.cpu.cores >= 1
    assert 0 < resources.memory.process_gb < resources.memory.total_gb
    assert resources.loaded_models == ()


async def test_health_and_readiness(served: Served):
    assert (await served.get("/healthz"))[1]["status"] == "ok"
    assert await served.get("/readyz") == (200, {"status": "ready"})


@pytest.mark.weights(SMALLEST)
async def test_only_the_warm_list_is_loaded_at_the_start_and_freed_at_the_end(settings: Settings):
    cold = build(settings)
    async with serving(create_app(settings, lab=cold)):
        assert cold.gateway.loaded_models() == ()
    listed = load_settings(home=settings.home, outputs_dir="outputs", warm_models=(SMALLEST,))
    warm = build(listed)
    async with serving(create_app(listed, lab=warm)) as served, asyncio.timeout(LONGEST_WAIT_S):
        _, resources = await served.get("/api/system/resources")
        assert resources["loaded_models"] == [SMALLEST]
        body = {"prompt": "Hi", "model": SMALLEST, "max_tokens": 4}
        _, answer = await served.post("/api/inference", body)
        assert answer["metrics"]["model_warm"] is True
        assert answer["metrics"]["load_time"] == 0
    assert warm.gateway.loaded_models() == ()


async def test_an_unknown_model_in_the_warm_list_is_refused(settings: Settings):
    lab = build(settings)
    with pytest.raises(UnknownModelError):
        await lab.gateway.warm(["nope"])
    await lab.aclose()


async def test_the_page_for_people_loads_nothing_from_elsewhere(served: Served):
    async with served.http.get("/docs") as response:
        assert response.status == 200
        page = await response.text()
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert sources
    for source in sources:
        async with served.http.get(source) as response:  # another host would be an error
            assert response.status == 200


async def test_the_page_for_people_is_left_out_in_production(settings: Settings):
    production = load_settings(home=settings.home, app_env="prod")
    async with serving(create_app(production)) as served:
        assert (await served.get("/docs"))[0] == 404
