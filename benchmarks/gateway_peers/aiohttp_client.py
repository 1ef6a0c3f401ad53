"""The measure of all clients: aiohttp as its documentation writes it.

python -m gateway_peers.aiohttp_client URL
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from gateway_peers.harness import Peer, answer_orders
from gateway_peers.texts import chat


@asynccontextmanager
async def open_peer(url: str) -> AsyncIterator[Peer]:
    """One session without a bound on its connections: the default of 100 queues in silence."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, headers={"Authorization": "Bearer k"}, raise_for_status=True
    ) as session:
        address = f"{url}/v1/chat/completions"

        async def generate(prompt: str) -> str:
            async with session.post(address, json=chat(prompt)) as answer:
                text: str = (await answer.json())["choices"][0]["message"]["content"]
                return text

        async def stream(prompt: str) -> str:
            text = ""
            async with session.post(address, json=chat(prompt, stream=True)) as answer:
                async for line in answer.content:
                    if line.startswith(b"data: ") and line != b"data: [DONE]\n":
                        choices = json.loads(line[6:])["choices"]
                        if choices:
                            text += choices[0]["delta"].get("content", "")
            return text

        yield Peer(generate, stream)


if __name__ == "__main__":
    answer_orders(open_peer)
