"""`agent-lab models warm`."""

from typing import Annotated

import typer

from agent_lab.cli.models.running_models import Keys, Server, ask_of_models, loaded_told


def warm_model(
    keys: Keys,
    *,
    flow: Annotated[
        str, typer.Option(metavar="NAME", help="The flow whose prompts they are warmed up for.")
    ] = "challenge",
    server: Server = None,
) -> None:
    """Have a running server load models and read what the prompts of a flow begin with."""
    ask_of_models(keys, server, "warm", told=loaded_told, body={"flow": flow})
