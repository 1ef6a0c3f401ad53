"""The real hosts: run by `make test-live` where a key is set, never by `make test`."""

import os

import pytest

from agent_lab.config import load_settings
from agent_lab.providers.provider_gateway import ProviderGateway

KEYS = {
    "OPENAI_API_KEY": os.environ.get("OPENAI_API_KEY", ""),
    "ANTHROPIC_API_KEY": os.environ.get("ANTHROPIC_API_KEY", ""),
}
MODELS = [
    ("gpt-4o-mini", "OPENAI_API_KEY"),
    ("gpt-6-luna", "OPENAI_API_KEY"),
    ("claude-haiku-4-5", "ANTHROPIC_API_KEY"),
    ("claude-haiku-5-5", "ANTHROPIC_API_KEY"),
]
WITH_A_KEY = [model for model, variable in MODELS if KEYS[variable]]

pytestmark = pytest.mark.live


@pytest.fixture
async def gateway():
    gateway = ProviderGateway.from_settings(
        load_settings(
            openai_api_key=KEYS["OPENAI_API_KEY"], anthropic_api_key=KEYS["ANTHROPIC_API_KEY"]
        )
    )
    yield gateway
    await gateway.aclose()


def test_a_key_is_set():
    assert WITH_A_KEY, "OPENAI_API_KEY=… or ANTHROPIC_API_KEY=… make test-live"


@pytest.mark.parametrize("model", WITH_A_KEY)
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_model_answers_and_is_priced(
    gateway: ProviderGateway, model: str, *, streamed: bool
):
    request = {
        "prompt": "Reply with the one word: pong",
        "model_key": model,
        "constraints": {"cost_budget_usd": 0.5},
    }
    if streamed:
        chunks = [chunk async for chunk in gateway.stream(request)]
        result = chunks[-1].result
    else:
        result = await gateway.generate(request)
    assert result is not None
    assert "pong" in result.text.lower()
    assert result.usage.prompt_tokens > 0
    assert result.usage.cost_usd
