"""The measure of all servers: an endpoint of FastAPI that hands a request on with aiohttp.

python -m gateway_peers.pass_through URL      says on stderr where it listens
"""

import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import uvicorn
from fastapi import FastAPI


def create_app(url: str) -> FastAPI:
    """The application, with one session for all requests."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(
            connector=connector, headers={"Authorization": "Bearer k"}, raise_for_status=True
        ) as app.state.session:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/chat/completions")
    async def complete(body: dict[str, Any]) -> dict[str, Any]:
        async with app.state.session.post(f"{url}/v1/chat/completions", json=body) as answer:
            parsed: dict[str, Any] = await answer.json()
            return parsed

    return app


def main() -> None:
    """Serve until a signal comes."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as opened:
        address = f"http://127.0.0.1:{opened.getsockname()[1]}"
        print(f"Listening on {address}", file=sys.stderr, flush=True)
        config = uvicorn.Config(create_app(sys.argv[1]), log_level="warning", access_log=False)
        uvicorn.Server(config).run(sockets=[opened])


if __name__ == "__main__":
    main()
