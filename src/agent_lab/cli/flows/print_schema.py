"""`agent-lab flows schema`."""

from agent_lab.cli.outputs import show_json


def print_schema() -> None:
    """Print the JSON Schema of a flow's file, for editors and programs."""
    from agent_lab.flows.schema import flow_schema

    show_json(flow_schema())
