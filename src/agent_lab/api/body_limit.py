"""Bounds what one request may send."""

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 4 * 1024 * 1024


class BodyLimit:
    """ASGI middleware. Counts what comes in, and reads nothing of what is announced as too long.

    (FastAPI's own `max_body_size` would answer with plain text.)

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
        announced, received = _announced(scope), 0

        async def bounded() -> Message:
            nonlocal received
            _check(announced)
            message = await receive()
            received += len(message.get("body", b""))
            _check(received)
            return message

        await self._app(scope, bounded, send)


def _announced(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _check(size: int) -> None:
    if size > MAX_BODY_BYTES:
        # FastAPI lets only its own class through while it reads a body.
        raise HTTPException(413, f"The body has more than {MAX_BODY_BYTES} bytes")
