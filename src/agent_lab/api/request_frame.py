"""Frames every request: its id, and its line in the log."""

import logging
import re
import time
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from ulid import ULID

from agent_lab.observability.logger import log_context

logger = logging.getLogger(__name__)

HEADER = "x-request-id"
_ACCEPTED = re.compile(r"[\w-]{1,128}", re.ASCII)


class RequestFrame:
    """ASGI middleware. Takes a caller's `x-request-id` if it is a plain name, else makes one.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        request_id = given if _ACCEPTED.fullmatch(given) else str(ULID())
        scope.setdefault("state", {})["request_id"] = request_id
        started, status = time.perf_counter(), 0

        async def framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        with log_context(request_id=request_id):
            try:
                await self._app(scope, receive, framed)
            finally:
                seconds = time.perf_counter() - started
                logger.info(
                    "%s %s: %s in %.3f s", scope["method"], quote(scope["path"]), status, seconds
                )
