"""The faulty upstream is right where it means to be: the companies' own clients understand it."""

from collections.abc import AsyncIterator

import anthropic
import openai
import pytest

from tests.faults.modes import Mode
from tests.faults.upstream import DEFAULT_TEXT, FaultyUpstream

KEY = "sk-the-key-of-a-test"


@pytest.fixture
async def upstream() -> AsyncIterator[FaultyUpstream]:
    async with FaultyUpstream() as upstream:
        yield upstream


@pytest.fixture
async def gpt(upstream: FaultyUpstream) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=upstream.url + "/v1", api_key=KEY, max_retries=0
    ) as client:
        yield client


@pytest.fixture
async def claude(upstream: FaultyUpstream) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(
        base_url=upstream.url, api_key=KEY, max_retries=0
    ) as client:
        yield client


async def ask_gpt(client: openai.AsyncOpenAI):
    return await client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "?"}]
    )


async def stream_gpt(client: openai.AsyncOpenAI, *, usage: bool = True, into=None):
    chunks = [] if into is None else into
    stream = await client.chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": "?"}],
        stream=True,
        stream_options={"include_usage": True} if usage else openai.omit,
    )
    async for chunk in stream:
        chunks.append(chunk)
    return chunks


async def ask_claude(client: anthropic.AsyncAnthropic):
    return await client.messages.create(
        model="m", max_tokens=99, messages=[{"role": "user", "content": "?"}]
    )


async def stream_claude(client: anthropic.AsyncAnthropic):
    """All events of a stream, and the message that the client makes of them."""
    async with client.messages.stream(
        model="m", max_tokens=99, messages=[{"role": "user", "content": "?"}]
    ) as stream:
        events = [event async for event in stream]
        return events, await stream.get_final_message()


def text_of(chunks) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


COMPLETE = {
    # Mode: text, OpenAI's finish reason, Anthropic's stop reason
    Mode.OK: (DEFAULT_TEXT, "stop", "end_turn"),
    Mode.SLOW: (DEFAULT_TEXT, "stop", "end_turn"),
    Mode.CRLF: (DEFAULT_TEXT, "stop", "end_turn"),
    Mode.GZIP: (DEFAULT_TEXT, "stop", "end_turn"),
    Mode.REASONING: (DEFAULT_TEXT, "stop", "end_turn"),
    Mode.NO_DONE: (DEFAULT_TEXT, "stop", "end_turn"),
    Mode.THINK_TAGS: (
        "<think>Six times seven.</think>\n\n" + DEFAULT_TEXT,
        "stop",
        "end_turn",
    ),
    Mode.EMPTY_CONTENT: ("", "stop", "end_turn"),
    Mode.FINISH_LENGTH: (DEFAULT_TEXT, "length", "max_tokens"),
    Mode.FINISH_MISSING: (DEFAULT_TEXT, None, None),
    Mode.CONTENT_FILTER: ("The answer", "content_filter", "refusal"),
}


@pytest.mark.parametrize("mode", COMPLETE)
async def test_openai_reads_a_complete_answer(mode: Mode, upstream, gpt):
    upstream.mode = mode
    text, finish, _ = COMPLETE[mode]
    answer = await ask_gpt(gpt)
    choice = answer.choices[0]
    assert (choice.message.content, choice.finish_reason) == (text, finish)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 3
    chunks = await stream_gpt(gpt)
    assert text_of(chunks) == text
    finishes = [c.choices[0].finish_reason for c in chunks if c.choices]
    assert [f for f in finishes if f] == ([finish] if finish else [])
    usages = [c.usage for c in chunks if c.usage]
    assert [(u.prompt_tokens, u.completion_tokens, u.total_tokens) for u in usages] == [(11, 7, 18)]
    assert chunks[-1].choices == []


@pytest.mark.parametrize("mode", COMPLETE)
async def test_anthropic_reads_a_complete_answer(mode: Mode, upstream, claude):
    upstream.mode = mode
    text, _, stop = COMPLETE[mode]
    events, streamed = await stream_claude(claude)
    for message in (await ask_claude(claude), streamed):
        assert "".join(b.text for b in message.content if b.type == "text") == text
        assert message.stop_reason == stop
        usage = message.usage
        assert (usage.input_tokens, usage.output_tokens) == (8, 7)
        assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (3, 2)
    kinds = [event.type for event in events]
    assert kinds[0] == "message_start"
    assert ("message_stop" in kinds) is (mode is not Mode.NO_DONE)


async def test_thoughts_come_apart_from_the_text(upstream, gpt, claude):
    upstream.mode = "reasoning"
    thoughts = "Six times seven."
    assert (await ask_gpt(gpt)).choices[0].message.reasoning_content == thoughts
    deltas = [c.choices[0].delta for c in await stream_gpt(gpt) if c.choices]
    assert "".join(getattr(d, "reasoning_content", "") for d in deltas) == thoughts
    _, streamed = await stream_claude(claude)
    for message in (await ask_claude(claude), streamed):
        block = message.content[0]
        assert block.type == "thinking"
        assert (block.thinking, bool(block.signature)) == (thoughts, True)


async def test_openai_streams_usage_only_if_asked(upstream, gpt):
    assert not any(c.usage for c in await stream_gpt(gpt, usage=False))
    upstream.mode = "usage_missing"
    assert (await ask_gpt(gpt)).usage is None
    assert not any(c.usage for c in await stream_gpt(gpt))


async def test_openai_takes_a_stream_without_an_end_for_complete(upstream, gpt):
    upstream.script(["cut_close", "finish_missing"])
    assert text_of(await stream_gpt(gpt)) == "The answer"
    assert text_of(await stream_gpt(gpt)) == DEFAULT_TEXT


async def test_bytes_of_one_character_may_come_apart(upstream, gpt):
    upstream.text = "Zwölf  Eulen 🦉\n"
    assert text_of(await stream_gpt(gpt)) == upstream.text
    upstream.mode = "crlf"
    assert text_of(await stream_gpt(gpt)) == upstream.text


REFUSED = {
    # Mode: what each client raises, its status and code
    Mode.RATE_LIMIT: (
        (openai.RateLimitError, 429, "rate_limit_exceeded"),
        (anthropic.RateLimitError, 429, None),
    ),
    Mode.QUOTA: (
        (openai.RateLimitError, 429, "insufficient_quota"),
        (anthropic.RateLimitError, 429, "enforced_spend_limit_reached"),
    ),
    Mode.CREDIT_EXHAUSTED: (
        (openai.RateLimitError, 429, "credit_balance_exhausted"),
        (anthropic.PaymentRequiredError, 402, None),
    ),
    Mode.SERVER_ERROR: (
        (openai.InternalServerError, 500, None),
        (anthropic.InternalServerError, 500, None),
    ),
    Mode.OVERLOADED: (
        (openai.InternalServerError, 503, "server_overloaded"),
        (anthropic.OverloadedError, 529, None),
    ),
    Mode.UNAUTHORIZED: (
        (openai.AuthenticationError, 401, "invalid_api_key"),
        (anthropic.AuthenticationError, 401, None),
    ),
    Mode.FORBIDDEN: (
        (openai.PermissionDeniedError, 403, "unsupported_country"),
        (anthropic.PermissionDeniedError, 403, None),
    ),
    Mode.NOT_FOUND: (
        (openai.NotFoundError, 404, "model_not_found"),
        (anthropic.NotFoundError, 404, None),
    ),
    Mode.CONTEXT_LENGTH: (
        (openai.BadRequestError, 400, "context_length_exceeded"),
        (anthropic.BadRequestError, 400, None),
    ),
    Mode.TOO_LARGE: (
        (openai.APIStatusError, 413, "request_too_large"),
        (anthropic.ContentTooLargeError, 413, None),
    ),
    Mode.UNPROCESSABLE: (
        (openai.UnprocessableEntityError, 422, None),
        (anthropic.UnprocessableEntityError, 422, None),
    ),
    Mode.BAD_GATEWAY: (
        (openai.InternalServerError, 502, None),
        (anthropic.InternalServerError, 502, None),
    ),
}


@pytest.mark.parametrize("mode", REFUSED)
async def test_both_clients_understand_a_refusal(mode: Mode, upstream, gpt, claude):
    upstream.mode = mode
    (cls, status, code), (other_cls, other_status, other_code) = REFUSED[mode]
    for ask in (ask_gpt, stream_gpt):
        with pytest.raises(cls) as refused:
            await ask(gpt)
        assert (refused.value.status_code, refused.value.code) == (status, code)
    for beg in (ask_claude, stream_claude):
        with pytest.raises(other_cls) as denied:
            await beg(claude)
        assert (denied.value.status_code, denied.value.error_code) == (other_status, other_code)
    assert len(upstream.requests) == 4


@pytest.mark.parametrize(
    ("mode", "header", "value"),
    [
        ("429+retry-after", "retry-after", "1"),
        ("rate_limit_ms", "retry-after-ms", "20"),
        ("rate_limit_long", "retry-after", "3600"),
        ("no_retry", "x-should-retry", "false"),
        ("quota", "retry-after", None),
    ],
)
async def test_a_refusal_says_when_to_ask_again(mode, header, value, upstream, gpt, claude):
    upstream.mode = mode
    with pytest.raises(openai.APIStatusError) as refused:
        await ask_gpt(gpt)
    assert refused.value.response.headers.get(header) == value
    with pytest.raises(anthropic.APIStatusError) as denied:
        await ask_claude(claude)
    assert denied.value.response.headers.get(header) == value


async def test_an_error_inside_of_a_stream_comes_after_some_pieces(upstream, gpt, claude):
    upstream.mode = "error_event"
    chunks: list[openai.types.chat.ChatCompletionChunk] = []
    with pytest.raises(openai.APIError, match="The server had an error"):
        await stream_gpt(gpt, into=chunks)
    assert text_of(chunks) == "The answer"
    with pytest.raises(anthropic.APIStatusError) as denied:
        await stream_claude(claude)
    assert (denied.value.type, denied.value.status_code) == ("overloaded_error", 200)


async def test_an_official_retry_finds_the_next_mode_of_the_script(upstream, gpt):
    upstream.script(["rate_limit_ms", "rate_limit_ms", "ok"])
    assert (await ask_gpt(gpt.with_options(max_retries=2))).choices[0].finish_reason == "stop"
    assert [request.mode for request in upstream.requests] == [
        Mode.RATE_LIMIT_MS,
        Mode.RATE_LIMIT_MS,
        Mode.OK,
    ]
    assert upstream.mode is Mode.OK


async def test_both_clients_list_the_models(upstream, gpt, claude):
    assert [model.id async for model in gpt.models.list()] == ["fault-1", "fault-2"]
    assert [model.id async for model in claude.models.list()] == ["fault-1", "fault-2"]
    upstream.mode = "401"
    with pytest.raises(openai.AuthenticationError):
        await gpt.models.list()


async def test_every_request_is_recorded(upstream, gpt, claude):
    upstream.rate_headers = {"x-ratelimit-remaining-requests": "59"}
    raw = await gpt.chat.completions.with_raw_response.create(
        model="m", messages=[{"role": "user", "content": "?"}], extra_headers={"x-fault": "ok"}
    )
    assert raw.headers["x-ratelimit-remaining-requests"] == "59"
    await ask_claude(claude)
    await ask_claude(claude)
    first, second, third = upstream.requests
    assert (first.method, first.path) == ("POST", "/v1/chat/completions")
    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert first.body == {"model": "m", "messages": [{"role": "user", "content": "?"}]}
    assert (second.path, second.headers["anthropic-version"]) == ("/v1/messages", "2026-10-21")
    assert [request.number for request in upstream.requests] == [1, 2, 3]
    assert first.at < second.at < third.at
    assert second.connection == third.connection != first.connection
    assert upstream.cut_by_peer == 0
