"""Routers read the state and name one of their ways; nothing else decides."""

from typing import Any

import pytest

from agent_lab.orchestrator.agent_state import new_state, updated
from agent_lab.orchestrator.routers import (
    ROUTERS,
    route_after_analysis,
    route_after_validation,
    should_include_history,
)
from tests.orchestrator.conftest import begun, planned, ran, speaker, staged


@pytest.mark.parametrize(
    ("router", "change", "way"),
    [
        (route_after_analysis, {"demanding": True}, "resource_monitor"),
        (route_after_analysis, {"demanding": False}, "execution"),
        (route_after_analysis, {}, "execution"),
        (route_after_validation, {"accepted": True}, "accept"),
        (route_after_validation, {"accepted": False}, "retry"),
        (route_after_validation, {}, "retry"),
    ],
)
def test_a_router_names_a_way_by_the_state(router: Any, change: dict[str, Any], way: str):
    state = updated(begun(), change)
    assert router(state) == way
    assert way in router.routes


@pytest.mark.parametrize(
    ("inputs", "way"),
    [({}, "include"), ({"read_history": True}, "include"), ({"read_history": False}, "skip")],
)
def test_history_is_read_unless_the_flows_input_says_no(inputs: dict[str, Any], way: str):
    state = new_state(
        request_id="", flow_type="t", user_input="x", lang="en", head="", inputs=inputs
    )
    assert should_include_history(state) == way


def test_the_first_labs_routers_are_registered_by_name():
    assert {"route_after_analysis", "route_after_validation", "should_include_history"} <= set(
        ROUTERS.names()
    )
    for name in ROUTERS.names():
        assert ROUTERS.get(name).routes


@pytest.mark.parametrize(("text", "path"), [("x" * 2000, ["a", "b"]), ("x", ["a", "c"])])
async def test_an_edge_is_taken_as_the_router_says(text: str, path: list[str]):
    route = {"op": "route", "router": "route_after_analysis", "to": "resource_monitor"}
    plan = planned(
        {"id": "a", "type": "task_analyzer"},
        speaker("b"),
        speaker("c"),
        edges="",
    )
    edges = [
        {"source": "a", "target": "b", "condition": route},
        {"source": "a", "target": "c"},
    ]
    flow = type(plan).model_validate({**plan.model_dump(), "edges": edges})
    stage = staged(lambda call: call.role, request={"input": text})
    await ran(flow, stage)
    assert stage.path == path
