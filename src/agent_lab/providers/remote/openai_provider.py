"""OpenAI's chat completions, and every host that speaks them."""

from collections.abc import Mapping
from typing import Any, ClassVar

import orjson
from typing_extensions import override

from agent_lab.providers.base import Emit, ProviderCall, provider
from agent_lab.providers.openai_wire import ChatAnswer
from agent_lab.providers.remote.host import HostProvider, JsonBody, RemoteErrorEvent, WireAnswer
from agent_lab.providers.remote.sse import ServerEvent

DONE = b"[DONE]"


@provider("openai")
class OpenAIProvider(HostProvider):
    """Any host with `/chat/completions`."""

    path: ClassVar[str] = "/chat/completions"
    models_path: ClassVar[str] = "/models"
    cut: ClassVar[frozenset[str]] = frozenset({"length", "max_tokens", "model_length"})
    filtered: ClassVar[frozenset[str]] = frozenset({"content_filter"})

    @override
    def _body(self, call: ProviderCall, name: str) -> JsonBody:
        params = dict(call.params)
        schema = params.pop("response_schema", None)
        renamed = self._entry.renamed_params
        body: JsonBody = {
            "model": name,
            "messages": [{"role": m.role, "content": m.content} for m in call.messages],
            **{renamed.get(param, param): value for param, value in params.items()},
        }
        if call.streamed:
            body["stream_options"] = {"include_usage": True}
        if schema is not None:
            body["response_format"] = _response_format(schema)
        return body

    @override
    def _answer(self, emit: Emit) -> WireAnswer:
        return _ChatAnswer(emit)


class _ChatAnswer(ChatAnswer):
    complete = True
    """A finish reason says it all: hosts leave `[DONE]` out, and clients have to bear it."""

    @property
    def stop(self) -> str:
        """Why the model stopped; a refusal is the content policy's."""
        return "content_filter" if self.refusal else self.finish_reason

    def take_event(self, event: ServerEvent) -> bool | None:
        """Take an event of a stream."""
        if event.data == DONE:
            return None
        chunk = orjson.loads(event.data)
        if chunk.get("error"):
            raise RemoteErrorEvent(event.data)
        return self.take_chunk(chunk)


def _response_format(schema: Mapping[str, Any]) -> JsonBody:
    named = {"name": "answer", "schema": schema, "strict": is_strict(schema)}
    return {"type": "json_schema", "json_schema": named}


def is_strict(schema: Any) -> bool:
    """Whether OpenAI can hold a model to a schema: every object closed, every property required."""
    if isinstance(schema, Mapping):
        if schema.get("type") == "object" or "properties" in schema:
            closed = schema.get("additionalProperties") is False
            required = set(schema.get("required", ())) == set(schema.get("properties", ()))
            if not (closed and required):
                return False
        return all(is_strict(part) for part in schema.values())
    if isinstance(schema, list):
        return all(is_strict(part) for part in schema)
    return True
