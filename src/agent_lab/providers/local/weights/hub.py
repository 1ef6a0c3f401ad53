"""Fetches weights from a Hugging Face hub, or a mirror that answers like one."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar
from urllib.request import getproxies, proxy_bypass

from typing_extensions import override

from agent_lab.providers.local.weights.partial_file import (
    CHUNK,
    CutError,
    PartialFile,
    SourceFailedError,
)

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession
    from yarl import URL

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FORM = re.compile(r"([\w.-]+)/([\w.-]+)@([\w.-]+)#([\w.-]+(?:/[\w.-]+)*)", re.ASCII)
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_NEEDS_TOKEN = "it wants a token that may read the repository (HF_TOKEN)"  # noqa: S105
_STATUS = {
    401: _NEEDS_TOKEN,
    403: _NEEDS_TOKEN,
    404: "it has no such file",
    407: "the proxy wants a name and a password",
    429: "too many requests, try later",
}


@dataclass(frozen=True, slots=True)
class HubAccess:
    """Which hub to ask, and as whom."""

    endpoint: str
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class HubSource:
    """A file of a hub repository at one revision: `hf:OWNER/REPO@REVISION#FILE`."""

    needs_network: ClassVar[bool] = True
    owner: str
    repo: str
    revision: str
    file: str

    @classmethod
    def parse(cls, body: str) -> "HubSource | None":
        """Read what stands after `hf:`; None if it has another form."""
        match = _FORM.fullmatch(body)
        # A path of dots would climb out of the repository.
        if match is None or any(set(part) == {"."} for part in re.split("[/@#]", body)):
            return None
        return cls(*match.groups())

    @override
    def __str__(self) -> str:
        return f"hf:{self.owner}/{self.repo}@{self.revision}#{self.file}"

    async def fetch(self, partial: PartialFile, hub: HubAccess) -> None:
        """Download the file, or what of it is not here yet; see `Source.fetch`."""
        start = partial.resumable
        if start and start == partial.wanted.bytes:
            await partial.keep(start)
            return
        path = (self.owner, self.repo, "resolve", self.revision, *self.file.split("/"))
        asked = f"bytes={start}-" if start else ""
        async with hub_answer(hub, path, asked_range=asked) as answer:
            start = checked_start(answer, start, partial.wanted.bytes)
            await partial.keep(start)
            await partial.append(answer.content.read)
        if partial.done < partial.wanted.bytes:
            raise CutError(f"the download ended at {partial.done} of {partial.wanted.bytes} bytes")


@asynccontextmanager
async def hub_answer(
    hub: HubAccess,
    path: Sequence[str],
    *,
    query: Mapping[str, str] | None = None,
    asked_range: str = "",
) -> "AsyncIterator[ClientResponse]":
    """Ask the hub for something, through redirects, and give the open answer, whatever it says.

    Args:
        hub: Which hub, and as whom.
        path: The parts of the path below the hub's address.
        query: What stands after the question mark.
        asked_range: Value of the header `Range`; empty: everything is asked for.

    Raises:
        SourceFailedError: No answer came, or it broke off inside the `async with` block.
    """
    with _network_errors():
        endpoint = _address(hub.endpoint)
        url = endpoint.joinpath(*path)
        if query:
            url = url.with_query(query)
        async with _session() as session, _get(session, hub, url, asked_range) as answer:
            yield answer


@asynccontextmanager
async def _get(
    session: "ClientSession", hub: HubAccess, url: "URL", asked_range: str
) -> "AsyncIterator[ClientResponse]":
    endpoint = _address(hub.endpoint)
    for _ in range(_MAX_REDIRECTS + 1):
        headers = {"Accept-Encoding": "identity"}
        if asked_range:
            headers["Range"] = asked_range
        # The hub sends us on to storage of others: the token is none of their business.
        # A user in the address is a login of its own: HTTP takes one of the two.
        if hub.token and url.user is None and _origin(url) == _origin(endpoint):
            headers["Authorization"] = f"Bearer {hub.token}"
        async with session.get(
            url, headers=headers, allow_redirects=False, proxy=_proxy(url)
        ) as answer:
            target = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or target is None:
                yield answer
                return
            url = _address(target, url)
    raise SourceFailedError(f"`{endpoint.host}` redirects more than {_MAX_REDIRECTS} times")


@asynccontextmanager
async def _session() -> "AsyncIterator[ClientSession]":
    from aiohttp import ClientSession, ClientTimeout, DummyCookieJar

    timeout = ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S, sock_read=READ_TIMEOUT_S)
    # Without `trust_env`: it would also take ~/.netrc, whose password cannot go with a token and
    # whose `default` entry would go to every host. Proxies come from `_proxy`.
    async with ClientSession(
        timeout=timeout, read_bufsize=CHUNK, auto_decompress=False, cookie_jar=DummyCookieJar()
    ) as session:
        yield session


def _proxy(url: "URL") -> str | None:
    """The proxy that the environment names for `url`."""
    proxy = getproxies().get(url.scheme, "")
    if not proxy or proxy_bypass(url.host or ""):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _address(text: str, base: "URL | None" = None) -> "URL":
    """Read an address, relative to `base` if there is one."""
    from yarl import URL

    try:
        # Signed addresses are valid only letter by letter: nothing is quoted anew.
        url = URL(text, encoded=True)
        url = base.join(url) if base else url
        if url.scheme in ("http", "https") and url.host:
            return url
    except ValueError:
        pass  # Said below.
    # What stands after the question mark may be a signature: it is not shown.
    shown = text.partition("?")[0]
    raise SourceFailedError(f"`{shown}` is not an http or https address")


def _origin(url: "URL") -> tuple[str, str, int | None]:
    return url.scheme, (url.host or "").lower(), url.port


def checked_start(answer: "ClientResponse", start: int, total: int) -> int:
    """Where the bytes of `answer` begin in the file.

    Args:
        answer: What the server said to a request for the bytes from `start` on.
        start: 0: the whole file was asked for.
        total: Bytes that the file must have; 0: unknown.

    Raises:
        SourceFailedError: The answer holds no bytes, or not those of this file.
    """
    host = answer.url.host
    if answer.status not in (200, 206):
        reason = _STATUS.get(answer.status, "")
        raise SourceFailedError(
            f"`{host}` answered HTTP {answer.status}" + (f": {reason}" if reason else "")
        )
    if answer.status == 200:  # A server may ignore Range and send everything.
        start, size = 0, answer.headers.get("Content-Length", "*")
    else:
        match = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != start:
            raise SourceFailedError(f"`{host}` sent another range of bytes than it was asked for")
        size = match[2]
    if total and size not in ("*", str(total)):
        raise SourceFailedError(f"`{host}` has a file of {size} bytes instead of {total}")
    return start


@contextmanager
def _network_errors() -> "Iterator[None]":
    """Turn what aiohttp raises into one clause."""
    import aiohttp

    # The first that fits counts: from the narrow to the wide.
    clauses: tuple[tuple[type[Exception], type[SourceFailedError], str], ...] = (
        (aiohttp.ClientProxyConnectionError, SourceFailedError, "the proxy cannot be reached"),
        (aiohttp.ClientHttpProxyError, SourceFailedError, "the proxy refused"),
        (aiohttp.ClientSSLError, SourceFailedError, "the TLS connection failed"),
        (aiohttp.ClientConnectorError, SourceFailedError, "the host cannot be reached"),
        (aiohttp.ConnectionTimeoutError, SourceFailedError, "no connection in time"),
        (TimeoutError, CutError, f"nothing came for {READ_TIMEOUT_S:g} s"),
        (aiohttp.InvalidURL, SourceFailedError, "that is no address"),
        (aiohttp.ClientConnectionError, CutError, "the connection was cut"),
        (aiohttp.ClientPayloadError, CutError, "the connection was cut"),
        (aiohttp.ClientError, SourceFailedError, "the answer is not HTTP as it should be"),
    )
    try:
        yield
    except tuple(kind for kind, _, _ in clauses) as error:
        for kind, failure, clause in clauses:
            if isinstance(error, kind):
                reason = _reason(error)
                raise failure(f"{clause} ({reason})" if reason else clause) from error
        raise


def _reason(error: Exception) -> str:
    from aiohttp import ClientConnectorCertificateError, ClientConnectorError

    if isinstance(error, ClientConnectorError) and not isinstance(
        error, ClientConnectorCertificateError
    ):
        return f"{error.host}:{error.port}: {error.os_error.strerror or error.os_error}"
    # An address may stand in it, and after its question mark a signature.
    return str(error).partition("?")[0]
