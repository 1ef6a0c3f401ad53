"""A key goes to its own host, in its own header, and is seen nowhere else, whatever a host does."""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, Literal, NamedTuple

import aiohttp
import pytest

from agent_lab.api.server import create_app
from agent_lab.config import Settings, load_settings
from agent_lab.contracts import RunRequest
from agent_lab.errors import AgentLabError
from agent_lab.lab import Lab, build
from agent_lab.observability.logger import LOGGERS, configure_logging
from agent_lab.observability.redaction import MASK, Redactor
from agent_lab.providers.pricing import price_table
from agent_lab.providers.resilience import retry_policy
from tests.api.conftest import Served, serving
from tests.faults.modes import Mode
from tests.faults.upstream import FaultyUpstream

SECRET = "7f3A91c2"
"""In every key: also a part of one may be seen nowhere."""


class Host(NamedTuple):
    """A provider, and how it knows us."""

    model: str
    variable: str
    key: str
    """In no company's form: nothing but the value itself gives it away."""
    header: str
    credential: str
    path: str = ""
    """What its base URL ends with."""


def _host(model: str, variable: str, header: str, scheme: str = "", path: str = "") -> Host:
    key = f"canary{model.title().replace('-', '')}{SECRET}"
    return Host(model, variable, key, header, scheme + key, path)


HOSTS = {
    "openai": _host("gpt-4o-mini", "OPENAI_API_KEY", "authorization", "Bearer ", "/v1"),
    "anthropic": _host("claude-haiku-4-5", "ANTHROPIC_API_KEY", "x-api-key"),
    "mine": _host("my-model", "MINE_API_KEY", "authorization", "Bearer ", "/v1"),
}
ECHOES = {Mode.ECHO_KEY, Mode.ECHO_KEY_HEADER, Mode.ECHO_KEY_EVENT}
MODELS_FILE = """
[providers.mine]
api = "openai"
base_url = "{url}"
api_key_env = "MINE_API_KEY"

[models.my-model]
provider = "mine"
model = "m"
context_window = 8192

"""
STRATEGIES_FILE = """
[strategies.brief]
sampling = { temperature = 0.0, top_p = 1.0, top_k = 1 }
limits = { max_tokens = 64, timeout_s = 0.5 }

[strategies.patient]
sampling = { temperature = 0.0, top_p = 1.0, top_k = 1 }
limits = { max_tokens = 64, timeout_s = 20 }
"""


class World(NamedTuple):
    """Three hosts, what a lab needs to ask them, and the lines that it logs."""

    hosts: dict[str, FaultyUpstream]
    settings: Settings
    logs: dict[str, StringIO]
    """By form."""


@pytest.fixture
async def world(
    tmp_path: Path, own_environment: None, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    price_table()  # slow to read: not in a call's time
    monkeypatch.setattr(retry_policy, "FIRST_PAUSE_S", 0.01)
    for host in HOSTS.values():
        monkeypatch.setenv(host.variable, host.key)
    async with AsyncExitStack() as stack:
        hosts = {name: await stack.enter_async_context(FaultyUpstream()) for name in HOSTS}
        urls = {name: hosts[name].url + host.path for name, host in HOSTS.items()}
        models = MODELS_FILE.format(url=urls["mine"])
        for name, text in (("models", models), ("strategies", STRATEGIES_FILE)):
            (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
        settings = load_settings(
            openai_base_url=urls["openai"],
            anthropic_base_url=urls["anthropic"],
            models_file=tmp_path / "models.toml",
            strategies_file=tmp_path / "strategies.toml",
            outputs_dir=tmp_path / "outputs",
            home=tmp_path / "home",
            max_attempts=2,
        )
        with _logged(settings) as logs:
            yield World(hosts, settings, logs)


@contextmanager
def _logged(settings: Settings) -> Iterator[dict[str, StringIO]]:
    """Log everything, in both forms."""
    text, json = StringIO(), StringIO()
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(logger.handlers, logger.propagate, logger.level) for logger in loggers]
    handlers: list[logging.Handler] = []
    forms: tuple[tuple[Literal["text", "json"], StringIO], ...] = (("text", text), ("json", json))
    for form, stream in forms:
        configure_logging("DEBUG", form, Redactor(settings.secrets()), stream)
        handlers += loggers[0].handlers
    for logger in loggers:
        logger.handlers = list(handlers)
    yield {"text": text, "json": json}
    for logger, (kept, propagate, level) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = kept, propagate
        logger.setLevel(level)


def told(error: AgentLabError) -> list[str]:
    """All that an error can show."""
    trace = "".join(traceback.format_exception(error))
    return [str(error), repr(error), repr(vars(error)), trace]


async def asked(lab: Lab, strategy: str, model: str, *, streamed: bool) -> list[str]:
    """What a call of the gateway shows."""
    request = {"prompt": "?", "model_key": model, "strategy": strategy}
    try:
        if streamed:
            return [repr(chunk) async for chunk in lab.gateway.stream(request)]
        result = await lab.gateway.generate(request)
    except AgentLabError as error:
        return told(error)
    return [repr(result), result.model_dump_json()]


async def run(lab: Lab, strategy: str, model: str) -> list[str]:
    """What a run shows: its events, its record, its file."""
    shown: list[str] = []
    request = RunRequest(flow="challenge", input="What?", model=model, strategy=strategy)
    record = await lab.runs.run(request, lambda event: shown.append(event.model_dump_json()))
    saved = lab.runs.record_path(record.flow, record.id)
    return [*shown, repr(record), record.model_dump_json(), saved.read_text(encoding="utf-8")]


async def served(server: Served, strategy: str, model: str) -> list[str]:
    """What our server answers: status, headers and body of everything."""
    asked, http = {"prompt": "What?", "model": model, "strategy": strategy}, server.http
    answers = await asyncio.gather(
        _answer(http.post("/api/inference", json=asked)),
        _answer(http.post("/api/orchestrate", json=asked)),
        _answer(http.post("/api/orchestrate", json={**asked, "stream": True})),
    )
    pages = ("/api/providers", "/api/models", "/metrics")
    return [*answers, *[await _answer(http.get(page)) for page in pages]]


async def _answer(request: Any) -> str:
    async with request as response:
        assert isinstance(response, aiohttp.ClientResponse)
        return f"{response.status} {response.headers} {await response.text()}"


async def everything(world: World, strategy: str) -> dict[tuple[str, str], str]:
    """All that is shown of calls of every host, by way and model."""
    async with AsyncExitStack() as stack:
        # A lab for each: what fails here opens no breaker there.
        labs = [await stack.enter_async_context(build(world.settings)) for _ in range(4)]
        app = create_app(world.settings, lab=labs[3])
        server = await stack.enter_async_context(serving(app))
        ways: dict[str, Callable[[str], Awaitable[list[str]]]] = {
            "whole": partial(asked, labs[0], strategy, streamed=False),
            "stream": partial(asked, labs[1], strategy, streamed=True),
            "run": partial(run, labs[2], strategy),
            "served": partial(served, server, strategy),
        }
        calls = {(way, h.model): ways[way](h.model) for way in ways for h in HOSTS.values()}
        shown = await asyncio.gather(*calls.values())
    return {call: "\n".join(texts) for call, texts in zip(calls, shown, strict=True)}


@pytest.mark.parametrize("mode", Mode)
async def test_nobody_sees_a_key_but_its_host(mode: Mode, world: World):
    for upstream in world.hosts.values():
        upstream.mode = mode
    # No call that repeats the key may end before it does, on a busy machine.
    shown = await everything(world, "patient" if mode in ECHOES else "brief")
    for call, text in shown.items():
        assert text
        assert _seen(text) == [], call
        # What repeats the key is shown, without it.
        assert mode not in ECHOES or MASK in text, call
    for form, log in world.logs.items():
        assert _seen(log.getvalue()) == [], form
        assert "agent_lab." in log.getvalue()
    _check_requests(world)


def _seen(text: str) -> list[str]:
    """Where the secret is seen, in any case."""
    low, secret = text.lower(), SECRET.lower()
    found = [at for at in range(len(low)) if low.startswith(secret, at)] if secret in low else []
    return [text[max(0, at - 100) : at + 100] for at in found]


def _check_requests(world: World) -> None:
    """Each host got its own key, where it looks for it, and nothing else; others got none."""
    for name, upstream in world.hosts.items():
        host = HOSTS[name]
        assert upstream.requests
        for request in upstream.requests:
            sent = dict(request.headers)
            assert sent.pop(host.header) == host.credential
            assert _seen(f"{request.path} {sent} {request.body}") == []
        assert upstream.strayed == []


def test_the_settings_show_no_key(world: World):
    settings = world.settings
    assert _seen(f"{settings} {settings!r} {settings.model_dump_json()}") == []
    assert {host.key for host in HOSTS.values()} <= set(settings.secrets())
