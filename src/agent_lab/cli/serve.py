"""`agent-lab serve`: the lab over HTTP."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from agent_lab.cli.outputs import Interrupted, fail, say
from agent_lab.cli.session import open_settings, say_fallback
from agent_lab.errors import WeightsMissingError

if TYPE_CHECKING:
    from agent_lab.lab import Lab


def serve(
    *,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; loopback only. Else AGENT_LAB_HOST.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port; 0: any free one. Else PORT, else 8001."),
    ] = None,
) -> None:
    """Serve flows and models over HTTP on this machine. LOG_LEVEL=INFO logs every request."""
    from agent_lab.api.server import create_app
    from agent_lab.api.uvicorn_server import LabServer, listen
    from agent_lab.lab import build

    settings = open_settings(host=host, port=port)
    lab = build(settings)
    app = create_app(settings, lab=lab)
    server = LabServer(app, settings.shutdown_grace_s)

    async def session() -> None:
        async with lab:
            with listen(settings.host, settings.port) as opened:
                # Here what is wrong with the warm list is one line; in the lifespan it is a page.
                await lab.warm(settings.warm_models)
                await lab.runs.take_up()
                _say_if_nobody_answers(lab)
                address = _url(settings.host, opened.getsockname()[1])
                pages = f" ({address}/docs describes it)" if settings.app_env == "dev" else ""
                say(f"Listening on {address}{pages}. Ctrl-C ends it.")
                await server.serve(sockets=[opened])

    try:
        asyncio.run(session())
    except KeyboardInterrupt:
        raise Interrupted("The server has stopped.") from None


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _say_if_nobody_answers(lab: "Lab") -> None:
    """Say at the start what every request without a model would be told."""
    try:
        resolved = lab.gateway.resolve_model()
    except WeightsMissingError as error:
        fail(error)
    else:
        say_fallback(resolved.fallback_from, resolved.entry.key)
