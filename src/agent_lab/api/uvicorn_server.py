"""The process that serves the application: how it listens, and how it ends."""

import ipaddress
import logging
import socket

import uvicorn
from fastapi import FastAPI
from typing_extensions import override

from agent_lab.api.request_work import RequestWork
from agent_lab.errors import ConfigurationError

logger = logging.getLogger(__name__)

FAREWELL_S = 3
"""For last events and answers, after the grace is over."""
BACKLOG = 2048


class LabServer(uvicorn.Server):
    """Uvicorn, which lets the work that is being done end before it stops listening.

    Args:
        app: The application, as `create_app` builds it.
        grace_s: Seconds that this work is given.
    """

    def __init__(self, app: FastAPI, grace_s: float) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=FAREWELL_S,
            )
        )
        self._work: RequestWork = app.state.work
        self._grace_s = grace_s

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Still listening: who asks now is told to go elsewhere, and `/readyz` says so, too.
        if self._work.open:
            logger.warning(
                "%d open requests have %g s to end; another Ctrl-C ends them at once",
                self._work.open,
                self._grace_s,
            )
        await self._work.end(self._grace_s, hurry=lambda: self.force_exit)
        await super().shutdown(sockets)
        if self.force_exit:
            # Uvicorn would leave the application open, and report that as a fault of it.
            await self.lifespan.shutdown()


def listen(host: str, port: int) -> socket.socket:
    """Open the socket that the server listens on.

    Args:
        host: A loopback address or `localhost`.
        port: 0: any free one.

    Raises:
        ConfigurationError: The address is not loopback, or the port is taken.
    """
    if not _is_loopback(host):
        raise ConfigurationError(
            f"The server listens on this machine only, and `{host}` can be reached from others.",
            hint="agent-lab serve --host 127.0.0.1; an SSH tunnel or a proxy that asks for a "
            "password can let others in",
            details={"host": host},
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            f"The server cannot listen on `{host}:{port}`: {error.strerror}.",
            hint=f"agent-lab serve --port {port + 1}, or --port 0 for any free one",
            details={"host": host, "port": port},
        ) from error


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
