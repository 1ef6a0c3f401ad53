"""`agent-lab models pull`."""

from typing import Annotated

import typer

from agent_lab.cli.pulling import pull_models
from agent_lab.cli.session import open_settings


def pull(
    keys: Annotated[list[str], typer.Argument(metavar="KEY…", help="Model keys.")],
    *,
    force: Annotated[bool, typer.Option(help="Fetch again what is here already.")] = False,
) -> None:
    """Fetch the weights of local models; what is here already is not fetched again."""
    pull_models(open_settings(), keys, force=force)
