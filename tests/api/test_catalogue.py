"""What the lab knows and how it is, over HTTP."""

import asyncio
import io
import re
from typing import Any

import jsonschema_rs
import pytest

from agent_lab.api.body_limit import MAX_BODY_BYTES
from agent_lab.api.server import create_app
from agent_lab.api.wire.catalogue import FlowSummary, FlowView, NodeKindView
from agent_lab.config import Settings, load_settings
from agent_lab.errors import UnknownModelError
from agent_lab.flows.flow_plan import plan_flow
from agent_lab.flows.flow_validator import FlowReport
from agent_lab.flows.graph_configs import FLOW_CONFIGS
from agent_lab.lab import build
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.providers.local.scripted_provider import ScriptedProvider
from agent_lab.providers.registries.strategy_registry import Strategy
from agent_lab.providers.resources import Resources
from tests.api.conftest import LONGEST_WAIT_S, Serve, Served, serving

SMALLEST = "smollm2-135m"


async def test_flows_are_listed_and_shown(served: Served):
    _, flows = await served.get("/api/flows")
    assert [flow["name"] for flow in flows] == list(FLOW_CONFIGS)
    listed = {flow["name"]: FlowSummary.model_validate(flow) for flow in flows}
    assert listed["challenge"].roles == ("creator", "challenger", "refiner")
    assert listed["challenge"].inputs["rounds"].default == 1
    assert listed["multi_perspective"].roles[0] == "security_expert"
    for name, flow in FLOW_CONFIGS.items():
        _, shown = await served.get(f"/api/flows/{name}")
        assert FlowView.model_validate(shown).definition.version == flow.version


async def test_a_shown_definition_is_a_flow_that_can_be_proved_again(served: Served):
    _, shown = await served.get("/api/flows/linear")
    status, report = await served.post("/api/flows/validate", shown["definition"])
    assert status == 200
    assert report["faults"] == []
    assert report["worst_case"]["calls"] == 4


async def test_what_flows_can_be_made_of_is_listed(served: Served):
    _, kinds = await served.get("/api/node-kinds")
    views = {kind["name"]: NodeKindView.model_validate(kind) for kind in kinds}
    assert set(views) == set(served.lab.builder.catalogue().kinds)
    for kind in views.values():
        for text in (kind.title, kind.description):
            assert isinstance(text, dict)
            assert set(text) == {"en", "es"}
        assert kind.form["type"] == "object"
    assert views["critique"].takes == ("draft",)
    assert views["critique"].form["required"] == ["drafts"]
    assert views["output_validator"].gives == "score"
    assert "accepted" in views["output_validator"].values
    _, routers = await served.get("/api/routers")
    assert {"name": "route_after_validation", "routes": ["accept", "retry"]} in routers


async def test_the_form_of_a_type_accepts_what_its_nodes_say(served: Served):
    _, kinds = await served.get("/api/node-kinds")
    forms = {kind["name"]: jsonschema_rs.Draft202012Validator(kind["form"]) for kind in kinds}
    for flow in FLOW_CONFIGS.values():
        for node in plan_flow(flow).nodes:
            forms[node.type].validate(node.config)
    assert not forms["critique"].is_valid({})
    assert not forms["critique"].is_valid({"drafts": ["a"], "colour": "red"})


async def test_a_type_that_takes_any_configuration_has_an_empty_form(served: Served):
    served.lab.builder.register_node("mine", lambda config, flow: _nothing)
    _, kinds = await served.get("/api/node-kinds")
    assert [kind["form"] for kind in kinds if kind["name"] == "mine"] == [{}]


async def _nothing(state: AgentState, run: RunContext) -> StateUpdate:
    return {}


FAULTY = {"name": "x", "entry_point": "nobody", "nodes": [{"id": "a", "prompt_template": "{x}"}]}


@pytest.mark.parametrize(
    ("flow", "codes"),
    [
        ({}, {"wrong_value"}),
        ({"name": "x", "nodes": "many", "colour": "red"}, {"wrong_value", "unknown_field"}),
        (FAULTY, {"unknown_node", "unknown_name"}),
    ],
)
async def test_a_faulty_flow_is_answered_with_all_that_is_wrong(
    served: Served, flow: Any, codes: set[str]
):
    status, report = await served.post("/api/flows/validate", flow)
    assert status == 200
    assert {fault.code for fault in FlowReport.model_validate(report).errors} == codes
    assert report["worst_case"] is None


async def test_proving_a_flow_asks_nobody_and_writes_nothing(serve: Serve, settings: Settings):
    provider = ScriptedProvider({})
    async with serve(provider) as served:
        for flow in FLOW_CONFIGS.values():
            content = flow.model_dump(mode="json", by_alias=True)
            status, _ = await served.post("/api/flows/validate", content)
            assert status == 200
    assert provider.calls == []
    assert not settings.outputs_dir.exists()


@pytest.mark.parametrize("body", ["[]", '"x"', "null", "", "{"])
async def test_what_is_no_object_is_no_flow(served: Served, body: str):
    status, answer = await _sent(served, body)
    assert (status, answer["error"]["code"]) == (422, "invalid_request")


async def test_a_flow_is_no_longer_than_any_other_body(served: Served):
    status, answer = await _sent(served, '{"name": "' + "x" * MAX_BODY_BYTES + '"}')
    assert (status, answer["error"]["code"]) == (413, "request_too_large")


async def test_a_page_in_a_browser_cannot_have_a_flow_proved_unasked(served: Served):
    async with served.http.post("/api/flows/validate", data="{}") as response:
        assert response.status == 415


@pytest.mark.parametrize("depth", [200, 300, 10_000])
async def test_a_flow_that_is_nested_deeply_is_no_fault_of_the_lab(served: Served, depth: int):
    inner = '{"op": "eq", "left": 1, "right": 2}'
    condition = '{"op": "not", "of": [' * depth + inner + "]}" * depth
    status, answer = await _sent(
        served,
        '{"name": "x", "entry_point": "a", "nodes": [{"id": "a", "prompt_template": "x"}], '
        f'"edges": [{{"source": "a", "target": "a", "condition": {condition}}}]}}',
    )
    assert status in {200, 400, 422}
    assert answer.get("faults") or answer["error"]["code"] == "invalid_request"


async def _sent(served: Served, text: str) -> tuple[int, Any]:
    """Send a text as JSON, whatever it is."""
    headers = {"content-type": "application/json"}
    body = io.BytesIO(text.encode())
    async with served.http.post("/api/flows/validate", data=body, headers=headers) as response:
        return response.status, await response.json()


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
        assert cold.gateway.memory.loaded() == ()
    listed = load_settings(home=settings.home, outputs_dir="outputs", warm_models=(SMALLEST,))
    warm = build(listed)
    async with serving(create_app(listed, lab=warm)) as served, asyncio.timeout(LONGEST_WAIT_S):
        _, resources = await served.get("/api/system/resources")
        assert resources["loaded_models"] == [SMALLEST]
        body = {"prompt": "Hi", "model": SMALLEST, "max_tokens": 4}
        _, answer = await served.post("/api/inference", body)
        assert answer["metrics"]["model_warm"] is True
        assert answer["metrics"]["load_time"] == 0
    assert warm.gateway.memory.loaded() == ()


async def test_an_unknown_model_in_the_warm_list_is_refused(settings: Settings):
    lab = build(settings)
    with pytest.raises(UnknownModelError):
        await lab.warm(["nope"])
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
