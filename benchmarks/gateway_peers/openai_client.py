"""The official SDK of OpenAI, without its retries.

python -m gateway_peers.openai_client URL
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import openai

from gateway_peers.harness import Peer, answer_orders
from gateway_peers.texts import chat


@asynccontextmanager
async def open_peer(url: str) -> AsyncIterator[Peer]:
    """One client, as the SDK sets it up."""
    async with openai.AsyncOpenAI(api_key="k", base_url=f"{url}/v1", max_retries=0) as client:

        async def generate(prompt: str) -> str:
            answer = await client.chat.completions.create(**chat(prompt))
            return answer.choices[0].message.content or ""

        async def stream(prompt: str) -> str:
            text = ""
            async for chunk in await client.chat.completions.create(**chat(prompt, stream=True)):
                if chunk.choices:
                    text += chunk.choices[0].delta.content or ""
            return text

        yield Peer(generate, stream, f"openai {openai.__version__}")


if __name__ == "__main__":
    answer_orders(open_peer)
