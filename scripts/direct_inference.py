"""Asks one model directly, without a flow: the shortest program on the gateway.

python scripts/direct_inference.py "Why is the sky blue?" --model smollm2-135m
"""

import argparse
import asyncio
import sys

from agent_lab import AgentLabError, ProviderGateway
from agent_lab.cli.outputs import fail


async def ask(prompt: str, model: str | None, max_tokens: int | None) -> None:
    """Stream the answer to stdout, and what it took to stderr."""
    gateway = ProviderGateway.from_settings()
    request = {"prompt": prompt, "model_key": model, "max_tokens": max_tokens}
    try:
        async for chunk in gateway.stream(request):
            if chunk.result is None:
                print(chunk.text, end="", flush=True)
            else:
                result = chunk.result
                print()
                print(
                    f"{result.model_resolved}: {result.tokens_generated} tokens in "
                    f"{result.timings.total:.1f} s (load {result.timings.load_time:.1f} s)",
                    file=sys.stderr,
                )
    finally:
        await gateway.aclose()


def main() -> int:
    """Read the arguments and ask; return the exit code."""
    parser = argparse.ArgumentParser(description="Ask one model directly, without a flow.")
    parser.add_argument("prompt")
    parser.add_argument("--model", help="a model key: agent-lab models list")
    parser.add_argument("--max-tokens", type=int)
    arguments = parser.parse_args()
    try:
        asyncio.run(ask(arguments.prompt, arguments.model, arguments.max_tokens))
    except AgentLabError as error:
        return fail(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
