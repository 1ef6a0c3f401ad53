"""What the first lab's users import is still here, with the parameters that they know."""

import inspect
import json
import subprocess
import sys
from importlib import import_module
from operator import attrgetter

import pytest

import agent_lab.orchestrator

GRAPHS = "agent_lab.orchestrator.graph_builder"
AGENT = "agent_lab.orchestrator.routing_agent"
METRICS = "agent_lab.orchestrator.flow_metrics"
NODES = "agent_lab.orchestrator.nodes.execution_node"
FLOWS = "agent_lab.flows.graph_configs"
PROMPTS = "agent_lab.flows.prompt_templates"
PROVIDERS = "agent_lab.providers"
SERVER = "agent_lab.api.server"
ROUTERS = "agent_lab.orchestrator.routers"

NAMES: list[tuple[str, str, tuple[str, ...]]] = [
    (AGENT, "run_routing_agent", ("user_input", "gateway", "flow_type", "verbose")),
    (AGENT, "run_orchestrator", ("prompt", "flow_type")),
    (AGENT, "run", ("state", "flow_type")),
    ("agent_lab", "run_orchestrator", ("prompt", "flow_type")),
    (GRAPHS, "GraphBuilder", ("gateway",)),
    (GRAPHS, "GraphBuilder.build_linear_flow_graph", ()),
    (GRAPHS, "GraphBuilder.build_challenge_flow_graph", ()),
    (GRAPHS, "GraphBuilder.build_graph_from_config", ()),
    (GRAPHS, "GraphBuilder.register_node", ()),
    (GRAPHS, "GraphBuilder.set_gateway", ("self", "gateway")),
    (GRAPHS, "GraphBuilder._find_terminal_nodes", ()),
    (GRAPHS, "GraphBuilder._create_configurable_execution_node", ()),
    (GRAPHS, "get_graph_builder", ()),
    (GRAPHS, "build_routing_graph", ()),
    (NODES, "execution_node", ()),
    (ROUTERS, "route_after_analysis", ("state",)),
    (ROUTERS, "route_after_validation", ("state",)),
    (ROUTERS, "should_include_history", ("state",)),
    (FLOWS, "FlowConfig", ()),
    (FLOWS, "NodeConfig", ()),
    (FLOWS, "EdgeConfig", ()),
    (FLOWS, "FLOW_CONFIGS", ()),
    (FLOWS, "get_flow_config", ()),
    (FLOWS, "get_challenge_flow_config", ()),
    (FLOWS, "get_multi_perspective_flow_config", ()),
    (FLOWS, "list_available_flows", ()),
    (PROMPTS, "format_prompt_template", ()),
    (METRICS, "build_api_response", ()),
    (METRICS, "build_challenge_flow_nodes", ()),
    (METRICS, "build_execution_metrics", ()),
    (METRICS, "build_error_response", ()),
    (METRICS, "get_flow_summary", ()),
    (PROVIDERS, "get_model", ()),
    (PROVIDERS, "list_models", ()),
    (PROVIDERS, "supports_task", ()),
    (PROVIDERS, "get_available_vram", ()),
    (PROVIDERS, "can_load_model", ()),
    (SERVER, "create_app", ()),
]
"""Module, name in it, and its leading parameters where users pass them by name."""


@pytest.mark.parametrize(
    ("module", "name", "parameters"), NAMES, ids=[f"{row[0]}.{row[1]}" for row in NAMES]
)
def test_a_name_of_the_first_lab_is_here_with_its_parameters(
    module: str, name: str, parameters: tuple[str, ...]
):
    found = attrgetter(name)(import_module(module))
    if parameters:
        ours = inspect.signature(found).parameters.values()
        known = [p.name for p in ours if p.kind is p.POSITIONAL_OR_KEYWORD]
        assert tuple(known[: len(parameters)]) == parameters


def test_the_orchestrator_exports_the_first_labs_seven_names():
    exported = agent_lab.orchestrator.__all__
    assert len(set(exported)) == len(exported) == 7
    for name in exported:
        assert callable(getattr(agent_lab.orchestrator, name))
    with pytest.raises(AttributeError, match="`run_debate`"):
        _ = agent_lab.orchestrator.run_debate


def test_importing_the_orchestrator_alone_does_not_load_langgraph():
    program = "import agent_lab.orchestrator, json, sys; print(json.dumps(sorted(sys.modules)))"
    printed = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout
    loaded = set(json.loads(printed))
    assert "agent_lab.orchestrator" in loaded
    assert {m for m in loaded if m.startswith(("langgraph", "langchain"))} == set()
