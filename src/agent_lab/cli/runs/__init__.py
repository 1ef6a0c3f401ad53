"""`agent-lab runs`: the runs that are kept, and what can be done with them."""

import typer

from agent_lab.cli.runs.answer_run import answer_run
from agent_lab.cli.runs.cancel_run import cancel_run
from agent_lab.cli.runs.export_run import export_run
from agent_lab.cli.runs.list_runs import list_runs
from agent_lab.cli.runs.prune_runs import prune_runs
from agent_lab.cli.runs.replay_run import replay_run
from agent_lab.cli.runs.resume_run import resume_run
from agent_lab.cli.runs.show_run import show_run

app = typer.Typer(
    help="The runs that are kept: list, show, go on with, answer, stop, replay, delete."
)
app.command("list")(list_runs)
app.command("show")(show_run)
app.command("resume")(resume_run)
app.command("answer")(answer_run)
app.command("cancel")(cancel_run)
app.command("replay")(replay_run)
app.command("export")(export_run)
app.command("prune")(prune_runs)
