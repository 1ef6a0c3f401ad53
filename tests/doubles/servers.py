"""Two doubles of the OpenAI and Anthropic wire that others wrote, each as a server of its own.

The model's name is the switch: a model that is called like a fault plays it, any other gives
`ANSWER`. What each double can play is in `AIMOCK` and `LLMOCK`; the settings there are what the
double is started with. Each has more to offer, by request and while it runs:

- aimock: the headers `x-aimock-chaos-drop|malformed|ratelimit|disconnect` (a rate from 0 to 1) and
  `x-aimock-chaos-latency` (ms); `/__aimock/journal`, `/__aimock/fixtures`, `/__aimock/chaos`.
- llmock: the header `x-llmock-force-status`; `/_llmock/requests`, `/_llmock/scenario`, and
  `/_llmock/verdict`, which tells how well a client coped; the option `--rpm` for real quotas.
"""

import http.client
import json
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.conftest import REPOSITORY

INSTALLED = REPOSITORY / ".venv-doubles"
MADE_FROM = (
    REPOSITORY / "requirements" / "doubles.lock",
    REPOSITORY / "tests" / "doubles" / "package-lock.json",
)
STARTUP_S = 60.0

PROMPT = "Is seven a prime number?"
ANSWER = "Seven is a prime number: only one and seven divide it."
RETRY_AFTER_S = 7
SILENCE_S = 30
"""How long a double is silent, in seconds; a client's timeout must be shorter."""
CHUNKS_BEFORE_FAULT = 5
"""So many events come before a stream breaks; on both wires some text is among them."""
CONTEXT_WINDOW = 16_000
"""Of llmock, in tokens of four characters each."""


class Wire(StrEnum):
    """Whose API it is."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class Call(NamedTuple):
    """One way of asking."""

    wire: Wire
    stream: bool


class Fault(StrEnum):
    """What can go wrong; the value is the name of the model that plays it."""

    RATE_LIMIT = "rate-limit"
    """429, to be asked again after `RETRY_AFTER_S`."""
    QUOTA = "quota"
    """429 with the code `insufficient_quota`: asking again is in vain."""
    SERVER_ERROR = "server-error"
    """500."""
    OVERLOADED = "overloaded"
    """529."""
    UNAUTHORIZED = "unauthorized"
    """401."""
    CONTEXT_LENGTH = "context-length"
    """400: the prompt is too long."""
    MALFORMED = "malformed"
    """Status 200, but the answer, or an event within the stream, is no JSON."""
    EMPTY = "empty"
    """Status 200, but no event comes; aimock sends what is no JSON, as `application/json`."""
    HANG_UP = "hang-up"
    """The connection is closed before any answer."""
    SILENCE = "silence"
    """Nothing comes for `SILENCE_S`."""
    STALL = "stall"
    """A stream begins, then nothing comes for `SILENCE_S`."""
    CUT = "cut"
    """The connection is closed within a stream."""
    TRUNCATED = "truncated"
    """A stream ends in order, but early: without a reason to finish and without its last event."""
    LENGTH = "length"
    """The answer reached the token limit."""
    CONTENT_FILTER = "content-filter"
    """The answer was refused."""


EVERY_CALL = frozenset(Call(wire, stream) for wire in Wire for stream in (False, True))
STREAMS = frozenset(call for call in EVERY_CALL if call.stream)
OF_OPENAI = frozenset(call for call in EVERY_CALL if call.wire is Wire.OPENAI)


class Playing(NamedTuple):
    """How one double plays one fault."""

    settings: Mapping[str, Any]
    """A fixture of aimock, or a behaviour of llmock; none where a server option does it."""
    calls: frozenset[Call] = EVERY_CALL
    """The calls that show it."""
    prompt: str = PROMPT
    """What must be asked, besides the model's name."""


def _error(status: int, type_: str, code: str, message: str, **more: object) -> Playing:
    """An error of aimock; the Anthropic wire has no code."""
    error = {"type": type_, "code": code, "message": message}
    return Playing({"response": {"error": error, "status": status, **more}})


AIMOCK_ANSWER = {"content": ANSWER, "usage": {"input_tokens": 12, "output_tokens": 14}}
"""Without `usage` it would tell 0 tokens on the Anthropic wire."""

AIMOCK: Mapping[Fault, Playing] = {
    Fault.RATE_LIMIT: _error(
        429, "rate_limit_error", "rate_limit_exceeded", "Too many.", retryAfter=RETRY_AFTER_S
    ),
    Fault.QUOTA: _error(
        429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota."
    )._replace(calls=OF_OPENAI),
    Fault.SERVER_ERROR: _error(500, "api_error", "server_error", "Something broke."),
    Fault.OVERLOADED: _error(529, "overloaded_error", "overloaded", "Overloaded."),
    Fault.UNAUTHORIZED: _error(401, "authentication_error", "invalid_api_key", "Who are you?"),
    Fault.CONTEXT_LENGTH: _error(
        400,
        "invalid_request_error",
        "context_length_exceeded",
        "prompt is too long: 210000 tokens > 200000 maximum",
    ),
    Fault.MALFORMED: Playing(
        {"response": AIMOCK_ANSWER, "chaos": {"malformedRate": 1}}, EVERY_CALL - STREAMS
    ),
    Fault.EMPTY: Playing({"response": AIMOCK_ANSWER, "chaos": {"malformedRate": 1}}, STREAMS),
    Fault.HANG_UP: Playing({"response": AIMOCK_ANSWER, "chaos": {"disconnectRate": 1}}),
    Fault.SILENCE: Playing({"response": AIMOCK_ANSWER, "chaos": {"latencyMs": SILENCE_S * 1000}}),
    Fault.STALL: Playing(
        {
            "response": AIMOCK_ANSWER,
            "recordedTimings": {
                "ttftMs": 0,
                "interChunkDelaysMs": [0] * (CHUNKS_BEFORE_FAULT - 1) + [SILENCE_S * 1000],
                "totalDurationMs": SILENCE_S * 1000,
            },
        },
        STREAMS,
    ),
    Fault.CUT: Playing(
        # Some time between the events, or the first ones may be lost with the connection.
        {"response": AIMOCK_ANSWER, "truncateAfterChunks": CHUNKS_BEFORE_FAULT, "latency": 20},
        STREAMS,
    ),
    Fault.LENGTH: Playing({"response": {**AIMOCK_ANSWER, "finishReason": "length"}}),
    # The Anthropic wire would get `content_filter` as it is, which that API does not know.
    Fault.CONTENT_FILTER: Playing(
        {"response": {**AIMOCK_ANSWER, "finishReason": "content_filter"}}, OF_OPENAI
    ),
}


def _fail(status: int, **more: object) -> Playing:
    return Playing({"type": "fail", "status": status, **more})


def _stream_fault(kind: str, **more: object) -> Playing:
    fault = {"type": "stream_fault", "kind": kind, "after_chunks": CHUNKS_BEFORE_FAULT}
    return Playing({**fault, **more}, STREAMS)


def _reply(finish_reason: str) -> Playing:
    return Playing({"type": "reply", "text": ANSWER, "finish_reason": finish_reason})


LLMOCK: Mapping[Fault, Playing] = {
    Fault.RATE_LIMIT: _fail(429, retry_after=RETRY_AFTER_S),
    Fault.QUOTA: _fail(429, code="insufficient_quota")._replace(calls=OF_OPENAI),
    Fault.SERVER_ERROR: _fail(500),
    Fault.OVERLOADED: _fail(529),
    Fault.UNAUTHORIZED: _fail(401),
    # Of any model: the server is started with that window.
    Fault.CONTEXT_LENGTH: Playing({}, prompt="seven " * CONTEXT_WINDOW),
    Fault.MALFORMED: _stream_fault("malformed"),
    Fault.SILENCE: Playing({"type": "delay", "seconds": SILENCE_S}),
    Fault.STALL: _stream_fault("stall", stall_seconds=SILENCE_S),
    Fault.CUT: _stream_fault("disconnect"),
    Fault.TRUNCATED: _stream_fault("truncate"),
    Fault.LENGTH: _reply("length"),
    Fault.CONTENT_FILTER: _reply("content_filter"),
}


class Double(NamedTuple):
    """A double that runs."""

    url: str
    plays: Mapping[Fault, Playing]
    base_urls: Mapping[Wire, str]
    """What an SDK takes as `base_url`."""

    def get(self, path: str) -> Any:
        """What the double's own API tells."""
        return self._request("GET", path)

    def post(self, path: str, body: object) -> Any:
        """Tell the double something by its own API."""
        return self._request("POST", path, json.dumps(body))

    def _request(self, method: str, path: str, body: str | None = None) -> Any:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=STARTUP_S)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            with connection.getresponse() as response:
                text = response.read().decode()
                if response.status >= 400:
                    raise RuntimeError(f"{method} {path} of the double: {response.status} {text}")
                return json.loads(text)
        finally:
            connection.close()


@contextmanager
def aimock(*options: str, answers: Mapping[str, str] | None = None) -> Iterator[Double]:
    """Start aimock, with more options of its command line, and answers by model, if need be."""
    fixtures = [{"match": {"model": fault}, **play.settings} for fault, play in AIMOCK.items()]
    for model, text in (answers or {}).items():
        fixtures.append({"match": {"model": model}, "response": {**AIMOCK_ANSWER, "content": text}})
    fixtures.append({"match": {}, "response": AIMOCK_ANSWER})
    with _folder() as folder:
        path = folder / "fixtures.json"
        path.write_text(json.dumps({"fixtures": fixtures}), encoding="utf-8")
        program = INSTALLED / "aimock" / "node_modules" / "@copilotkit" / "aimock" / "dist/cli.js"
        command = [str(INSTALLED / "bin" / "node"), str(program), "--port", "0"]
        command += ["--fixtures", str(path), "--validate-on-load", "--chunk-size", "8", *options]
        with _running(command, folder, r"listening on (http://127\.0\.0\.1:\d+)") as url:
            double = Double(url, AIMOCK, {Wire.OPENAI: f"{url}/v1", Wire.ANTHROPIC: url})
            double.get("/health")
            yield double


@contextmanager
def llmock(*options: str, answers: Mapping[str, str] | None = None) -> Iterator[Double]:
    """Start llmock, with more options of its command line, and answers by model, if need be."""
    behaviors = [
        {**play.settings, "times": None, "match": {"model": fault}}
        for fault, play in LLMOCK.items()
        if play.settings
    ]
    # The first reply that fits is given, so the one of every model comes last.
    for model, text in [*(answers or {}).items(), ("*", ANSWER)]:
        reply = {"type": "reply", "text": text, "times": None, "match": {"model": model}}
        behaviors.append(reply)
    command = [str(INSTALLED / "bin" / "python"), "-m", "llmock.cli", "serve", "--port", "0"]
    command += ["--context-window", str(CONTEXT_WINDOW), *options]
    with (
        _folder() as folder,
        _running(command, folder, r"running on (http://127\.0\.0\.1:\d+)") as url,
    ):
        base_urls = {Wire.OPENAI: f"{url}/v1", Wire.ANTHROPIC: f"{url}/anthropic"}
        double = Double(url, LLMOCK, base_urls)
        double.post("/_llmock/scenario", {"behaviors": behaviors})
        yield double


DOUBLES: Mapping[str, Callable[..., AbstractContextManager[Double]]] = {
    "aimock": aimock,
    "llmock": llmock,
}
PLAYS: Mapping[str, Mapping[Fault, Playing]] = {"aimock": AIMOCK, "llmock": LLMOCK}


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder of the server's own; without the doubles, the test fails here."""
    stamp = INSTALLED / "stamp"
    if not stamp.is_file() or stamp.read_bytes() != b"".join(p.read_bytes() for p in MADE_FROM):
        pytest.fail(
            "The doubles are not here, or not those of the locks: make doubles", pytrace=False
        )
    with tempfile.TemporaryDirectory(prefix="double-") as folder:
        yield Path(folder)


@contextmanager
def _running(command: list[str], folder: Path, ready: str) -> Iterator[str]:
    """Run a server until the end of the block, and give the address that it logs."""
    log = folder / "log.txt"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            cwd=folder,
            # Nothing of this process: no key, no proxy, no setting of the double.
            env={"PATH": os.defpath, "HOME": str(folder), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield _address(process, log, ready)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _address(process: subprocess.Popen[bytes], log: Path, ready: str) -> str:
    deadline = time.monotonic() + STARTUP_S
    while time.monotonic() < deadline and process.poll() is None:
        # The last character may be there in part.
        found = re.search(ready, log.read_text(encoding="utf-8", errors="replace"))
        if found:
            return found[1]
        time.sleep(0.02)
    raise RuntimeError(f"The double did not start:\n{log.read_text('utf-8', 'replace')}")
