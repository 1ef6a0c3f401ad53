"""Spans of calls: their shape, their way to the host, and a collector that is not there."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from agent_lab.config import Settings, load_settings
from agent_lab.errors import ProviderAuthError
from agent_lab.observability.tracing import ChatTracer
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.providers.targets import Targets
from tests.faults.upstream import FaultyUpstream

ASKED = {"prompt": "a secret question", "model_key": "gpt-4o-mini", "max_tokens": 50}


@pytest.fixture
async def upstream() -> AsyncIterator[FaultyUpstream]:
    async with FaultyUpstream() as upstream:
        yield upstream


@pytest.fixture
def remote(
    settings: Settings, upstream: FaultyUpstream, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-0123456789")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{upstream.url}/v1")
    return load_settings(home=settings.home, max_attempts=1)


@pytest.fixture
async def traced(remote: Settings) -> AsyncIterator[tuple[ProviderGateway, InMemorySpanExporter]]:
    spans = InMemorySpanExporter()
    gateway = ProviderGateway.from_settings(remote)
    old = gateway.targets
    tracer = ChatTracer.to_processor(SimpleSpanProcessor(spans))
    gateway.targets = Targets(old.hosts, old.make, gateway.metrics, lambda: 0.0, tracer)
    yield gateway, spans
    await gateway.aclose()


async def test_a_call_is_one_span_without_any_text(traced, upstream: FaultyUpstream):
    gateway, spans = traced
    await gateway.generate(ASKED)
    [span] = spans.get_finished_spans()
    assert (span.name, span.kind) == ("chat gpt-4o-mini", SpanKind.CLIENT)
    said: dict[str, Any] = dict(span.attributes)
    assert said["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.provider.name"] == "openai"
    assert said["gen_ai.request.max_tokens"] == 50
    assert said["gen_ai.response.finish_reasons"] == ("stop",)
    assert said["gen_ai.usage.input_tokens"] == 11
    assert said["gen_ai.usage.cache_read.input_tokens"] == 3
    assert said["gen_ai.usage.output_tokens"] == 7
    assert "secret" not in str(said)
    assert "42" not in str(said)


async def test_the_host_is_told_of_the_span(traced, upstream: FaultyUpstream):
    gateway, spans = traced
    await gateway.generate(ASKED)
    [span] = spans.get_finished_spans()
    expected = f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01"
    assert upstream.requests[0].headers["traceparent"] == expected


async def test_a_failed_attempt_is_a_failed_span(traced, upstream: FaultyUpstream):
    gateway, spans = traced
    upstream.mode = "unauthorized"
    with pytest.raises(ProviderAuthError):
        await gateway.generate(ASKED)
    [span] = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "provider_auth"


async def test_without_a_collector_there_is_no_span_and_no_header(
    remote: Settings, upstream: FaultyUpstream
):
    gateway = ProviderGateway.from_settings(remote)
    await gateway.generate(ASKED)
    await gateway.aclose()
    assert "traceparent" not in upstream.requests[0].headers


async def test_a_collector_that_is_not_there_fails_no_call(remote: Settings):
    dead = remote.model_copy(update={"otel_exporter_otlp_endpoint": "http://127.0.0.1:9"})
    gateway = ProviderGateway.from_settings(dead)
    assert (await gateway.generate(ASKED)).text
    await gateway.aclose()


async def test_a_collector_that_never_answers_holds_the_loop_up_neither_then_nor_at_the_end(
    remote: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    slow = remote.model_copy(update={"otel_exporter_otlp_endpoint": f"http://127.0.0.1:{port}"})
    gateway = ProviderGateway.from_settings(slow)
    assert (await gateway.generate(ASKED)).text
    closing = asyncio.create_task(gateway.aclose())
    turns = 0
    while not closing.done():
        turns += 1
        await asyncio.sleep(0.01)
    await closing
    silent.close()
    assert turns > 1
