"""Loads a model as we do, keeps it as busy as it can be, and says what memory that took.

Run in a process of its own, since the size of the prompt cache is changed:
`python -m tests.providers.local.measured_load KEY CONTEXT SLOTS CACHE_MIB FOLDER PROMPTS`
"""

import json
import random
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from agent_lab.contracts import Message
from agent_lab.providers.local.engines import llamacpp_engine
from agent_lab.providers.local.engines.base import Engine
from agent_lab.providers.local.engines.llamacpp_engine import LlamaCppEngine
from agent_lab.providers.local.gguf_header import read_header
from agent_lab.providers.local.loading import LoadOptions
from agent_lab.providers.registries.model_registry import ModelRegistry
from tests.conftest import REPOSITORY, WEIGHTS_FOLDER

TEMPLATE_TOKENS = 40
"""What the chat template adds to a prompt, at most."""
PROMPT = 300
"""Tokens; far more than the template's own, or the slot that had the last one would be taken."""


class Measured(NamedTuple):
    """Bytes."""

    estimate: int
    loaded: int
    """What the model's process took when it was loaded."""
    peak: int
    """And at the most, while it answered."""

    @property
    def ratio(self) -> float:
        return self.estimate / self.peak


def measure(
    key: str,
    context: int,
    slots: int,
    cache_mib: int,
    *,
    prompts: Sequence[int] = (),
    timeout: float,
) -> Measured:
    """Measure in another process.

    Args:
        key: Of the model.
        context: As in `LoadOptions`.
        slots: As in `LoadOptions`.
        cache_mib: The limit of the prompt cache: a small one is soon full.
        prompts: Tokens of the prompts, one after the other; empty: as many as fill the cache.
        timeout: Seconds.
    """
    row = [key, *map(str, (context, slots, cache_mib)), str(WEIGHTS_FOLDER), json.dumps(prompts)]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.providers.local.measured_load", *row],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return Measured(*json.loads(ran.stdout.splitlines()[-1]))


def _main(
    key: str, context: int, slots: int, cache_mib: int, *, folder: Path, prompts: Sequence[int]
) -> None:
    llamacpp_engine.PROMPT_CACHE_MIB = cache_mib
    entry = ModelRegistry.load().get(key)
    path, options = folder / entry.file, LoadOptions(context, slots, 2)
    estimate = LlamaCppEngine.memory_need(path, options).total
    token_bytes = 2 * sum(read_header(path).kv_elements)
    engine = LlamaCppEngine.load(entry, path, options)
    loaded = _memory(engine, "VmRSS")
    _all_slots_at_once(engine, options)
    # A prompt is saved when another one takes its slot: slots are taken in turn.
    enough = (cache_mib << 20) // (PROMPT * token_bytes) + 1 + slots
    for seed, tokens in enumerate(prompts or [PROMPT] * enough):
        _ask(engine, tokens, 1000 + seed)
    print(json.dumps([estimate, loaded, _memory(engine, "VmHWM")]))  # noqa: T201
    engine.close()


def _all_slots_at_once(engine: Engine, options: LoadOptions) -> None:
    threads = [
        threading.Thread(target=_ask, args=(engine, 2 * PROMPT, seed))
        for seed in range(options.slots)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _ask(engine: Engine, tokens: int, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    words = " ".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=tokens - TEMPLATE_TOKENS))
    message = Message(role="user", content=words)
    engine.chat((message,), {"max_tokens": 2}, lambda delta: None, lambda: False)


def _memory(engine: LlamaCppEngine, name: str) -> int:
    status = Path(f"/proc/{engine.pid}/status").read_text(encoding="ascii")
    return int(status.partition(f"{name}:")[2].split()[0]) * 1024


if __name__ == "__main__":
    _main(
        sys.argv[1],
        *(int(number) for number in sys.argv[2:5]),
        folder=Path(sys.argv[5]),
        prompts=json.loads(sys.argv[6]),
    )
