"""When one host fails another answers, and the result says what happened."""

import io
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from agent_lab.cli.live_view import LiveView, plain_console
from agent_lab.config import Settings
from agent_lab.contracts import RunRequest
from agent_lab.errors import (
    AllProvidersFailedError,
    BudgetExceededError,
    CircuitOpenError,
    InvalidRequestError,
    ProviderAuthError,
    ProviderUnavailableError,
)
from agent_lab.lab import build
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.runs.events import RunEvent
from tests.faults.upstream import FaultyUpstream

OPENAI, ANTHROPIC = "gpt-4o-mini", "claude-sonnet-4-6"
DOWN = {
    "unauthorized": "provider_auth",
    "quota": "provider_spend_cap",
    "server_error": "provider_unavailable",
    "reset": "provider_unavailable",
    "cut_close": "truncated_answer",
    "overloaded": "provider_overloaded",
}


@pytest.fixture
async def first() -> AsyncIterator[FaultyUpstream]:
    async with FaultyUpstream(text="the first host's answer") as upstream:
        yield upstream


@pytest.fixture
async def second() -> AsyncIterator[FaultyUpstream]:
    async with FaultyUpstream(text="the second host's answer") as upstream:
        yield upstream


@pytest.fixture
def configured(
    settings: Settings, first: FaultyUpstream, second: FaultyUpstream
) -> Callable[..., Settings]:
    """Settings with OpenAI at the first host and Anthropic at the second."""

    def configure(fallbacks: list[str], **changes: Any) -> Settings:
        strategies = settings.home_folder / "strategies.toml"
        strategies.parent.mkdir(parents=True, exist_ok=True)
        strategies.write_text(f"[strategies.optimized]\nfallbacks = {fallbacks}\n")
        return settings.model_copy(
            update={
                "openai_base_url": f"{first.url}/v1",
                "anthropic_base_url": second.url,
                "strategies_file": strategies,
                "max_attempts": 1,
                **changes,
            }
        )

    return configure


@pytest.fixture
async def gateway_of(
    configured: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., ProviderGateway]]:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "sk-test-0123456789")
    made = []

    def make(*fallbacks: str, **changes: Any) -> ProviderGateway:
        from pydantic import SecretStr

        keys = {
            name: SecretStr("sk-0123456789") for name in ("openai_api_key", "anthropic_api_key")
        }
        made.append(ProviderGateway.from_settings(configured(list(fallbacks), **keys, **changes)))
        return made[-1]

    yield make
    for gateway in made:
        await gateway.aclose()


@pytest.mark.parametrize("way", [*DOWN, "gone"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_the_second_provider_answers_when_the_first_is_down(
    gateway_of, first: FaultyUpstream, way: str, *, streamed: bool
):
    gateway = gateway_of(ANTHROPIC)
    if way == "gone":
        await first.__aexit__(None, None, None)
    else:
        first.script([way])
    request = {"prompt": "hi", "model_key": OPENAI, "midstream": "restart"}
    if streamed:
        chunks = [chunk async for chunk in gateway.stream(request)]
        result, void = chunks[-1].result, [chunk.restarted for chunk in chunks]
        begun = len(void) - 1 - void[::-1].index(True) if True in void else -1
        assert "".join(chunk.text for chunk in chunks[begun + 1 :]) == result.text
    else:
        result = await gateway.generate(request)
    assert result.text == "the second host's answer"
    assert (result.source, result.model_resolved) == ("anthropic", ANTHROPIC)
    assert result.fallback_from == OPENAI
    outcomes = [(attempt.model_key, attempt.outcome) for attempt in result.attempts]
    failed = DOWN.get(way, "provider_unavailable")
    assert outcomes == [(OPENAI, failed), (ANTHROPIC, "ok")]


async def test_a_fault_that_may_pass_is_tried_again_at_the_same_host(
    gateway_of, first: FaultyUpstream
):
    first.script(["rate_limit_ms", "server_error", "ok"])
    result = await gateway_of(ANTHROPIC, max_attempts=3).generate(
        {"prompt": "hi", "model_key": OPENAI}
    )
    assert result.source == "openai"
    outcomes = [attempt.outcome for attempt in result.attempts]
    assert outcomes == ["provider_rate_limit", "provider_unavailable", "ok"]
    assert result.attempts[1].waited >= 0.02
    assert result.fallback_from is None


async def test_a_stream_that_breaks_after_its_first_piece_fails_unless_it_may_begin_anew(
    gateway_of, first: FaultyUpstream
):
    first.script(["cut_chunked"])
    with pytest.raises(ProviderUnavailableError) as raised:
        async for _ in gateway_of(ANTHROPIC).stream({"prompt": "hi", "model_key": OPENAI}):
            pass
    assert len(raised.value.details["attempts"]) == 1


async def test_when_nobody_answers_every_try_is_listed(
    gateway_of, first: FaultyUpstream, second: FaultyUpstream
):
    first.script(["server_error"])
    second.script(["unauthorized"])
    with pytest.raises(AllProvidersFailedError, match="None of 2 models") as raised:
        await gateway_of(ANTHROPIC).generate({"prompt": "hi", "model_key": OPENAI})
    outcomes = [attempt["outcome"] for attempt in raised.value.details["attempts"]]
    assert outcomes == ["provider_unavailable", "provider_auth"]
    assert isinstance(raised.value.__cause__, ProviderAuthError)


async def test_three_failed_calls_open_the_breaker_and_the_fourth_is_not_sent(
    gateway_of, first: FaultyUpstream
):
    gateway = gateway_of()
    first.script(["server_error"])
    for _ in range(3):
        with pytest.raises(ProviderUnavailableError):
            await gateway.generate({"prompt": "hi", "model_key": OPENAI})
    with pytest.raises(CircuitOpenError, match="`openai`") as raised:
        await gateway.generate({"prompt": "hi", "model_key": OPENAI})
    assert 0 < raised.value.details["retry_after"] <= 60
    assert len(first.requests) == 3
    assert [t.after for t in gateway.transitions] == ["open"]
    first.script(["ok"])
    gateway.breakers.reset("openai")
    assert (await gateway.generate({"prompt": "hi", "model_key": OPENAI})).source == "openai"


async def test_text_of_a_local_model_never_goes_to_a_remote_fallback_unless_it_may(
    gateway_of, first: FaultyUpstream, second: FaultyUpstream
):
    gateway = gateway_of(OPENAI, ANTHROPIC)
    request = {"prompt": "a secret", "model_key": "smollm2-135m"}  # its weights are not here
    with pytest.raises(Exception, match="smollm2-135m"):
        await gateway.generate(request)
    assert first.requests == second.requests == []
    result = await gateway.generate({**request, "data_policy": "any"})
    assert (result.source, result.fallback_from) == ("openai", "smollm2-135m")


async def test_a_remote_model_may_not_be_asked_what_must_stay_here(
    gateway_of, first: FaultyUpstream
):
    with pytest.raises(InvalidRequestError, match="data policy"):
        await gateway_of().generate({"prompt": "hi", "model_key": OPENAI, "data_policy": "local"})
    assert first.requests == []


async def test_a_fallback_keeps_the_constraints(gateway_of, first: FaultyUpstream):
    first.script(["server_error"])
    request = {"prompt": "hi", "model_key": OPENAI, "constraints": {"distinct_from": [ANTHROPIC]}}
    with pytest.raises(ProviderUnavailableError):
        await gateway_of(ANTHROPIC).generate(request)


async def test_a_runs_budget_is_checked_before_each_call_against_the_model_that_bills(
    gateway_of, first: FaultyUpstream, second: FaultyUpstream
):
    # Enough for the cheap model's worst case, not for that of the dear one that would stand in.
    constraints = {"cost_budget_usd": 0.0005}
    cheap = {"prompt": "hi", "model_key": OPENAI, "max_tokens": 500, "constraints": constraints}
    gateway = gateway_of(ANTHROPIC)
    assert (await gateway.generate(cheap)).usage.cost_usd
    first.script(["server_error"])
    with pytest.raises(AllProvidersFailedError) as raised:
        await gateway.generate(cheap)
    assert isinstance(raised.value.__cause__, BudgetExceededError)
    assert second.requests == []


async def test_a_debate_keeps_two_distinct_models(
    configured, gateway_of, first: FaultyUpstream, second: FaultyUpstream
):
    """The creator's host is down: its stand-in may not be the challenger's model."""
    first.mode = "server_error"
    gateway = gateway_of(ANTHROPIC, "claude-haiku-4-5")
    lab = build(configured([]), gateway=gateway)
    request = RunRequest(
        flow="challenge",
        input="hi",
        strategy="optimized",
        models={"creator": OPENAI, "challenger": ANTHROPIC, "refiner": OPENAI},
    )
    record = await lab.runs.run(request)
    spoke = {turn.role: turn.model_resolved for turn in record.turns}
    assert spoke == {
        "creator": "claude-haiku-4-5",
        "challenger": ANTHROPIC,
        "refiner": "claude-haiku-4-5",
    }
    assert record.status == "completed"
    assert len(record.degraded) == 2
    assert all("`claude-haiku-4-5` answered" in reason for reason in record.degraded)


@pytest.mark.weights("smollm2-135m")
async def test_one_debate_has_three_sources(
    configured, gateway_of, first: FaultyUpstream, second: FaultyUpstream
):
    gateway = gateway_of(local_context=2048)
    lab = build(configured([]), gateway=gateway)
    models = {"creator": "smollm2-135m", "challenger": OPENAI, "refiner": ANTHROPIC}
    request = RunRequest(flow="challenge", input="hi", models=models, max_tokens=16)
    record = await lab.runs.run(request)
    assert record.status == "completed", record.error
    assert [turn.source for turn in record.turns] == ["local", "openai", "anthropic"]
    assert record.degraded == ()
    assert record.usage.cost_usd
    assert record.price_table.startswith("genai-prices")
    assert "the first host's answer" in record.turns[2].messages[-1].content


async def test_a_run_that_would_cost_too_much_ends_with_what_it_has(
    configured, gateway_of, first: FaultyUpstream
):
    lab = build(configured([]), gateway=gateway_of())
    budget = {"cost_usd": 0.0004}
    wishes: dict[str, Any] = {"model": OPENAI, "inputs": {"rounds": 50}, "budget": budget}
    record = await lab.runs.run(RunRequest.parse({"flow": "challenge", "input": "hi", **wishes}))
    assert (record.status, record.stop_reason) == ("completed", "budget")
    assert record.usage.cost_usd is None or record.usage.cost_usd <= 0.0004
    assert 3 < len(record.turns) < 100
    assert record.output == "the first host's answer"
    assert any("budget" in reason for reason in record.degraded)


async def test_a_turn_that_broke_off_begins_anew_and_the_reader_is_told(
    configured, gateway_of, first: FaultyUpstream
):
    first.script(["cut_chunked", "ok"])
    lab = build(configured([]), gateway=gateway_of(ANTHROPIC))
    events: list[RunEvent] = []
    request = RunRequest(flow="challenge", input="hi", model=OPENAI, strategy="optimized")
    record = await lab.runs.run(request, events.append)
    creator = [e for e in events if e.payload.get("messageId") == "creator:0:0"]
    starts = [n for n, e in enumerate(creator) if e.type == "TEXT_MESSAGE_START"]
    assert len(starts) == 2
    shown = [e.payload["delta"] for e in creator[starts[1] :] if e.type == "TEXT_MESSAGE_CONTENT"]
    assert "".join(shown) == record.turns[0].text == "the second host's answer"
    screen = io.StringIO()
    view = LiveView(verbose=False, console=plain_console(file=screen, stderr=False))
    for event in events:
        view(event)
    assert "it begins anew" in screen.getvalue()
    assert f"{ANTHROPIC} answered for {OPENAI}" in screen.getvalue()
