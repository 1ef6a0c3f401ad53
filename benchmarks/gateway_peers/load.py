"""Makes the load for a server that is measured; what it costs itself does not count.

python -m gateway_peers.load URL inference|completions
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from gateway_peers.harness import Peer, answer_orders
from gateway_peers.texts import MAX_TOKENS, MODEL, chat


@asynccontextmanager
async def open_peer(url: str) -> AsyncIterator[Peer]:
    """A client of our own route, or of a server that speaks as OpenAI does."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, headers={"Authorization": "Bearer k"}, raise_for_status=True
    ) as session:

        async def infer(prompt: str) -> str:
            body = {"prompt": prompt, "model": MODEL, "max_tokens": MAX_TOKENS}
            async with session.post(f"{url}/api/inference", json=body) as answer:
                text: str = (await answer.json())["output"]
                return text

        async def complete(prompt: str) -> str:
            async with session.post(f"{url}/v1/chat/completions", json=chat(prompt)) as answer:
                text: str = (await answer.json())["choices"][0]["message"]["content"]
                return text

        async def stream(prompt: str) -> str:
            raise NotImplementedError("Servers are measured without streams.")

        yield Peer(infer if sys.argv[2] == "inference" else complete, stream)


if __name__ == "__main__":
    answer_orders(open_peer)
