"""`agent-lab serve`: the lab over HTTP."""

import asyncio
from typing import Annotated

import typer

from agent_lab.cli.outputs import Interrupted, say
from agent_lab.cli.session import open_settings


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
    """Serve flows and models over HTTP on this machine. Ctrl-C ends it."""
    from agent_lab.api.server import create_app
    from agent_lab.api.uvicorn_server import LabServer, listen
    from agent_lab.lab import build

    settings = open_settings(host=host, port=port)
    lab = build(settings)
    app = create_app(settings, lab=lab)
    server = LabServer(app, settings.shutdown_grace_s)

    async def session() -> None:
        # What is wrong with the warm list is one line here; in the lifespan it would be a page.
        await lab.gateway.prepare(settings.warm_models, ())
        with listen(settings.host, settings.port) as opened:
            address = f"http://{settings.host}:{opened.getsockname()[1]}"
            pages = f" ({address}/docs describes it)" if settings.app_env == "dev" else ""
            say(f"Listening on {address}{pages}. Ctrl-C ends it.")
            await server.serve(sockets=[opened])

    try:
        asyncio.run(session())
    except KeyboardInterrupt:
        raise Interrupted("The server has stopped.") from None
