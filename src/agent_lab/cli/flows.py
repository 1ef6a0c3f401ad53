"""`agent-lab flows`: the flows that there are."""

import json
from typing import Annotated

import typer

from agent_lab.cli.options import AsJson

app = typer.Typer(help="The flows that there are.")


@app.command("list")
def list_flows(*, as_json: AsJson = False) -> None:
    """List the flows, with their roles."""
    from agent_lab.flows.graph_configs import FLOW_CONFIGS
    from agent_lab.flows.prompt_templates import in_language

    rows = [
        {
            "name": flow.name,
            "version": flow.version,
            "roles": flow.roles(),
            "description": in_language(flow.description, "en"),
        }
        for flow in FLOW_CONFIGS.values()
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        typer.echo(f"{row['name']}  {' → '.join(row['roles'])}\n  {row['description']}")


@app.command("show")
def show_flow(
    name: Annotated[str, typer.Argument(help="A flow's name.")], *, as_json: AsJson = False
) -> None:
    """Show a flow: its nodes, edges and prompts."""
    from agent_lab.flows.graph_configs import get_flow_config
    from agent_lab.flows.prompt_templates import in_language

    flow = get_flow_config(name)
    if as_json:
        typer.echo(flow.model_dump_json(indent=2))
        return
    typer.echo(f"{flow.name} ({flow.version})\n{in_language(flow.description, 'en')}")
    for node in flow.nodes:
        settings = {"model": node.model, "strategy": node.strategy, "temperature": node.temperature}
        told = ", ".join(f"{key} {value}" for key, value in settings.items() if value is not None)
        targets = [edge.target for edge in flow.edges_from(node.id)] or ["end"]
        typer.echo(f"\n{node.id} → {', '.join(targets)}" + (f"  ({told})" if told else ""))
        prompt = in_language(node.prompt_template, "en")
        typer.echo("\n".join(f"  | {line}" for line in prompt.splitlines()))
