"""`agent-lab flows`: the flows that there are, and JSON files that hold further ones."""

import typer

from agent_lab.cli.flows.list_flows import list_flows
from agent_lab.cli.flows.print_schema import print_schema
from agent_lab.cli.flows.run_tests import run_tests
from agent_lab.cli.flows.show_flow import show_flow
from agent_lab.cli.flows.validate_flows import validate_flows

app = typer.Typer(help="The flows that there are, and files that hold further ones.")
app.command("list")(list_flows)
app.command("show")(show_flow)
app.command("validate")(validate_flows)
app.command("test")(run_tests)
app.command("schema")(print_schema)
