"""The server's description: FastAPI's own, with the names that there are and the events."""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from agent_lab.api.wire.events import RunStreamEvent
from agent_lab.api.wire.names import KIND
from agent_lab.contracts import JsonObject
from agent_lab.flows.flow_plan import member_node
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.lab import Lab

EVENT = "RunStreamEvent"
_REF = "#/components/schemas/{model}"


def describe(app: FastAPI, lab: Lab) -> JsonObject:
    """Describe every operation of an application.

    Args:
        app: The application.
        lab: Whose flows, models and strategies can be asked for.
    """
    description = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        license_info=app.license_info,
        routes=app.routes,
        tags=app.openapi_tags,
    )
    schemas = description["components"]["schemas"]
    event = RunStreamEvent.json_schema(ref_template=_REF)
    schemas.update({name: s for name, s in event.pop("$defs").items() if name not in schemas})
    schemas[EVENT] = event
    _list_names(description, _names(lab))
    _leave_out(description, "HTTPValidationError", "ValidationError")
    return description


def _names(lab: Lab) -> dict[str, list[str]]:
    return {
        "flows": list(lab.flows),
        "models": [e.key for e in lab.gateway.models.all() if lab.gateway.ready(e)],
        "strategies": [strategy.name for strategy in lab.gateway.strategies.all()],
        "inputs": sorted({name for flow in lab.flows.values() for name in flow.inputs}),
        "roles": sorted({role for flow in lab.flows.values() for role in _roles(flow)}),
    }


def _roles(flow: FlowConfig) -> Iterator[str]:
    """Every role of a flow, with those of members that take part only where somebody asks."""
    for node in flow.nodes:
        if node.is_role and node.group is not None and not node.role:
            yield from (member_node(member, node.id) for member in node.group.members)
        elif node.is_role:
            yield node.speaker


def _leave_out(description: JsonObject, *schemas: str) -> None:
    """Leave out FastAPI's own form of an error, which nobody is ever answered with."""
    refs = [{"$ref": _REF.format(model=name)} for name in schemas]
    for name in schemas:
        description["components"]["schemas"].pop(name, None)
    for part in _objects(description["paths"]):
        for status, response in list(part.get("responses", {}).items()):
            contents = response.get("content", {}).values()
            if any(content.get("schema") in refs for content in contents):
                del part["responses"][status]


def _list_names(description: Any, names: Mapping[str, list[str]]) -> None:
    for schema in _objects(description):
        known = names.get(schema.pop(KIND, ""))
        if known:  # an empty list would say that no text is right
            schema["enum"] = known


def _objects(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, list):
        for item in part:
            yield from _objects(item)
    if isinstance(part, dict):
        for item in part.values():
            yield from _objects(item)
        yield part
