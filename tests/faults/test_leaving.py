"""Who leaves ends the call at the host, wherever it is; and what was not sent by then never is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from agent_lab.config import Settings, load_settings
from agent_lab.contracts import RunRequest
from agent_lab.errors import ProviderTimeoutError
from agent_lab.lab import build
from agent_lab.providers.pricing import price_table
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.providers.resilience.rate_limiter import LimiterStatus
from tests.faults.matrix import MODELS, comes_true
from tests.faults.modes import Mode
from tests.faults.upstream import DEFAULT_TEXT, FaultyUpstream

# A test that waits longer has failed; nothing is measured by it.
pytestmark = pytest.mark.timeout(60)
FILES = {
    # The place of a call that was left is free again: else nobody else would be answered.
    "models": "".join(f"[providers.{name}.limits]\nconcurrency = 1\n" for name in MODELS),
    "strategies": """
        [strategies.patient]
        sampling = { temperature = 0.0, top_p = 1.0, top_k = 1 }
        limits = { max_tokens = 64, timeout_s = 20000 }
        """,
}
wires = pytest.mark.parametrize("wire", MODELS)
ways = pytest.mark.parametrize(
    ("wire", "streamed"),
    list(product(MODELS, (False, True))),
    ids=lambda value: {False: "whole", True: "stream"}.get(value, value),
)
hanging = pytest.mark.parametrize("mode", [Mode.HANG_BEFORE_HEADERS, Mode.HANG_MID_STREAM])


class World(NamedTuple):
    """A host, and a gateway that asks it on both wires."""

    host: FaultyUpstream
    gateway: ProviderGateway
    settings: Settings
    shown: list[str]
    """The pieces of streams so far."""

    async def ask(self, wire: str, *, streamed: bool = False, **fields: Any) -> str:
        """Ask; a stream is read to its end."""
        request = self.request(wire, **fields)
        if not streamed:
            return (await self.gateway.generate(request)).text
        async for chunk in self.gateway.stream(request):
            self.shown.append(chunk.text)
        return "".join(self.shown)

    def begin(self, wire: str, **fields: Any) -> "asyncio.Task[str]":
        return asyncio.create_task(self.ask(wire, **fields))

    def request(self, wire: str, **fields: Any) -> dict[str, Any]:
        asked = {"prompt": "?", "model_key": MODELS[wire], "strategy": "patient"}
        return {**asked, "cache": "off", **fields}  # equal questions are not asked once

    async def limiter(self, wire: str) -> LimiterStatus:
        return await self.gateway.targets.limiter(wire).status()

    async def until_waiting(self, wire: str) -> None:
        """Return when a call waits for our own limits."""
        while not (await self.limiter(wire)).waiting:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.001)


@pytest.fixture
async def world(tmp_path: Path, own_environment: None) -> AsyncIterator[World]:
    """At its end nothing is left: no call, no task, no connection."""
    price_table()  # slow to read: not in a call's time
    for name, text in FILES.items():
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    tasks = asyncio.all_tasks()
    async with FaultyUpstream() as host:
        settings = load_settings(
            openai_api_key="the key of openai",
            anthropic_api_key="the key of anthropic",
            openai_base_url=f"{host.url}/v1",
            anthropic_base_url=host.url,
            models_file=tmp_path / "models.toml",
            strategies_file=tmp_path / "strategies.toml",
            outputs_dir=tmp_path / "outputs",
        )
        gateway = ProviderGateway.from_settings(settings)
        yield World(host, gateway, settings, [])
        assert await comes_true(lambda: not host.under_way)
        await gateway.aclose()
        assert await comes_true(lambda: not host.open_connections)
    ours = {*tasks, asyncio.current_task()}
    assert await comes_true(lambda: asyncio.all_tasks() <= ours), asyncio.all_tasks() - ours


async def left(call: "asyncio.Task[Any]") -> None:
    """Cancel a call."""
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


@ways
@hanging
async def test_cancelling_the_caller_ends_the_call(
    world: World, mode: Mode, wire: str, streamed: bool
):
    world.host.script([mode, "ok"])
    call = world.begin(wire, streamed=streamed)
    await world.host.wait_for_requests()
    if streamed and mode is Mode.HANG_MID_STREAM:
        assert await comes_true(lambda: "".join(world.shown) == "The answer")
    assert (world.host.under_way, world.host.cut_by_peer) == (1, 0)
    await left(call)
    await world.host.wait_for_cuts()
    assert (await world.limiter(wire)).in_flight == 0
    assert await world.ask(wire) == DEFAULT_TEXT
    assert len(world.host.requests) == 2


@ways
async def test_cancelling_between_two_tries_sends_no_further_one(
    world: World, wire: str, streamed: bool
):
    world.host.mode = "rate_limit_long"
    call = world.begin(wire, streamed=streamed)
    while not (await world.limiter(wire)).parked_s:  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.001)
    await asyncio.sleep(0)
    assert not call.done()
    await left(call)
    assert (len(world.host.requests), world.host.cut_by_peer) == (1, 0)


@ways
async def test_cancelling_who_waits_for_a_place_sends_nothing(
    world: World, wire: str, streamed: bool
):
    world.host.script(["hang_before_headers", "ok"])
    first = world.begin(wire)
    await world.host.wait_for_requests()
    second = world.begin(wire, streamed=streamed)
    await world.until_waiting(wire)
    await left(second)
    status = await world.limiter(wire)
    assert (status.waiting, status.in_flight, status.requests_used) == (0, 1, 1)
    assert (len(world.host.requests), world.host.cut_by_peer) == (1, 0)
    await left(first)
    await world.host.wait_for_cuts()
    assert await world.ask(wire) == DEFAULT_TEXT
    assert len(world.host.requests) == 2


@ways
async def test_cancelling_in_a_pause_that_the_host_asked_for_sends_nothing(
    world: World, wire: str, streamed: bool
):
    await world.gateway.targets.limiter(wire).park(3600)
    call = world.begin(wire, streamed=streamed)
    await world.until_waiting(wire)
    await left(call)
    status = await world.limiter(wire)
    assert (status.waiting, status.requests_used) == (0, 0)
    assert world.host.requests == []


@wires
@pytest.mark.parametrize("how", ["break", "aclosing", "error"])
async def test_leaving_an_iteration_ends_the_call(world: World, wire: str, how: str):
    async def leave() -> None:
        chunks = world.gateway.stream(world.request(wire))
        if how == "break":
            async for chunk in chunks:
                world.shown.append(chunk.text)
                return
        async with aclosing(chunks):
            async for chunk in chunks:
                world.shown.append(chunk.text)
                if how == "error":
                    raise LookupError
                return

    world.host.script(["hang_mid_stream", "ok"])
    with suppress(LookupError):
        await leave()
    assert world.shown == ["The"]
    await world.host.wait_for_cuts()
    assert await world.ask(wire) == DEFAULT_TEXT


@wires
async def test_a_stream_that_nobody_began_to_read_sends_nothing(world: World, wire: str):
    await world.gateway.stream(world.request(wire)).aclose()
    assert world.host.requests == []


@ways
@hanging
async def test_a_latency_budget_ends_the_call(world: World, mode: Mode, wire: str, streamed: bool):
    await ends_in_time(world, mode, wire, streamed=streamed, constraints={"latency_budget_s": 0.4})


@wires
async def test_a_deadline_ends_the_call(world: World, wire: str):
    deadline = asyncio.get_running_loop().time() + 0.4
    await ends_in_time(world, Mode.HANG_BEFORE_HEADERS, wire, deadline=deadline)
    assert world.host.cuts[0] >= deadline


async def ends_in_time(world: World, mode: Mode, wire: str, **fields: Any) -> None:
    """Ask; the time of the call ends, and its place is free."""
    world.host.script([mode, "ok"])
    with pytest.raises(ProviderTimeoutError, match="did not finish within") as late:
        await world.ask(wire, **fields)
    assert late.value.details["phase"] == "total"
    assert [a["outcome"] for a in late.value.details["attempts"]] == ["provider_timeout"]
    await world.host.wait_for_cuts()
    assert await world.ask(wire) == DEFAULT_TEXT


@wires
async def test_cancelling_a_run_ends_its_call_and_begins_no_further_one(world: World, wire: str):
    lab = build(world.settings, gateway=world.gateway)
    world.host.script(["ok", "hang_mid_stream", "ok"])
    asked = RunRequest(flow="challenge", input="What is six times seven?", model=MODELS[wire])
    run = asyncio.create_task(lab.runs.run(asked))
    await world.host.wait_for_requests(2)
    await left(run)
    await world.host.wait_for_cuts()
    await lab.runs.aclose()
    assert len(world.host.requests) == 2
