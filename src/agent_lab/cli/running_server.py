"""Speaks with a server of the lab that runs already."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import typer

from agent_lab import errors
from agent_lab.cli.outputs import fail, say
from agent_lab.errors import InvalidRequestError, ProviderUnavailableError

if TYPE_CHECKING:
    from urllib.request import Request

    from agent_lab.contracts import JsonObject

PATIENCE_S = 1.0
"""Seconds after which it is said for what is waited."""
_FIRST_ERROR = 400
_HINT = "agent-lab serve, or --server URL of one that runs"


def address_of(host: str, port: int) -> str:
    """The address of a server that listens at a host and a port."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class RunningServer:
    """A server that somebody has started.

    Args:
        address: `http://HOST:PORT`; a path, if a proxy has put one before it.

    Raises:
        InvalidRequestError: That is no address.
    """

    def __init__(self, address: str) -> None:
        self._address = address.rstrip("/")
        if not _is_address(address):
            raise InvalidRequestError(
                f"`{address}` is no address of a server; the form is `http://HOST:PORT`.",
                hint="--server http://127.0.0.1:8001",
            )

    def post(self, path: str, body: "JsonObject", waiting: str) -> "JsonObject":
        """Ask for something, and wait for the answer as long as it takes.

        Args:
            path: Where on the server.
            body: What is asked.
            waiting: Said if the answer takes long.

        Raises:
            ProviderUnavailableError: Nobody answers there, or it is no server of the lab.
            Exit: The server refuses; why was said.
        """
        return self._ask("POST", path, body, waiting)

    def get(self, path: str, waiting: str) -> "JsonObject":
        """Ask how something is; as `post`."""
        return self._ask("GET", path, None, waiting)

    def delete(self, path: str, waiting: str) -> "JsonObject":
        """Ask that something be gone; as `post`."""
        return self._ask("DELETE", path, None, waiting)

    def _ask(
        self,
        method: Literal["GET", "POST", "DELETE"],
        path: str,
        body: "JsonObject | None",
        waiting: str,
    ) -> "JsonObject":
        import json
        from http.client import HTTPException
        from urllib.request import Request

        request = Request(  # noqa: S310 - the scheme is http or https
            self._address + path,
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json", "Accept": "application/json"},
            method=method,
        )
        try:
            with _patience(waiting):
                status, text = _exchange(request)
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            said = getattr(reason, "strerror", None) or str(reason)
            raise ProviderUnavailableError(
                f"No server answers at `{self._address}`: {said}.", provider="server", hint=_HINT
            ) from error
        answer = self._read(text, status)
        if status >= _FIRST_ERROR:
            raise _refused(answer, status)
        return answer

    def _read(self, text: bytes, status: int) -> "JsonObject":
        import json

        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ProviderUnavailableError(
                f"`{self._address}` is no server of the lab: it answers HTTP {status} without the "
                "JSON that belongs there.",
                provider="server",
                hint=_HINT,
            )
        return answer


def _exchange(request: "Request") -> tuple[int, bytes]:
    """Send a request; the status and the body of its answer, whatever it is."""
    from urllib.error import HTTPError
    from urllib.request import ProxyHandler, build_opener

    # No proxy of the environment: the server is on this machine, or at a tunnel's end.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(request) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()


def _refused(answer: "JsonObject", status: int) -> typer.Exit:
    """Say why the server refuses, as if it had been this command."""
    from agent_lab.contracts import ErrorInfo

    said = answer.get("error")
    facts = said if isinstance(said, dict) else {}
    code = str(facts.get("code", "http_error"))
    info = ErrorInfo(
        code=code,
        message=str(facts.get("message") or f"The server answers HTTP {status}."),
        hint=str(facts.get("hint", "")),
        exit_code=_exit_code(code),
    )
    return typer.Exit(fail(info))


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        return False


def _exit_code(code: str) -> int:
    """The exit code of a kind of error, by its stable name."""
    kinds: Iterator[Any] = (getattr(errors, name) for name in errors.__all__)
    return next((kind.exit_code for kind in kinds if kind.code == code), 1)


@contextmanager
def _patience(line: str) -> Iterator[None]:
    """Say something if the block takes long."""
    timer = threading.Timer(PATIENCE_S, say, [line])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
