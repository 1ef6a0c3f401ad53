"""The engine by hand: llama.cpp loaded as ours loads it, and nothing around it.

python -m local_peers.bare OPTIONS      a line of JSON: weights, slots, context, threads
"""

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from agent_lab.providers.local.engines.llamacpp_engine import (
    PREFILL_BATCH,
    PROMPT_CACHE_MIB,
    WINDOW_CHECKPOINTS,
)
from agent_lab.providers.local.engines.llamacpp_process import QUIET
from local_peers.child import Arm, answer_orders
from local_peers.load import GREEDY, Answer, Chat, write

WARM_UP_TOKENS = 4
FIRST_TOKENS = 2
"""Written where only the first one counts: it may be a piece that shows nothing yet."""


async def open_arm(options: dict[str, Any]) -> Arm:
    """Load the model, and let it answer once."""
    bare = Bare(_load(**options), options["slots"])
    await bare.ask([{"role": "user", "content": "Hello!"}], WARM_UP_TOKENS, 0)
    return Arm({}, {"write": partial(write, bare.ask), "read": bare.read})


def _load(weights: str, slots: int, context: int, threads: int) -> Any:
    """As in `LlamaCppEngine.load`."""
    import xllamacpp  # noqa: PLC0415 the variables that it reads are the parent's to set

    params = xllamacpp.CommonParams()
    params.model.path = weights
    params.n_parallel, params.n_ctx = slots, slots * context
    params.fit_params = False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.n_batch = params.n_ubatch = PREFILL_BATCH
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.n_ctx_checkpoints = WINDOW_CHECKPOINTS
    if not any("GPU" in str(device["type"]) for device in xllamacpp.get_device_info()):
        params.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE
    params.verbosity = QUIET
    params.endpoint_slots = params.ui = False
    params.endpoint_metrics = True
    return xllamacpp.Server(params)


class Bare:
    """A loaded model.

    Args:
        server: The binding's.
        slots: Chats that it answers at once.
    """

    def __init__(self, server: Any, slots: int) -> None:
        self._server = server
        self._threads = ThreadPoolExecutor(slots)

    async def ask(self, messages: Chat, tokens: int, number: int) -> Answer:
        """Make a call of `write`."""
        heard = await self._heard({"messages": messages, "max_tokens": tokens})
        return Answer(heard.usage["completion_tokens"], heard.timings["predicted_ms"] / 1000)

    async def read(self, messages: Chat, cached: bool) -> dict[str, Any]:
        """Have a prompt read, with or without what was read before.

        Returns:
            Tokens of the prompt that were computed, all of them, milliseconds of it as the engine
            measured them, milliseconds to the first piece of the answer.
        """
        wanted = {"max_tokens": FIRST_TOKENS, "cache_prompt": cached}
        heard = await self._heard({"messages": messages, **wanted})
        new, known = heard.timings["prompt_n"], heard.timings["cache_n"]
        return {
            "new": new,
            "all": new + known,
            "prompt_ms": heard.timings["prompt_ms"],
            "first_ms": heard.first_s * 1000,
        }

    async def _heard(self, body: dict[str, Any]) -> "_Heard":
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._listen, body)

    def _listen(self, body: dict[str, Any]) -> "_Heard":
        heard = _Heard()
        streamed = {"stream": True, "stream_options": {"include_usage": True}}
        self._server.handle_chat_completions({**body, **streamed, **GREEDY}, heard.on_chunk)
        if heard.error is not None:
            raise RuntimeError(f"llama.cpp refused: {heard.error}")
        return heard


class _Heard:
    """Counts the pieces of one answer; called in the engine's thread."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()
        self.pieces = 0
        self.first_s = 0.0
        self.usage: Mapping[str, Any] = {}
        self.timings: Mapping[str, Any] = {}
        self.error: Any = None

    def on_chunk(self, chunk: Mapping[str, Any]) -> bool:
        """Take one chunk; True stops the engine."""
        self.error = chunk.get("error")
        self.usage = chunk.get("usage") or self.usage
        self.timings = chunk.get("timings") or self.timings
        for choice in chunk.get("choices") or ():
            if choice["delta"].get("content"):
                self.pieces += 1
                self.first_s = self.first_s or time.perf_counter() - self._begun
        return self.error is not None


if __name__ == "__main__":
    answer_orders(open_arm)
