"""Our gateway: `ProviderGateway.generate` and `.stream`, with breaker, limiter, budget, metrics.

python -m gateway_peers.our_client URL      settings come from the environment
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agent_lab.config import Settings, load_settings
from agent_lab.observability.logger import configure_logging
from agent_lab.observability.redaction import Redactor
from agent_lab.providers.provider_gateway import ProviderGateway
from gateway_peers.harness import Peer, answer_orders
from gateway_peers.texts import MAX_TOKENS, MODEL


@asynccontextmanager
async def open_peer(url: str) -> AsyncIterator[Peer]:
    """One gateway, as an application builds it."""
    settings = load_settings(openai_api_key="k", openai_base_url=f"{url}/v1")
    _observe(settings)
    gateway = ProviderGateway.from_settings(settings)

    async def generate(prompt: str) -> str:
        return (await gateway.generate(_request(prompt))).text

    async def stream(prompt: str) -> str:
        return "".join([chunk.text async for chunk in gateway.stream(_request(prompt))])

    try:
        yield Peer(generate, stream)
    finally:
        await gateway.aclose()


def _request(prompt: str) -> dict[str, Any]:
    return {
        "prompt": prompt,
        "model_key": MODEL,
        "max_tokens": MAX_TOKENS,
        "constraints": {"cost_budget_usd": 1.0},
    }


def _observe(settings: Settings) -> None:
    """Send the logs to stderr, as the command line does; traces begin here, see `arms.TRACES`."""
    configure_logging(settings.log_level, "text", Redactor(settings.secrets()))


if __name__ == "__main__":
    answer_orders(open_peer)
