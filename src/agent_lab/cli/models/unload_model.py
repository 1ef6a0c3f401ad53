"""`agent-lab models unload`."""

from agent_lab.cli.models.running_models import Keys, Server, ask_of_models, unloaded_told


def unload_model(keys: Keys, *, server: Server = None) -> None:
    """Have a running server free the memory of models that nobody uses."""
    ask_of_models(keys, server, "unload", told=unloaded_told)
