"""The doubles answer the official clients on both wires, and play what `servers` says they do."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.doubles import servers
from tests.doubles.servers import (
    ANSWER,
    DOUBLES,
    EVERY_CALL,
    PLAYS,
    PROMPT,
    RETRY_AFTER_S,
    Call,
    Double,
    Fault,
    Wire,
)

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(120)]

# By name, as the clients are imported late: they would cost each `make test` seconds.
RAISED: Mapping[Fault, Mapping[Wire, str]] = {
    Fault.RATE_LIMIT: {
        Wire.OPENAI: "openai.RateLimitError",
        Wire.ANTHROPIC: "anthropic.RateLimitError",
    },
    Fault.QUOTA: {Wire.OPENAI: "openai.RateLimitError"},
    Fault.SERVER_ERROR: {
        Wire.OPENAI: "openai.InternalServerError",
        Wire.ANTHROPIC: "anthropic.InternalServerError",
    },
    Fault.OVERLOADED: {
        Wire.OPENAI: "openai.InternalServerError",
        Wire.ANTHROPIC: "anthropic.OverloadedError",
    },
    Fault.UNAUTHORIZED: {
        Wire.OPENAI: "openai.AuthenticationError",
        Wire.ANTHROPIC: "anthropic.AuthenticationError",
    },
    Fault.CONTEXT_LENGTH: {
        Wire.OPENAI: "openai.BadRequestError",
        Wire.ANTHROPIC: "anthropic.BadRequestError",
    },
    Fault.MALFORMED: {
        Wire.OPENAI: "json.decoder.JSONDecodeError",
        Wire.ANTHROPIC: "json.decoder.JSONDecodeError",
    },
    Fault.HANG_UP: {
        Wire.OPENAI: "openai.APIConnectionError",
        Wire.ANTHROPIC: "anthropic.APIConnectionError",
    },
    Fault.SILENCE: {
        Wire.OPENAI: "openai.APITimeoutError",
        Wire.ANTHROPIC: "anthropic.APITimeoutError",
    },
    # Within a stream, Anthropic's client lets the errors of the transport pass.
    Fault.STALL: {
        Wire.OPENAI: "openai.APITimeoutError",
        Wire.ANTHROPIC: "httpx2.ReadTimeout",
    },
    Fault.CUT: {
        Wire.OPENAI: "openai.APIConnectionError",
        Wire.ANTHROPIC: "httpx2.RemoteProtocolError",
    },
}
"""What the clients raise; no client raises the other faults."""
STATUSES = {
    Fault.RATE_LIMIT: 429,
    Fault.QUOTA: 429,
    Fault.SERVER_ERROR: 500,
    Fault.OVERLOADED: 529,
    Fault.UNAUTHORIZED: 401,
    Fault.CONTEXT_LENGTH: 400,
}
FINISHED: Mapping[Fault, Mapping[Wire, str]] = {
    Fault.LENGTH: {Wire.OPENAI: "length", Wire.ANTHROPIC: "max_tokens"},
    Fault.CONTENT_FILTER: {Wire.OPENAI: "content_filter", Wire.ANTHROPIC: "refusal"},
}
"""The reason to finish, of faults with a whole answer."""
TIMEOUTS_S = {Fault.SILENCE: 0.5, Fault.STALL: 2.0}


class Heard:
    """What a client had of an answer."""

    def __init__(self) -> None:
        self.text = ""
        self.finish: str | None = None
        self.tokens: list[int] = []
        """Of the prompt and of the answer."""
        self.error: Any = None


def ask(
    double: Double, call: Call, model: str, prompt: str = PROMPT, timeout: float = 20.0
) -> Heard:
    heard = Heard()
    listen = listen_to_openai if call.wire is Wire.OPENAI else listen_to_anthropic
    try:
        listen(heard, double.base_urls[call.wire], call.stream, model, prompt, timeout)
    except Exception as error:  # noqa: BLE001 - what a client raises is the question here
        heard.error = error
    return heard


def listen_to_openai(
    heard: Heard, base_url: str, stream: bool, model: str, prompt: str, timeout: float
) -> None:
    import openai

    with openai.OpenAI(base_url=base_url, api_key="any", max_retries=0, timeout=timeout) as client:
        if not stream:
            answer = client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": prompt}]
            )
            heard.text = answer.choices[0].message.content or ""
            heard.finish = answer.choices[0].finish_reason
            if answer.usage:
                heard.tokens = [answer.usage.prompt_tokens, answer.usage.completion_tokens]
            return
        with client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": prompt}],
            stream=True,
            stream_options={"include_usage": True},
        ) as chunks:
            for chunk in chunks:
                for choice in chunk.choices:
                    heard.text += choice.delta.content or ""
                    heard.finish = choice.finish_reason
                if chunk.usage:
                    heard.tokens = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens]


def listen_to_anthropic(
    heard: Heard, base_url: str, stream: bool, model: str, prompt: str, timeout: float
) -> None:
    import anthropic

    with anthropic.Anthropic(
        base_url=base_url, api_key="any", max_retries=0, timeout=timeout
    ) as client:
        if not stream:
            message = client.messages.create(
                model=model, messages=[{"role": "user", "content": prompt}], max_tokens=100
            )
            heard.text = "".join(block.text for block in message.content if block.type == "text")
            heard.finish = message.stop_reason
            heard.tokens = [message.usage.input_tokens, message.usage.output_tokens]
            return
        with client.messages.create(
            model=model,
            messages=[{"role": "user", "content": prompt}],
            max_tokens=100,
            stream=True,
        ) as events:
            for event in events:
                if event.type == "message_start":
                    heard.tokens = [event.message.usage.input_tokens]
                elif event.type == "content_block_delta" and event.delta.type == "text_delta":
                    heard.text += event.delta.text
                elif event.type == "message_delta":
                    heard.finish = event.delta.stop_reason
                    heard.tokens.append(event.usage.output_tokens)


@pytest.fixture(scope="module")
def doubles() -> Iterator[dict[str, Double]]:
    with DOUBLES["aimock"]() as aimock, DOUBLES["llmock"]() as llmock:
        yield {"aimock": aimock, "llmock": llmock}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clients heed the machine's proxy, also for loopback."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def call_id(call: Call) -> str:
    return f"{call.wire}-{'streamed' if call.stream else 'whole'}"


every_call = pytest.mark.parametrize("call", sorted(EVERY_CALL), ids=call_id)
every_double = pytest.mark.parametrize("name", DOUBLES)
every_fault = pytest.mark.parametrize(
    ("name", "fault", "call"),
    [
        pytest.param(name, fault, call, id=f"{name}-{fault}-{call_id(call)}")
        for name, plays in PLAYS.items()
        for fault, play in plays.items()
        for call in sorted(play.calls)
    ],
)


@every_double
@every_call
def test_a_double_answers_the_official_client(doubles: dict[str, Double], name: str, call: Call):
    heard = ask(doubles[name], call, "some-model")
    assert heard.error is None
    assert heard.text == ANSWER
    assert heard.finish == ("stop" if call.wire is Wire.OPENAI else "end_turn")
    assert len(heard.tokens) == 2
    assert min(heard.tokens) > 0


@every_fault
def test_a_double_plays_what_it_says(
    doubles: dict[str, Double], name: str, fault: Fault, call: Call
):
    prompt = PLAYS[name][fault].prompt
    heard = ask(doubles[name], call, fault, prompt, TIMEOUTS_S.get(fault, 20.0))
    kind = type(heard.error)
    raised = f"{kind.__module__}.{kind.__name__}" if heard.error else None
    assert raised == RAISED.get(fault, {}).get(call.wire)
    assert getattr(heard.error, "status_code", None) == STATUSES.get(fault)
    assert heard.finish == FINISHED.get(fault, {}).get(call.wire)
    if fault in FINISHED:
        assert heard.text == ANSWER
    elif call.stream and fault in {Fault.MALFORMED, Fault.STALL, Fault.CUT, Fault.TRUNCATED}:
        assert heard.text
        assert heard.text != ANSWER
        assert ANSWER.startswith(heard.text)
    else:
        assert not heard.text


@every_double
@every_call
def test_a_rate_limit_says_when_to_ask_again(doubles: dict[str, Double], name: str, call: Call):
    heard = ask(doubles[name], call, Fault.RATE_LIMIT)
    assert heard.error.response.headers["retry-after"] == str(RETRY_AFTER_S)


@every_double
def test_only_the_code_of_a_spent_quota_tells_it_from_a_rate_limit(
    doubles: dict[str, Double], name: str
):
    heard = ask(doubles[name], Call(Wire.OPENAI, False), Fault.QUOTA)
    assert heard.error.code == "insufficient_quota"
    assert heard.error.response.headers["retry-after"] == "1"


@every_double
@every_call
def test_a_prompt_that_is_too_long_is_called_so(doubles: dict[str, Double], name: str, call: Call):
    prompt = PLAYS[name][Fault.CONTEXT_LENGTH].prompt
    heard = ask(doubles[name], call, Fault.CONTEXT_LENGTH, prompt)
    if call.wire is Wire.OPENAI:
        assert heard.error.code == "context_length_exceeded"
    else:
        assert "prompt is too long" in heard.error.message


@every_call
def test_llmock_counts_requests_if_it_is_told_to(call: Call):
    with DOUBLES["llmock"]("--rpm", "1") as double:
        assert ask(double, call, "some-model").text == ANSWER
        headers = ask(double, call, "some-model").error.response.headers
    limit, left = {
        Wire.OPENAI: ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests"),
        Wire.ANTHROPIC: (
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-remaining",
        ),
    }[call.wire]
    assert (headers[limit], headers[left]) == ("1", "0")
    assert 40 < int(headers["retry-after"]) <= 60


@every_double
@every_call
def test_a_model_may_have_an_answer_of_its_own(name: str, call: Call):
    with DOUBLES[name](answers={"creator": "The draft."}) as double:
        assert ask(double, call, "creator").text == "The draft."
        assert ask(double, call, "challenger").text == ANSWER


@pytest.mark.parametrize(
    ("name", "path"), [("aimock", "/__aimock/journal"), ("llmock", "/_llmock/requests")]
)
def test_a_double_tells_what_it_was_asked(doubles: dict[str, Double], name: str, path: str):
    ask(doubles[name], Call(Wire.OPENAI, False), "a-model-of-its-own")
    told = doubles[name].get(path)
    bodies = [asked["body"] for asked in (told["requests"] if name == "llmock" else told)]
    messages = [body["messages"] for body in bodies if body["model"] == "a-model-of-its-own"]
    assert messages == [[{"role": "user", "content": PROMPT}]]


@every_double
def test_a_double_does_not_outlive_its_block(name: str):
    with DOUBLES[name]() as double:
        assert double.get("/health")["status"] == "ok"
    with pytest.raises(ConnectionRefusedError):
        double.get("/health")


@every_double
def test_a_double_that_does_not_start_shows_its_log(name: str):
    with pytest.raises(RuntimeError, match="no-such-option"), DOUBLES[name]("--no-such-option"):
        pass


@every_double
def test_missing_doubles_are_a_failure_that_names_the_remedy(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(servers, "INSTALLED", tmp_path)
    with pytest.raises(pytest.fail.Exception, match="make doubles"), DOUBLES[name]():
        pass
