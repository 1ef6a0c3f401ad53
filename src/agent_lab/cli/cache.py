"""`agent-lab cache`: the answers that a running server keeps."""

from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from agent_lab.cli.models.running_models import Server
from agent_lab.cli.options import AsJson
from agent_lab.cli.outputs import show, show_json
from agent_lab.cli.running_server import RunningServer, address_of
from agent_lab.cli.session import open_settings
from agent_lab.errors import ProviderUnavailableError

if TYPE_CHECKING:
    from agent_lab.contracts import JsonObject

app = typer.Typer(help="The answers that a running server keeps, to give them again.")

_PATH = "/api/cache"
_WAITING = "Waiting for the server."
_SHOWN = ("entries", "max_entries", "bytes", "max_bytes", "hits", "misses", "waits")


@app.command("show")
def show_cache(*, server: Server = None, as_json: AsJson = False) -> None:
    """Show how many answers a running server keeps, and how often they helped."""
    view = _checked(_running(server).get(_PATH, _WAITING), *_SHOWN)
    if as_json:
        show_json(view)
        return
    megabytes = f"{view['bytes'] / 1e6:.2f} of {view['max_bytes'] / 1e6:g} MB"
    show(f"{view['entries']} of {view['max_entries']} answers, {megabytes}")
    show(
        f"{view['hits']} calls were answered by them, {view['misses']} were not; "
        f"{view['waits']} waited while another asked the same"
    )


@app.command("clear")
def clear_cache(
    *,
    model: Annotated[
        str | None, typer.Option(metavar="KEY", help="Only the answers of this model.")
    ] = None,
    server: Server = None,
) -> None:
    """Have a running server forget its answers, so that the same is asked anew."""
    path = _PATH if model is None else f"{_PATH}?model={quote(model, safe='')}"
    dropped = _checked(_running(server).delete(path, _WAITING), "dropped")["dropped"]
    show(f"{dropped} {'answer' if dropped == 1 else 'answers'} forgotten")


def _running(server: str | None) -> RunningServer:
    settings = open_settings()
    return RunningServer(server or address_of(settings.host, settings.port))


def _checked(answer: "JsonObject", *fields: str) -> "JsonObject":
    if set(fields) - answer.keys():
        raise ProviderUnavailableError(
            "The server says of its cache what no server of this version says.",
            provider="server",
            hint="agent-lab serve, or --server URL of one that runs",
        )
    return answer
