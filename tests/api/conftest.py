"""The application on a real socket, in the event loop of the test."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple

import aiohttp
import pytest
from fastapi import FastAPI

from agent_lab.api.server import create_app
from agent_lab.api.uvicorn_server import LabServer, listen
from agent_lab.config import Settings
from agent_lab.lab import Lab, build
from agent_lab.providers.base import ProviderCall
from agent_lab.providers.local.scripted_provider import Script, ScriptedProvider, ScriptedReply
from agent_lab.providers.provider_gateway import ProviderGateway

DEBATE = {"creator": "the draft", "challenger": "the critique", "refiner": "the final answer"}
LONGEST_WAIT_S = 20
"""A test that waits longer has failed; nothing is measured by it."""


class Served(NamedTuple):
    """A running server and its client."""

    http: aiohttp.ClientSession
    app: FastAPI
    server: LabServer

    @property
    def lab(self) -> Lab:
        """The lab behind it."""
        lab: Lab = self.app.state.lab
        return lab

    async def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        """Post JSON; return status and answer."""
        async with self.http.post(path, json=body, headers=headers) as response:
            return response.status, await response.json()

    async def start(self, **fields: Any) -> str:
        """Start a run in the background; return its id."""
        body = {"flow": "challenge", "input": "Why?", "background": True, **fields}
        status, answer = await self.post("/api/runs", body)
        assert status == 202, answer
        run_id: str = answer["id"]
        return run_id

    async def watch(self, run_id: str, **query: int) -> list[tuple[str | None, dict[str, Any]]]:
        """The events of a run to its end."""
        async with self.http.get(f"/api/runs/{run_id}/events", params=query) as response:
            assert response.status == 200
            return await events_of(response)

    async def get(self, path: str) -> tuple[int, Any]:
        """Get JSON; return status and answer."""
        async with self.http.get(path) as response:
            return response.status, await response.json()


Serve = Callable[..., AbstractAsyncContextManager[Served]]


@asynccontextmanager
async def serving(app: FastAPI, grace_s: float = 0.0) -> AsyncIterator[Served]:
    """Serve an application on a free port of loopback."""
    server = LabServer(app, grace_s)
    with listen("127.0.0.1", 0) as opened:
        task = asyncio.create_task(server.serve(sockets=[opened]))
        while not (server.started or task.done()):  # noqa: ASYNC110 - uvicorn has no event
            await asyncio.sleep(0.01)
        base = f"http://127.0.0.1:{opened.getsockname()[1]}"
        async with aiohttp.ClientSession(base) as http:
            try:
                yield Served(http, app, server)
            finally:
                server.should_exit = True
                await task


@pytest.fixture
def serve(settings: Settings) -> Serve:
    """Serve a lab in which three models answer from a script."""

    @asynccontextmanager
    async def start(
        script: Script | ScriptedProvider = DEBATE, grace_s: float = 0.0, **wired: Any
    ) -> AsyncIterator[Served]:
        gateway = ProviderGateway.scripted(script, ("first", "second", "third"))
        app = create_app(settings, lab=wired.get("lab") or build(settings, gateway=gateway))
        async with serving(app, grace_s) as served:
            yield served

    return start


@pytest.fixture
async def served(serve: Serve) -> AsyncIterator[Served]:
    """A server on which a whole challenge debate is played, and every direct call answered."""

    def play(call: ProviderCall) -> str:
        return DEBATE.get(call.role, "a direct answer")

    async with serve(play) as running:
        yield running


def slow(text: str) -> ScriptedReply:
    """A reply whose words wait for the test."""
    return ScriptedReply(text, delay_s=1)


class Clockwork:
    """Makes a scripted provider's words wait for the test, and counts them."""

    def __init__(self) -> None:
        self.words = 0
        """Words that were begun."""
        self.begun = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.go_on = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Wait before a word of a slow reply until the test lets all of them go on."""
        self.words += 1
        if not seconds:
            return
        self.begun.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


async def events_of(response: aiohttp.ClientResponse) -> list[tuple[str | None, dict[str, Any]]]:
    """Read a stream of server-sent events to its end: the id and the data of each."""
    return [event async for event in each_event(response)]


async def each_event(
    response: aiohttp.ClientResponse,
) -> AsyncIterator[tuple[str | None, dict[str, Any]]]:
    """Read a stream event by event; comments are skipped, as clients do."""
    fields: dict[str, str] = {}
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield fields.get("id"), json.loads(fields["data"])
            fields = {}
