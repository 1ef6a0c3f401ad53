"""Whatever can `generate` can answer a flow; what it does wrong is a failed turn."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from agent_lab.contracts import GenerationRequest, GenerationResult, Timings, Usage
from agent_lab.errors import ConfigurationError, ProviderError, ProviderTimeoutError
from agent_lab.orchestrator.any_gateway import as_gateway
from agent_lab.orchestrator.routing_agent import arun_routing_agent
from agent_lab.providers.provider_gateway import GenerationChunk, ProviderGateway

REQUEST = GenerationRequest(prompt="hello", model_key="asked", strategy="greedy", role="creator")
RESULT = GenerationResult(
    text="an answer",
    timings=Timings(total=1.5),
    source="mine",
    model_resolved="own",
    strategy="precise",
    finish_reason="length",
)
FIRST_LAB = {
    "success": True,
    "output": "an answer",
    "error": None,
    "metrics": {"tokens_generated": 12, "cache_hit": False},
    "timings_ms": {"load_time_ms": 250, "inference_time_ms": 1500.0, "total_time_ms": 1750},
    "source": "local",
    "model_used": "mistral7b",
    "strategy_used": "optimized",
    "execution_trace": ["analyzer", "worker"],
}
FROM_FIRST_LAB = GenerationResult(
    text="an answer",
    tokens_generated=12,
    usage=Usage(completion_tokens=12),
    timings=Timings(load_time=0.25, inference_time=1.5, total=1.75),
    source="local",
    model_resolved="mistral7b",
    strategy="optimized",
    finish_reason="stop",
)
FROM_TEXT = GenerationResult(
    text="an answer",
    source="gateway",
    model_resolved="asked",
    strategy="greedy",
    finish_reason="stop",
)

Answer = Callable[[GenerationRequest], Any]


class Plain:
    """Answers at once."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def generate(self, request: GenerationRequest) -> Any:
        return self._answer(request)


class Asynchronous:
    """Answers when awaited."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def generate(self, request: GenerationRequest) -> Any:
        return self._answer(request)


class Deferred(Asynchronous):
    """Answers with something to await, from a method that does not look like it."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.generate = lambda request: Asynchronous.generate(self, request)  # type: ignore[method-assign]


async def asked(gateway: object) -> list[GenerationChunk]:
    return [chunk async for chunk in as_gateway(gateway).stream(REQUEST)]


def raising(error: Exception) -> Answer:
    def fail(request: GenerationRequest) -> Any:
        raise error

    return fail


@pytest.mark.parametrize("kind", [Plain, Asynchronous, Deferred])
@pytest.mark.parametrize(
    ("given", "expected"),
    [(RESULT, RESULT), ("an answer", FROM_TEXT), (FIRST_LAB, FROM_FIRST_LAB)],
    ids=["result", "text", "first lab"],
)
async def test_every_form_of_answer_becomes_a_text_and_a_result(kind, given, expected):
    chunks = await asked(kind(lambda request: given))
    assert chunks == [GenerationChunk("an answer"), GenerationChunk(result=expected)]


async def test_the_object_gets_the_whole_request():
    seen: list[GenerationRequest] = []

    def remember(request: GenerationRequest) -> str:
        seen.append(request)
        return "ok"

    await asked(Plain(remember))
    assert seen == [REQUEST]


async def test_what_a_mapping_leaves_out_is_not_invented():
    [_, last] = await asked(Plain(lambda request: {"output": "an answer"}))
    assert last.result == FROM_TEXT


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"success": False, "output": "", "error": "the quota is used up"}, "quota is used up"),
        ({"success": False, "output": "half a text", "error": "cut"}, "cut"),
        ({"success": True, "output": ""}, "no output"),
        ({}, "no output"),
        (None, "`NoneType`"),
        (42, "`int`"),
        (["an answer"], "`list`"),
    ],
)
async def test_an_answer_that_is_none_is_a_provider_error(given: Any, message: str):
    with pytest.raises(ProviderError, match=message):
        await asked(Plain(lambda request: given))


@pytest.mark.parametrize("kind", [Plain, Asynchronous, Deferred])
async def test_whatever_the_object_raises_is_a_provider_error_that_quotes_it(kind):
    with pytest.raises(ProviderError, match=r"KeyError\('choices'\)"):
        await asked(kind(raising(KeyError("choices"))))


async def test_an_error_of_ours_keeps_its_class():
    late = ProviderTimeoutError("too late")
    with pytest.raises(ProviderTimeoutError) as raised:
        await asked(Plain(raising(late)))
    assert raised.value is late


async def test_a_failure_is_one_failed_turn_and_the_flow_goes_on():
    def answer(request: GenerationRequest) -> str:
        if request.role == "challenger":
            raise OSError("cut")
        return f"the {request.role} speaks"

    answered = await arun_routing_agent("hello", Plain(answer))
    statuses = [(node["id"], node["status"]) for node in answered["flow"]["nodes"]]
    assert statuses == [
        ("creator", "completed"),
        ("challenger", "failed"),
        ("refiner", "completed"),
    ]
    assert answered["output"] == "the refiner speaks"
    assert "cut" in answered["degraded"][0]


@pytest.mark.parametrize("given", [object(), "a text", 7])
def test_an_object_that_cannot_generate_is_refused_by_name(given: object):
    with pytest.raises(ConfigurationError, match=f"`{type(given).__name__}` is no gateway"):
        as_gateway(given)


class Streams:
    """Has what nodes need already."""

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[GenerationChunk, None]:
        yield GenerationChunk(result=RESULT)


@pytest.mark.parametrize("given", [Streams(), ProviderGateway.scripted("x")], ids=["own", "ours"])
def test_an_object_that_streams_is_used_as_it_is(given: object):
    assert as_gateway(given) is given


async def test_a_plain_generate_that_takes_long_does_not_stop_the_event_loop():
    loop, released = asyncio.get_running_loop(), threading.Event()

    def wait_for_the_loop(request: GenerationRequest) -> str:
        loop.call_soon_threadsafe(released.set)
        return "the loop ran" if released.wait(timeout=30) else "the loop stood still"

    chunks = await asked(Plain(wait_for_the_loop))
    assert chunks[0].text == "the loop ran"


@pytest.mark.parametrize("kind", [Plain, Asynchronous])
@pytest.mark.parametrize(
    "empty", ["  ", {"output": " \n"}, RESULT.model_copy(update={"text": ""})], ids=type
)
async def test_an_answer_without_text_is_a_failure(kind, empty):
    with pytest.raises(ProviderError):
        await asked(kind(lambda request: empty))


async def test_a_script_that_has_run_out_ends_the_wait():
    answers = iter(["the only one"])
    with pytest.raises(ProviderError, match="no answer left"):
        await asked(Plain(lambda request: next(answers) and next(answers)))


@pytest.mark.parametrize(
    "figures",
    [
        {"timings_ms": {"load_time_ms": None}},
        {"metrics": {"tokens_generated": "n/a"}},
        {"timings_ms": None, "metrics": None},
    ],
)
async def test_an_answer_is_worth_more_than_its_figures(figures):
    chunks = await asked(Plain(lambda request: {"output": "an answer", **figures}))
    assert chunks[0].text == "an answer"


@pytest.mark.parametrize("stream", [False, None, lambda request: iter(())])
async def test_a_stream_that_is_none_is_not_used(stream):
    gateway = Plain(lambda request: "an answer")
    gateway.stream = stream  # type: ignore[attr-defined]
    assert (await asked(gateway))[0].text == "an answer"
