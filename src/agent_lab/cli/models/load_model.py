"""`agent-lab models load`."""

from agent_lab.cli.models.running_models import Keys, Server, ask_of_models, loaded_told


def load_model(keys: Keys, *, server: Server = None) -> None:
    """Have a running server load models; they stay, also when nobody uses them for long."""
    ask_of_models(keys, server, "load", told=loaded_told)
