"""A span for every attempt at a model, sent where OTEL_EXPORTER_OTLP_ENDPOINT says, else none.

Names are those of OpenTelemetry's GenAI conventions (in development, as of November 2026). No text
of a prompt or an answer is ever in a span.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from agent_lab.errors import AgentLabError, MissingDependencyError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Span

REQUEST_PARAMS = ("max_tokens", "temperature", "top_p", "top_k", "seed")
_traceparent: ContextVar[str] = ContextVar("agent_lab_traceparent", default="")


def traceparent() -> str:
    """The header by which a host's own spans join ours (W3C Trace Context); empty: no span."""
    return _traceparent.get()


class ChatTracer:
    """Makes the spans of one gateway.

    Args:
        provider: OpenTelemetry's, with what exports the spans.
    """

    def __init__(self, provider: "TracerProvider") -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("agent_lab")

    @classmethod
    def to_endpoint(cls, endpoint: str) -> "ChatTracer":
        """Send spans by OTLP over HTTP, in batches and in the background.

        Args:
            endpoint: The collector's address, without `/v1/traces`.

        Raises:
            MissingDependencyError: OpenTelemetry is not installed.
        """
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise MissingDependencyError(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set, and OpenTelemetry is not installed.",
                hint="pip install 'ai-agent-lab-v3[otel]'",
            ) from error
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        return cls.to_processor(BatchSpanProcessor(exporter))

    @classmethod
    def to_processor(cls, processor: "SpanProcessor") -> "ChatTracer":
        """Give spans to a processor of one's own."""
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider

        provider = TracerProvider(resource=Resource.create({"service.name": "ai-agent-lab"}))
        provider.add_span_processor(processor)
        return cls(provider)

    @contextmanager
    def chat(
        self, provider: str, model: str, params: Mapping[str, Any], *, streamed: bool
    ) -> Iterator["Span"]:
        """Open the span of one attempt; an error that leaves it ends it as failed."""
        from opentelemetry.trace import SpanKind, Status, StatusCode

        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
            "gen_ai.request.stream": streamed,
            **{f"gen_ai.request.{n}": params[n] for n in REQUEST_PARAMS if n in params},
        }
        span = self._tracer.start_span(f"chat {model}", kind=SpanKind.CLIENT, attributes=attributes)
        context = span.get_span_context()
        token = _traceparent.set(f"00-{context.trace_id:032x}-{context.span_id:016x}-01")
        try:
            yield span
        except BaseException as error:
            code = error.code if isinstance(error, AgentLabError) else type(error).__name__
            span.set_attribute("error.type", code)
            span.set_status(Status(StatusCode.ERROR))
            raise
        finally:
            _traceparent.reset(token)
            span.end()

    def close(self) -> None:
        """Send what is left; blocks until it is sent, or the collector was waited for in vain."""
        self._provider.shutdown()
