"""`agent-lab models`: the models that there are, their weights, and the memory that they take."""

import typer

from agent_lab.cli.models.add_model import add_model
from agent_lab.cli.models.list_models import list_models
from agent_lab.cli.models.load_model import load_model
from agent_lab.cli.models.pull_models import pull
from agent_lab.cli.models.recommend_models import recommend_models
from agent_lab.cli.models.show_model import show_model
from agent_lab.cli.models.unload_model import unload_model
from agent_lab.cli.models.warm_model import warm_model

app = typer.Typer(help="The models that there are, their weights, and the memory that they take.")
app.command("list")(list_models)
app.command("show")(show_model)
app.command("recommend")(recommend_models)
app.command("add")(add_model)
app.command("pull")(pull)
app.command("load")(load_model)
app.command("warm")(warm_model)
app.command("unload")(unload_model)
