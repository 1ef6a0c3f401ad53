"""`agent-lab flows list`."""

from agent_lab.cli.flow_texts import written
from agent_lab.cli.options import AsJson
from agent_lab.cli.outputs import show, show_json


def list_flows(*, as_json: AsJson = False) -> None:
    """List the flows, with their roles and inputs."""
    from agent_lab.flows.flow_plan import plan_flow
    from agent_lab.flows.graph_configs import FLOW_CONFIGS
    from agent_lab.flows.prompt_templates import in_language

    flows = list(FLOW_CONFIGS.values())
    if as_json:
        show_json(
            [
                {
                    "name": flow.name,
                    "version": flow.version,
                    "roles": plan_flow(flow).roles(),
                    "inputs": {name: config.default for name, config in flow.inputs.items()},
                    "description": in_language(flow.description, "en"),
                }
                for flow in flows
            ]
        )
        return
    for flow in flows:
        show(f"{flow.name}  {', '.join(plan_flow(flow).roles())}")
        show(f"  {in_language(flow.description, 'en')}")
        for name, config in flow.inputs.items():
            show(f"  --input {name}={written(config.default)}")
