"""The bodies of the two wires: an answer at once, as events, and a refusal."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

from typing_extensions import override

from tests.faults.refusals import Refusal, Says, filled

JsonObject = dict[str, Any]
Finish = Literal["stop", "length", "filtered"]

NO_CHARACTER = "\ue000"
"""Becomes two bytes that are no UTF-8."""
CREATED = 1_790_000_000


class Answer(NamedTuple):
    """What is to be said, whatever the wire."""

    model: str
    pieces: tuple[str, ...]
    thoughts: tuple[str, ...] = ()
    finish: Finish | None = "stop"
    counted: bool = True
    """Whether there is usage at all."""
    usage_asked: bool = False
    """Whether a stream of OpenAI's shall have it."""
    ended: bool = True
    """Whether a stream has its end mark."""


class Event(NamedTuple):
    """A server-sent event."""

    data: JsonObject | str
    name: str = ""
    piece: bool = False
    """Whether it brings a piece of the answer."""


def dumps(data: JsonObject | str, indent: int | None = None) -> str:
    """JSON with its characters as they are, so that bytes can be cut in the middle of one."""
    return data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, indent=indent)


def encoded(text: str) -> bytes:
    """As UTF-8, but for `NO_CHARACTER`."""
    return text.encode().replace(NO_CHARACTER.encode(), b"\xff\xfe")


def encode_event(event: Event) -> bytes:
    """As both companies write it."""
    name = f"event: {event.name}\n" if event.name else ""
    return encoded(f"{name}data: {dumps(event.data)}\n\n")


def encode_event_oddly(event: Event) -> bytes:
    """The same event, as the standard allows it too."""
    name = [f"event:{event.name}"] if event.name else []
    data = [f"data:{line}" for line in dumps(event.data, indent=1).split("\n")]
    return encoded("\r\n".join([": a comment", *name, "id: 7", "retry: 1000", *data, "", ""]))


class Wire(ABC):
    """How one company puts it."""

    request_id: str
    """The header with the id of a request."""

    @abstractmethod
    def whole(self, answer: Answer) -> JsonObject:
        """The body of an answer at once."""

    @abstractmethod
    def events(self, answer: Answer) -> Iterator[Event]:
        """The events of an answer as a stream."""

    @abstractmethod
    def models(self, ids: Sequence[str]) -> JsonObject:
        """The body of a list of models."""

    @abstractmethod
    def says(self, refusal: Refusal) -> Says:
        """This wire's part of a row."""

    @abstractmethod
    def error(self, refusal: Refusal, credential: str) -> Event:
        """A refusal inside of a stream; its data are those of a body too."""


class OpenAIWire(Wire):
    """Chat completions, as in openai 3.54.0's `types.chat`."""

    request_id = "x-request-id"
    finishes: ClassVar[Mapping[Finish | None, str | None]] = {
        "stop": "stop",
        "length": "length",
        "filtered": "content_filter",
        None: None,
    }
    usage: ClassVar[JsonObject] = {
        "prompt_tokens": 11,
        "completion_tokens": 7,
        "total_tokens": 18,
        "prompt_tokens_details": {"cached_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }

    @override
    def whole(self, answer: Answer) -> JsonObject:
        message = {"role": "assistant", "content": "".join(answer.pieces), "refusal": None}
        if answer.thoughts:
            message["reasoning_content"] = "".join(answer.thoughts)
        finish = self.finishes[answer.finish]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        body = self._frame("chat.completion", answer) | {"choices": [choice]}
        return body | ({"usage": self.usage} if answer.counted else {})

    @override
    def events(self, answer: Answer) -> Iterator[Event]:
        has_usage = answer.usage_asked and answer.counted
        frame = self._frame("chat.completion.chunk", answer) | (
            {"usage": None} if has_usage else {}
        )

        def chunk(delta: JsonObject, finish: str | None = None, *, piece: bool = False) -> Event:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return Event(frame | {"choices": [choice]}, piece=piece)

        yield chunk({"role": "assistant", "content": ""})
        for thought in answer.thoughts:
            yield chunk({"reasoning_content": thought}, piece=True)
        for text in answer.pieces:
            yield chunk({"content": text}, piece=True)
        if answer.finish is not None:
            yield chunk({}, self.finishes[answer.finish])
        if has_usage:
            yield Event(frame | {"choices": [], "usage": self.usage})
        if answer.ended:
            yield Event("[DONE]")

    @override
    def models(self, ids: Sequence[str]) -> JsonObject:
        rows = [
            {"id": key, "object": "model", "created": CREATED, "owned_by": "faults"} for key in ids
        ]
        return {"object": "list", "data": rows}

    @override
    def says(self, refusal: Refusal) -> Says:
        return refusal.openai

    @override
    def error(self, refusal: Refusal, credential: str) -> Event:
        says = refusal.openai
        message = filled(says.message, credential)
        error = {"message": message, "type": says.type, "param": None, "code": says.code}
        return Event({"error": error})

    @staticmethod
    def _frame(kind: str, answer: Answer) -> JsonObject:
        return {
            "id": "chatcmpl-fault",
            "object": kind,
            "created": CREATED,
            "model": answer.model,
            "system_fingerprint": "fp_fault",
        }


class AnthropicWire(Wire):
    """Messages, as in anthropic 2.12.0's `types`."""

    request_id = "request-id"
    finishes: ClassVar[Mapping[Finish | None, str | None]] = {
        "stop": "end_turn",
        "length": "max_tokens",
        "filtered": "refusal",
        None: None,
    }
    input_usage: ClassVar[JsonObject] = {
        "input_tokens": 8,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 2,
    }
    usage: ClassVar[JsonObject] = input_usage | {"output_tokens": 7}
    """Of a whole answer, and of `message_delta`, where it is cumulative."""
    first_usage: ClassVar[JsonObject] = input_usage | {"output_tokens": 1}
    """Of `message_start`."""

    @override
    def whole(self, answer: Answer) -> JsonObject:
        content = []
        if answer.thoughts:
            content.append(self._thinking("".join(answer.thoughts), "c2lnbmVk"))
        if answer.pieces:
            content.append({"type": "text", "text": "".join(answer.pieces)})
        usage = {"usage": self.usage} if answer.counted else {}
        return self._frame(answer) | {"content": content} | self._stop(answer) | usage

    @override
    def events(self, answer: Answer) -> Iterator[Event]:
        usage = {"usage": self.first_usage} if answer.counted else {}
        message = self._frame(answer) | {"content": [], "stop_reason": None} | usage
        yield self._event("message_start", message=message)
        yield self._event("ping")
        thinking = [{"type": "thinking_delta", "thinking": text} for text in answer.thoughts]
        signature = [{"type": "signature_delta", "signature": "c2lnbmVk"}]
        text = [{"type": "text_delta", "text": text} for text in answer.pieces]
        blocks = [
            (self._thinking("", ""), thinking + signature if thinking else []),
            ({"type": "text", "text": ""}, text),
        ]
        for index, (start, deltas) in enumerate(block for block in blocks if block[1]):
            yield self._event("content_block_start", index=index, content_block=start)
            for delta in deltas:
                event = self._event("content_block_delta", index=index, delta=delta)
                yield event._replace(piece=delta["type"] != "signature_delta")
            yield self._event("content_block_stop", index=index)
        usage = {"usage": self.usage} if answer.counted else {}
        yield self._event("message_delta", delta=self._stop(answer), **usage)
        if answer.ended:
            yield self._event("message_stop")

    @override
    def models(self, ids: Sequence[str]) -> JsonObject:
        about = {"type": "model", "created_at": "2026-11-01T00:00:00Z", "lifecycle": "active"}
        rows = [about | {"id": key, "display_name": key} for key in ids]
        ends = {"first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None}
        return {"data": rows, "has_more": False} | ends

    @override
    def says(self, refusal: Refusal) -> Says:
        return refusal.anthropic

    @override
    def error(self, refusal: Refusal, credential: str) -> Event:
        says = refusal.anthropic
        error: JsonObject = {"type": says.type, "message": filled(says.message, credential)}
        if says.code is not None:
            error["details"] = {"error_code": says.code}
        return self._event("error", error=error, request_id="req_fault")

    @staticmethod
    def _event(kind: str, **data: Any) -> Event:
        return Event({"type": kind} | data, kind)

    @staticmethod
    def _thinking(text: str, signature: str) -> JsonObject:
        return {"type": "thinking", "thinking": text, "signature": signature}

    @staticmethod
    def _frame(answer: Answer) -> JsonObject:
        return {"id": "msg_fault", "type": "message", "role": "assistant", "model": answer.model}

    def _stop(self, answer: Answer) -> JsonObject:
        details = {"type": "refusal", "category": None, "explanation": None}
        return {
            "stop_reason": self.finishes[answer.finish],
            "stop_sequence": None,
            "stop_details": details if answer.finish == "filtered" else None,
        }


OPENAI, ANTHROPIC = OpenAIWire(), AnthropicWire()
