"""The faulty upstream fails as it says: seen by aiohttp, byte by byte where that matters."""

import asyncio
import errno
import gzip
import json
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from itertools import product

import aiohttp
import pytest

from tests.faults.deliveries import BOMB
from tests.faults.modes import Mode
from tests.faults.plans import DELIVERIES, SHAPES
from tests.faults.refusals import REFUSALS
from tests.faults.upstream import DEFAULT_TEXT, FaultyUpstream

PATHS = ("/v1/chat/completions", "/v1/messages")
KINDS = list(product(PATHS, (False, True)))
KEY = "sk-the-key-of-a-test"
ENDLESS = {
    Mode.HANG_BEFORE_HEADERS,
    Mode.HANG_MID_STREAM,
    Mode.KEEPALIVE_FOREVER,
    Mode.HUGE_BODY,
    Mode.HUGE_ERROR,
    Mode.ENDLESS_STREAM,
}


@pytest.fixture
async def upstream() -> AsyncIterator[FaultyUpstream]:
    async with FaultyUpstream() as upstream:
        yield upstream


@pytest.fixture
async def session(upstream: FaultyUpstream) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        upstream.url,
        headers={"authorization": f"Bearer {KEY}", "accept-encoding": "identity"},
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=5),
    ) as session:
        yield session


async def ask(session, path=PATHS[0], stream=False, **options) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""
    body = {"model": "m", "messages": [], "stream": stream}
    async with session.post(path, json=body, **options) as response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return response.status, headers, await response.read()


class Reading:
    """A call whose body is kept as far as it came."""

    def __init__(self, session, path=PATHS[0], stream=False) -> None:
        self.came = b""
        self._more = asyncio.Event()
        self.task = asyncio.create_task(self._read(session, path, stream))

    async def _read(self, session, path: str, stream: bool) -> None:
        body = {"model": "m", "messages": [], "stream": stream}
        async with session.post(path, json=body) as response:
            async for block in response.content.iter_any():
                self.came += block
                self._more.set()

    async def until(self, least: int = 0, sign: bytes = b"") -> None:
        """Return when so many bytes came, and these among them."""
        async with asyncio.timeout(5):
            while len(self.came) < least or sign not in self.came:
                self._more.clear()
                await self._more.wait()

    async def stop(self) -> None:
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task


def texts(body: bytes, path: str) -> str:
    """The text of what came of a stream."""
    lines = [line[6:] for line in body.decode().split("\n") if line.startswith("data: {")]
    events = [json.loads(line) for line in lines]
    if path == PATHS[0]:
        return "".join(e["choices"][0]["delta"].get("content", "") for e in events)
    return "".join(e["delta"].get("text", "") for e in events if "delta" in e)


def test_every_mode_does_something():
    assert {Mode.OK} | set(SHAPES) | set(REFUSALS) | set(DELIVERIES) == set(Mode)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("cut-chunked", Mode.CUT_CHUNKED),
        ("finish=length", Mode.FINISH_LENGTH),
        ("wrong content-type", Mode.WRONG_CONTENT_TYPE),
        ("invalid-utf8", Mode.INVALID_UTF8),
        ("429+retry-after", Mode.RATE_LIMIT),
        ("401", Mode.UNAUTHORIZED),
    ],
)
def test_names_of_the_interface_page_are_modes(name: str, mode: Mode):
    assert Mode(name) is mode


def test_an_unknown_mode_is_refused(upstream):
    with pytest.raises(ValueError, match="is not a valid Mode"):
        upstream.script(["ok", "tea"])
    with pytest.raises(ValueError, match="one mode at least"):
        upstream.script([])


@pytest.mark.parametrize("mode", sorted(set(Mode) - ENDLESS))
async def test_a_mode_comes_to_its_end(mode: Mode, upstream, session):
    upstream.mode = mode
    outcomes = await asyncio.gather(
        *(ask(session, *kind) for kind in KINDS), return_exceptions=True
    )
    assert all(isinstance(o, tuple | aiohttp.ClientError) for o in outcomes), outcomes
    await upstream.wait_until_idle()
    assert (len(upstream.requests), upstream.cut_by_peer) == (4, 0)


@pytest.mark.parametrize("mode", sorted(ENDLESS))
async def test_a_mode_without_an_end_ends_with_its_caller(mode: Mode, upstream, session):
    upstream.mode = mode
    calls = [Reading(session, *kind) for kind in KINDS]
    await upstream.wait_for_requests(4)
    assert (upstream.under_way, upstream.cut_by_peer) == (4, 0)
    for call in calls:
        await call.stop()
    async with asyncio.timeout(5):
        await upstream.wait_for_cuts(4)
        await upstream.wait_until_idle()
    assert upstream.cut_by_peer == 4


@pytest.mark.parametrize(("path", "stream"), KINDS)
async def test_a_reset_is_no_clean_end(path, stream, upstream, session):
    upstream.mode = "reset"
    with pytest.raises(aiohttp.ClientOSError) as reset:
        await ask(session, path, stream)
    assert reset.value.errno == errno.ECONNRESET


@pytest.mark.parametrize("mode", ["cut_chunked", "cut_length"])
@pytest.mark.parametrize(("path", "stream"), KINDS)
async def test_a_cut_is_seen_where_the_body_had_an_end(mode, path, stream, upstream, session):
    upstream.mode = mode
    reading = Reading(session, path, stream)
    with pytest.raises(aiohttp.ClientPayloadError):
        await reading.task
    assert reading.came
    assert not stream or texts(reading.came, path) == "The answer"


@pytest.mark.parametrize("path", PATHS)
async def test_a_clean_end_in_the_middle_passes_for_an_answer(path, upstream, session):
    upstream.mode = "cut_close"
    status, headers, body = await ask(session, path, stream=True)
    assert (status, headers["connection"], texts(body, path)) == (200, "close", "The answer")
    assert "content-length" not in headers
    upstream.fault_after = 0
    assert texts((await ask(session, path, stream=True))[2], path) == ""
    with pytest.raises(json.JSONDecodeError):
        json.loads((await ask(session, path))[2])


@pytest.mark.parametrize("path", PATHS)
async def test_half_a_json_has_the_right_length(path, upstream, session):
    upstream.mode = "half_json"
    _, headers, body = await ask(session, path)
    assert int(headers["content-length"]) == len(body)
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)
    _, _, body = await ask(session, path, stream=True)
    with pytest.raises(json.JSONDecodeError):
        texts(body, path)
    assert body.rstrip().endswith((b"[DONE]", b'"message_stop"}'))


@pytest.mark.parametrize(("path", "stream"), KINDS)
async def test_silence_comes_before_or_after_the_first_bytes(path, stream, upstream, session):
    upstream.mode = "hang_before_headers"
    before = Reading(session, path, stream)
    await upstream.wait_for_requests(1)
    upstream.mode = "hang_mid_stream"
    midway = Reading(session, path, stream)
    await midway.until(100, b" answer" if stream else b"")
    await asyncio.sleep(0.02)
    await before.stop()
    await midway.stop()
    assert before.came == b""
    assert not stream or texts(midway.came, path) == "The answer"


async def test_keepalive_and_huge_bodies_never_end(upstream, session):
    async def first(mode: str, stream: bool, least: int) -> bytes:
        upstream.mode = mode
        reading = Reading(session, stream=stream)
        await reading.until(least)
        await reading.stop()
        return reading.came

    assert set((await first("keepalive_forever", True, 50)).split(b"\n\n")) == {b": keepalive", b""}
    assert set(await first("keepalive_forever", False, 3)) == {ord("\n")}
    for mode, stream in product(("huge_body", "huge_error"), (False, True)):
        assert (await first(mode, stream, 2**20)).count(b"\n") == 0
    body = (await first("endless_stream", True, 9000)).rpartition(b"\n\n")[0]
    assert texts(body, PATHS[0]).count(DEFAULT_TEXT) > 1


async def test_cancelling_the_caller_is_seen_at_once(upstream, session):
    upstream.mode = "hang_mid_stream"
    reading = Reading(session, stream=True)
    await reading.until(1)
    assert upstream.cut_by_peer == 0
    before = asyncio.get_running_loop().time()
    await reading.stop()
    await asyncio.wait_for(upstream.wait_for_cuts(), 5)
    assert 0 <= upstream.cuts[0] - before < 0.5


async def test_a_stale_connection_hangs_up_at_its_second_request(upstream, session):
    upstream.mode = "stale_connection"
    assert (await ask(session))[0] == 200
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await ask(session)
    first, second = upstream.requests
    assert first.connection == second.connection


async def test_pages_of_html_are_no_json(upstream, session):
    for mode, expected in (("wrong_content_type", 200), ("bad_gateway", 502)):
        upstream.mode = mode
        status, headers, body = await ask(session, stream=True)
        assert (status, headers["content-type"]) == (expected, "text/html; charset=utf-8")
        assert body.startswith(b"<!doctype html>")


async def test_a_redirect_leads_to_another_origin(upstream, session):
    upstream.mode = "redirect"
    status, headers, _ = await ask(session, allow_redirects=False)
    assert status == 307
    assert not headers["location"].startswith(upstream.url + "/")
    assert upstream.strayed == []
    assert (await ask(session))[0] == 200
    assert [request.path for request in upstream.strayed] == ["/v1/chat/completions"]


@pytest.mark.parametrize(("path", "stream"), KINDS)
async def test_compression_comes_unasked(path, stream, upstream, session):
    upstream.mode = "gzip"
    _, headers, body = await ask(session, path, stream)
    assert headers["content-encoding"] == "gzip"
    plain = gzip.decompress(body)
    assert (texts(plain, path) if stream else DEFAULT_TEXT) == DEFAULT_TEXT
    upstream.mode = "gzip_bomb"
    _, _, body = await ask(session, path, stream)
    assert len(body) < 200_000
    assert len(gzip.decompress(body)) == BOMB + len(plain)
    upstream.mode = "gzip_cut"
    with pytest.raises(EOFError):
        gzip.decompress((await ask(session, path, stream))[2])


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
@pytest.mark.parametrize("path", PATHS)
async def test_a_credential_comes_back(header, path, upstream):
    value = f"Bearer {KEY}" if header == "authorization" else KEY
    async with aiohttp.ClientSession(upstream.url, headers={header: value}) as session:
        upstream.mode = "echo_key"
        status, _, body = await ask(session, path)
        assert (status, KEY.encode() in body) == (401, True)
        upstream.mode = "echo_key_header"
        status, headers, body = await ask(session, path)
        assert (status, KEY.encode() in body) == (500, True)
        assert headers["x-debug"] == f"key={KEY}"
        upstream.mode = "echo_key_event"
        status, _, body = await ask(session, path, stream=True)
        assert (status, KEY.encode() in body) == (200, True)


async def test_bytes_that_are_no_character(upstream, session):
    upstream.mode = "invalid_utf8"
    for path, stream in KINDS:
        with pytest.raises(UnicodeDecodeError):
            (await ask(session, path, stream))[2].decode()


async def test_a_flipped_stream_is_what_was_not_asked_for(upstream, session):
    upstream.mode = "stream_flipped"
    for path, stream in KINDS:
        _, headers, body = await ask(session, path, stream)
        assert headers["content-type"].startswith("text/event-stream") is not stream
        assert stream or texts(body, path) == DEFAULT_TEXT


async def test_a_date_says_when_to_ask_again(upstream, session):
    upstream.mode = "rate_limit_date"
    _, headers, _ = await ask(session)
    assert parsedate_to_datetime(headers["retry-after"]).utcoffset() is not None


async def test_other_routes_are_unknown(upstream, session):
    async with session.get("/v1/nothing") as response:
        assert response.status == 404
    async with session.post("/any/prefix/v1/messages", json={}) as response:
        assert response.status == 200
    assert [request.mode for request in upstream.requests] == [None, Mode.OK]


async def test_nothing_is_left_behind():
    before = asyncio.all_tasks()
    async with FaultyUpstream("hang_mid_stream") as upstream, aiohttp.ClientSession() as session:
        call = asyncio.create_task(ask(session, upstream.url + PATHS[0], stream=True))
        await upstream.wait_for_requests()
        assert upstream.open_connections == 1
        call.cancel()
    assert upstream.open_connections == 0
    await asyncio.wait([call])
    assert asyncio.all_tasks() == before
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await ask(session, upstream.url + PATHS[0])


async def test_a_fault_of_the_upstream_itself_is_not_silent(upstream):
    async def misuse() -> None:
        async with FaultyUpstream() as other, aiohttp.ClientSession(other.url) as session:
            with pytest.raises(aiohttp.ClientError):
                await ask(session, headers={"x-fault": "tea"})

    with pytest.raises(ValueError, match="tea"):
        await misuse()
