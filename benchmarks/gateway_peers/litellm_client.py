"""`litellm.acompletion`, without retries; in the environment of the peers.

python -m gateway_peers.litellm_client URL
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import litellm  # type: ignore[import-not-found]

from gateway_peers.harness import Peer, answer_orders
from gateway_peers.texts import chat


@asynccontextmanager
async def open_peer(url: str) -> AsyncIterator[Peer]:
    """The module itself is the client."""
    host = {"api_base": f"{url}/v1", "api_key": "k", "max_retries": 0}

    def options(prompt: str, *, stream: bool = False) -> dict[str, Any]:
        asked = chat(prompt, stream=stream)
        return {**asked, "model": f"openai/{asked['model']}", **host}

    async def generate(prompt: str) -> str:
        answer = await litellm.acompletion(**options(prompt))
        return answer.choices[0].message.content or ""

    async def stream(prompt: str) -> str:
        text = ""
        async for chunk in await litellm.acompletion(**options(prompt, stream=True)):
            if chunk.choices:
                text += chunk.choices[0].delta.content or ""
        return text

    yield Peer(generate, stream, f"litellm {version('litellm')}, openai {version('openai')}")


if __name__ == "__main__":
    answer_orders(open_peer)
