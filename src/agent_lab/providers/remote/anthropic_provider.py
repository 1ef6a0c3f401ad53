"""Anthropic's messages."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import orjson
from typing_extensions import override

from agent_lab.providers.base import Delta, Emit, ProviderCall, TokenCounts, provider
from agent_lab.providers.gathering import GatheredText
from agent_lab.providers.remote.host import HostProvider, JsonBody, RemoteErrorEvent, WireAnswer
from agent_lab.providers.remote.sse import ServerEvent


@provider("anthropic")
class AnthropicProvider(HostProvider):
    """Any host with `/v1/messages`."""

    path: ClassVar[str] = "/v1/messages"
    models_path: ClassVar[str] = "/v1/models"
    cut: ClassVar[frozenset[str]] = frozenset({"max_tokens", "model_context_window_exceeded"})
    filtered: ClassVar[frozenset[str]] = frozenset({"refusal"})

    @override
    def _body(self, call: ProviderCall, name: str) -> JsonBody:
        params = dict(call.params)
        schema = params.pop("response_schema", None)
        renamed = self._entry.renamed_params
        system = "\n\n".join(m.content for m in call.messages if m.role == "system")
        body: JsonBody = {
            "model": name,
            "messages": [
                # The result of a tool that nobody here calls is something that the user says.
                {"role": "assistant" if m.role == "assistant" else "user", "content": m.content}
                for m in call.messages
                if m.role != "system"
            ],
            **{renamed.get(param, param): value for param, value in params.items()},
        }
        if system:
            body["system"] = system
        if schema is not None:
            body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        return body

    @override
    def _answer(self, emit: Emit) -> WireAnswer:
        return _MessageAnswer(emit)


class _MessageAnswer(GatheredText):
    """Gathers a message, whole or by its events."""

    def __init__(self, emit: Emit) -> None:
        super().__init__(emit)
        self._usage: dict[str, Any] = {}
        self.stop = ""
        self.complete = False

    @property
    def tokens(self) -> TokenCounts | None:
        """What the host counted: its `input_tokens` are those that are neither read nor written."""
        usage = self._usage
        if not usage:
            return None
        cached = usage.get("cache_read_input_tokens") or 0
        stored = usage.get("cache_creation_input_tokens") or 0
        details = usage.get("output_tokens_details") or {}
        return TokenCounts(
            prompt=(usage.get("input_tokens") or 0) + cached + stored,
            cached=cached,
            cache_write=stored,
            completion=usage.get("output_tokens") or 0,
            reasoning=details.get("thinking_tokens") or 0,
        )

    def take_whole(self, body: Mapping[str, Any]) -> None:
        """Take an answer that came at once."""
        for block in body["content"]:
            self._piece(block)
        self._ended(body)
        self.complete = True

    def take_event(self, event: ServerEvent) -> bool | None:
        """Take an event of a stream; those of a kind that nobody knew yet say nothing."""
        said = orjson.loads(event.data)
        if said["type"] == "error":
            raise RemoteErrorEvent(event.data)
        take = _EVENTS.get(said["type"])
        came = take(self, said) if take is not None else False
        return None if self.complete else came

    def end(self) -> None:
        """Nothing is held back."""

    def _start(self, said: Mapping[str, Any]) -> bool:
        self._count(said["message"].get("usage"))
        return False

    def _block(self, said: Mapping[str, Any]) -> bool:
        return self._piece(said["content_block"])

    def _delta(self, said: Mapping[str, Any]) -> bool:
        return self._piece(said["delta"])

    def _end(self, said: Mapping[str, Any]) -> bool:
        self._ended({**said["delta"], "usage": said.get("usage")})
        return False

    def _stopped(self, said: Mapping[str, Any]) -> bool:
        self.complete = True
        return False

    def _piece(self, part: Mapping[str, Any]) -> bool:
        if text := part.get("text"):
            self.add(Delta(text))
        if thought := part.get("thinking"):
            self.add(Delta(thought, reasoning=True))
        return True

    def _ended(self, said: Mapping[str, Any]) -> None:
        self.stop = said.get("stop_reason") or self.stop
        self._count(said.get("usage"))

    def _count(self, usage: Mapping[str, Any] | None) -> None:
        # Totals so far, not amounts to be added: the last word on each counts.
        self._usage.update({k: v for k, v in (usage or {}).items() if v is not None})


_EVENTS: Mapping[str, Callable[[_MessageAnswer, Mapping[str, Any]], bool]] = {
    "message_start": _MessageAnswer._start,
    "content_block_start": _MessageAnswer._block,
    "content_block_delta": _MessageAnswer._delta,
    "message_delta": _MessageAnswer._end,
    "message_stop": _MessageAnswer._stopped,
}
