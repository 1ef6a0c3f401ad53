"""Has a running server do something with some of its models, and says what became of each."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from agent_lab.cli.models.model_rows import slots_told
from agent_lab.cli.outputs import Interrupted, show
from agent_lab.cli.running_server import RunningServer, address_of
from agent_lab.cli.session import open_settings
from agent_lab.errors import ProviderUnavailableError

if TYPE_CHECKING:
    from agent_lab.contracts import JsonObject

_SHOWN = {"provider", "engine", "memory"}
"""What of a server's view of a model is read here."""

Keys = Annotated[list[str], typer.Argument(metavar="KEY…", help="Model keys.")]
Server = Annotated[
    str | None,
    typer.Option(metavar="URL", help="The running server; else the one at PORT on this machine."),
]


def ask_of_models(
    keys: Sequence[str],
    server: str | None,
    action: str,
    *,
    told: "Callable[[JsonObject], str]",
    body: "JsonObject | None" = None,
) -> None:
    """Ask a running server to do something with some models, one after the other.

    Args:
        keys: The models.
        server: Its address; None: as the settings say.
        action: `load`, `warm` or `unload`.
        told: Says what became of a model, of what the server shows of it.
        body: What is asked beside the action.

    Raises:
        Interrupted: Ctrl-C; what the server has begun goes on.
        AgentLabError: There is no server.
        Exit: The server refuses; why was said.
    """
    settings = open_settings()
    running = RunningServer(server or address_of(settings.host, settings.port))
    for key in keys:
        waiting = (
            f"Waiting for the server to {action} `{key}`. Ctrl-C ends the waiting, not what the "
            "server has begun."
        )
        try:
            view = running.post(f"/api/models/{quote(key, safe='')}/{action}", body or {}, waiting)
        except KeyboardInterrupt:
            raise Interrupted(
                f"The server goes on with what it has begun. Try: agent-lab models {action} {key}"
            ) from None
        _check(view, key)
        show(f"{key}  {told(view)}")


def _check(view: "JsonObject", key: str) -> None:
    if _SHOWN - view.keys():
        raise ProviderUnavailableError(
            f"The server says of `{key}` what no server of this version says.",
            provider="server",
            hint="agent-lab serve, or --server URL of one that runs",
        )


def loaded_told(view: "JsonObject") -> str:
    """What became of a model that was to be loaded."""
    memory = view["memory"]
    if memory is None:
        return _elsewhere(view) or "gone again: the server made room for another"
    slots = slots_told(memory["slots"], memory["context"])
    return f"loaded: {slots}, {memory['need_gb']:.2f} GB"


def unloaded_told(view: "JsonObject") -> str:
    """What became of a model that was to be unloaded."""
    return _elsewhere(view) or "unloaded"


def _elsewhere(view: "JsonObject") -> str:
    """Where a model lives that no engine of the server executes; empty: one does."""
    here = bool(view["engine"])
    return "" if here else f"takes no memory here: it lives at `{view['provider']}`"
