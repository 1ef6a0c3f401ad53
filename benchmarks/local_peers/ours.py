"""The lab with one model, as an application uses it.

python -m local_peers.ours OPTIONS      a line of JSON: model, read_along, cold
Settings come from the environment.
"""

import os
import time
from functools import partial
from typing import Any

from agent_lab.config import load_settings
from agent_lab.contracts import GenerationResult, Message, RunRequest
from agent_lab.lab import build
from agent_lab.providers.base import Delta
from agent_lab.providers.local.engines.llamacpp_engine import waiting_threads
from agent_lab.providers.provider_gateway import ProviderGateway
from local_peers.child import Arm, answer_orders
from local_peers.load import Answer, Chat, chat, write

WARM_UP_TOKENS = 4
SEEDS = 10
"""Tried until all roles say something: now and then the smallest model ends before it begins."""
POINTS = 16
TASK = "Explain how a hash table handles collisions, point by point.\n" + "\n".join(
    f"{i}. What happens to lookups when bucket {i} has several keys and the table is resized?"
    for i in range(1, POINTS + 1)
)
"""About 400 tokens."""


async def open_arm(options: dict[str, Any]) -> Arm:
    """Build the gateway; unless it is to stay cold, let the model answer once."""
    settings = load_settings()
    gateway = ProviderGateway.from_settings(settings)
    ours = Ours(gateway, options["model"], read_along=options.get("read_along", False))
    facts: dict[str, Any] = {}
    if not options.get("cold", False):
        await ours.ask([{"role": "user", "content": "Hello!"}], WARM_UP_TOKENS, 0)
        loaded = gateway.memory.loaded()[0]
        spin = waiting_threads(os.environ)  # of the model's own process
        facts = {"slots": loaded.slots, "context": loaded.context, "spin": spin}
    return Arm(facts, {"write": partial(write, ours.ask), "time": ours.time, "debate": ours.debate})


class Ours:
    """A gateway, and the model that is asked.

    Args:
        gateway: The gateway.
        model: The model's key.
        read_along: Whether somebody hears every piece of an answer.
    """

    def __init__(self, gateway: ProviderGateway, model: str, *, read_along: bool) -> None:
        self._gateway = gateway
        self._model = model
        self._emit = self._hear if read_along else None
        self.pieces = 0

    async def ask(self, messages: Chat, tokens: int, number: int) -> Answer:
        """Make a call of `write`, of a run of its own."""
        result = await self._result(messages, tokens, number)
        return Answer(result.usage.completion_tokens, result.timings.decode or 0.0)

    async def time(self, tokens: int, number: int) -> dict[str, Any]:
        """Time one call.

        Returns:
            Tokens written, seconds of all of it, seconds of loading as the lab says.
        """
        started = time.perf_counter()
        result = await self._result(chat(number), tokens, number)
        seconds = time.perf_counter() - started
        return {
            "tokens": result.usage.completion_tokens,
            "seconds": seconds,
            "load_s": result.timings.load_time,
        }

    async def debate(self, tokens: int) -> dict[str, Any]:
        """Run the flow `challenge`; no role says more than `tokens`.

        Returns:
            The turns: role, messages, tokens of the prompt, those that were found computed.
        """
        async with build(gateway=self._gateway) as lab:
            for seed in range(SEEDS):
                asked = {"flow": "challenge", "input": TASK, "model": self._model, "lang": "en"}
                request = RunRequest.parse({**asked, "max_tokens": tokens, "seed": seed})
                record = await lab.runs.run(request)
                if all(turn.status == "ok" for turn in record.turns):
                    turns = [
                        {
                            "role": turn.role,
                            "messages": [message.model_dump() for message in turn.messages],
                            "prompt": turn.prompt_tokens,
                            "cached": turn.cached_tokens,
                        }
                        for turn in record.turns
                    ]
                    return {"turns": turns}
        raise RuntimeError(f"with none of {SEEDS} seeds did all roles say something")

    async def _result(self, messages: Chat, tokens: int, number: int) -> GenerationResult:
        request = {
            "messages": [Message.model_validate(message) for message in messages],
            "model_key": self._model,
            "strategy": "greedy",
            "max_tokens": tokens,
            "run_id": f"run-{number}",
            "cache": "off",
        }
        return await self._gateway.generate(request, self._emit)

    def _hear(self, delta: Delta) -> None:
        self.pieces += 1


if __name__ == "__main__":
    answer_orders(open_arm)
